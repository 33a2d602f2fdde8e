/**
 * `manx why --probe`: a real packet from the sender's own namespace with its real address. Whether it arrived is told by the
 * answer, or by a look at the receiver's interface where the receiver is a container of this host.
 */
import { execFile } from "node:child_process";
import { closeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Packet } from "../core/rules/packet.ts";
import { ICMP, ICMPV6, TCP, UDP } from "../core/rules/protocol.ts";
import { bind, MSG_DONTWAIT, recvfrom, SOCK_CLOEXEC, SOCK_NONBLOCK, socket } from "../drivers/syscall/libc.ts";
import { inNetworkNamespace } from "../drivers/syscall/netns.ts";
import type { Agent } from "./agent.ts";
import type { End } from "./why.ts";

export type Probe = "arrived" | "refused" | "dropped" | "silent" | "not-sent";

const PROGRAM = join(import.meta.dirname, "probe-program.ts");
const LONGEST = 10_000;
const NAMES: Readonly<Record<number, string>> = { [TCP]: "tcp", [UDP]: "udp", [ICMP]: "icmp", [ICMPV6]: "icmp" };

/** Never throws: what cannot be sent is `not-sent`. */
export async function probe(agent: Agent, from: End, to: End, packet: Packet, signal?: AbortSignal): Promise<Probe> {
  const name = NAMES[packet.protocol];
  const sandbox = sandboxOf(agent, from);
  const echo = packet.icmp === undefined || [8, 128].includes(packet.icmp.type);
  if (name === undefined || !echo || (sandbox === undefined && !from.isHost)) return "not-sent";
  const watched = sandboxOf(agent, to);
  try {
    using arrivals = watched === undefined ? undefined : new Arrivals(watched, packet);
    const answer = await send(
      [name, packet.source, packet.destination, String(packet.destinationPort ?? 0)],
      sandbox,
      signal,
    );
    if (answer !== "silent") return answer;
    if (arrivals !== undefined) return arrivals.seen() ? "arrived" : "dropped";
    return packet.protocol === UDP ? "silent" : "dropped";
  } catch {
    signal?.throwIfAborted();
    return "not-sent";
  }
}

function sandboxOf(agent: Agent, { endpoint }: End): string | undefined {
  return endpoint === undefined ? undefined : agent.state.endpoints.get(endpoint.id)?.sandbox;
}

async function send(
  args: readonly string[],
  sandbox: string | undefined,
  signal: AbortSignal | undefined,
): Promise<"arrived" | "refused" | "silent" | "not-sent"> {
  const inside = sandbox === undefined ? [] : ["nsenter", `--net=${sandbox}`, "--"];
  const [file = "", ...rest] = [...inside, process.execPath, PROGRAM, ...args];
  const { stdout } = await promisify(execFile)(file, rest, { timeout: LONGEST, ...(signal && { signal }) });
  const word = stdout.trim();
  return word === "arrived" || word === "refused" || word === "silent" ? word : "not-sent";
}

/** packet(7): AF_PACKET, ETH_P_ALL. The socket sees what the receiver's interface gets, after our rules. */
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const ETH_P_ALL = 3;
const ADDRESS_LENGTH = 20;
const PACKET_OUTGOING = 4;
/** Bounded: a receiver under load has other packets. */
const MOST = 10_000;

class Arrivals implements Disposable {
  readonly #fd: number;
  readonly #packet: Packet;

  constructor(sandbox: string, packet: Packet) {
    this.#packet = packet;
    this.#fd = inNetworkNamespace(sandbox, () => {
      const fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, ETH_P_ALL << 8);
      return fd;
    });
    const any = new Uint8Array(ADDRESS_LENGTH);
    any.set([AF_PACKET, 0, 0, ETH_P_ALL]);
    bind(this.#fd, any);
  }

  /** Whether a packet of these addresses, protocol and port has come in. */
  seen(): boolean {
    const buffer = new Uint8Array(256);
    const from = new Uint8Array(ADDRESS_LENGTH);
    for (let i = 0; i < MOST; i++) {
      const length = recvfrom(this.#fd, buffer, MSG_DONTWAIT, from);
      if (length === undefined) return false;
      if (from[10] !== PACKET_OUTGOING && isIt(buffer.subarray(0, Math.min(length, buffer.length)), this.#packet))
        return true;
    }
    return false;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

/** RFC 791, RFC 8200: protocol and, behind the header, the destination port. Our probes carry no options. */
function isIt(bytes: Uint8Array, { family, protocol, destinationPort }: Packet): boolean {
  const version = (bytes[0] ?? 0) >> 4;
  if (version !== family || bytes[family === 4 ? 9 : 6] !== protocol) return false;
  const head = family === 4 ? ((bytes[0] ?? 0) & 15) * 4 : 40;
  if (destinationPort === undefined) return true;
  return ((bytes[head + 2] ?? 0) << 8) + (bytes[head + 3] ?? 0) === destinationPort;
}
