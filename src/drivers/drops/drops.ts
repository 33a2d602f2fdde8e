/** Packets that the kernel drops in this network namespace, each with the kernel's reason: netfilter's verdicts, routing, MTU, queues. */
import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";
import { close, createMap, element, loadProgram, MAP, openRawTracepoint, pop } from "../syscall/bpf.ts";
import { Btf } from "./btf.ts";
import { dropProgram, EVENT, KEY_SIZE, layoutOf, SEEN_SIZE } from "./program.ts";

export interface KernelDrop {
  /** As in `enum skb_drop_reason`, without its beginning: `IP_RPFILTER`. */
  readonly reason: string;
  /** Packets that were alike; those of the last second are told with the next one. */
  readonly count: number;
  /** The interface that it is of now, and that it came in by; 0: none. */
  readonly device: number;
  readonly arrived: number;
  /** Bytes of the packet, as far as they were left. */
  readonly length: number;
  readonly etherType: number;
  /** From the network header on, cut off. */
  readonly payload: Uint8Array;
}

export type DropEvent = ({ readonly kind: "drop" } & KernelDrop) | { readonly kind: "lost"; readonly count: number };

const BTF = "/sys/kernel/btf/vmlinux";
const PREFIX = "SKB_DROP_REASON_";
/** Drops that wait to be read, and flows that are told apart. */
const QUEUE = 1_024;
const FLOWS = 4_096;
/** Milliseconds between two looks, where the last one found something, and at most. */
const PAUSE = 100;
const IDLE_PAUSE = 400;

/**
 * Drops of the wanted reasons, those at hand together, from the call on until the signal aborts. Reasons that this kernel does not know
 * are left out. `netns`: path of the namespace. @throws DriverError "invalid" where the kernel cannot tell, "denied" where it may not
 */
export function kernelDrops(
  wanted: readonly string[],
  signal: AbortSignal,
  netns = "/proc/thread-self/ns/net",
): AsyncGenerator<readonly DropEvent[], void, undefined> {
  const { layout, reasons } = kernelKnowledge();
  const numbers = wanted.flatMap((name) => reasons.get(PREFIX + name) ?? []);
  if (layout === undefined || numbers.length === 0)
    throw new DriverError(
      "invalid",
      "Cannot ask the kernel why it drops packets: it gives no reasons (Linux 5.17 does)",
    );
  const names = new Map(wanted.map((name) => [reasons.get(PREFIX + name), name]));
  const fds: number[] = [];
  const keep = (fd: number): number => {
    fds.push(fd);
    return fd;
  };
  try {
    const queue = keep(createMap(MAP.queue, 0, EVENT.size, QUEUE));
    const seen = keep(createMap(MAP.lruHash, KEY_SIZE, SEEN_SIZE, FLOWS));
    const lost = keep(createMap(MAP.array, 4, 8, 1));
    const program = keep(loadProgram(dropProgram(layout, numbers, statSync(netns).ino, { queue, seen, lost })));
    keep(openRawTracepoint("kfree_skb", program));
    return follow(queue, lost, names, fds, signal);
  } catch (error) {
    close(fds);
    throw error;
  }
}

let known: { readonly layout: ReturnType<typeof layoutOf>; readonly reasons: ReadonlyMap<string, number> } | undefined;

/** The same as long as the kernel runs. */
function kernelKnowledge(): NonNullable<typeof known> {
  if (known !== undefined) return known;
  try {
    const btf = new Btf(readFileSync(BTF));
    known = { layout: layoutOf(btf), reasons: btf.enumeration("skb_drop_reason") };
  } catch (error) {
    throw new DriverError("invalid", `Cannot ask the kernel why it drops packets: ${BTF} cannot be read`, error);
  }
  return known;
}

async function* follow(
  queue: number,
  lost: number,
  names: ReadonlyMap<number | undefined, string>,
  fds: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<readonly DropEvent[], void, undefined> {
  const value = new Uint8Array(new ArrayBuffer(EVENT.size));
  const counter = new Uint8Array(new ArrayBuffer(8));
  let lostBefore = 0;
  let pause = PAUSE;
  try {
    while (!signal.aborted) {
      const events: DropEvent[] = [];
      while (events.length < QUEUE && pop(queue, value)) events.push(parse(value, names));
      if (events.length > 0) {
        element(lost, 0, counter); // nothing is lost but from a full queue
        const lostNow = Number(new DataView(counter.buffer).getBigUint64(0, true));
        if (lostNow > lostBefore) events.push({ kind: "lost", count: lostNow - lostBefore });
        lostBefore = lostNow;
        yield events;
      }
      pause = events.length > 0 ? PAUSE : Math.min(pause * 2, IDLE_PAUSE);
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  } finally {
    close(fds);
  }
}

function parse(bytes: Uint8Array<ArrayBuffer>, names: ReadonlyMap<number | undefined, string>): DropEvent {
  const view = new DataView(bytes.buffer);
  const u32 = (at: number): number => view.getUint32(at, true);
  return {
    kind: "drop",
    reason: names.get(u32(EVENT.reason)) ?? "NOT_SPECIFIED",
    count: u32(EVENT.count),
    device: u32(EVENT.device),
    arrived: u32(EVENT.arrived),
    length: u32(EVENT.length),
    etherType: view.getUint16(EVENT.etherType, false),
    payload: bytes.slice(EVENT.packet),
  };
}
