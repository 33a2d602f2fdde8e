/** What is kept for an address on an interface: permanent and proxy neighbours. Their keys are `eth0 192.168.7.70`. */
import type { Delta } from "../../core/reconcile/delta.ts";
import { DriverError } from "../error.ts";
import { indexesOf } from "./link-index.ts";
import { Failures, pause } from "./ownership.ts";
import type { Change, Rtnetlink } from "./rtnetlink.ts";

/** Changes of one message to the kernel. */
const CHUNK = 128;

interface Place {
  readonly index: number;
  readonly address: string;
}

export interface Writing<S> {
  /** Completes "Cannot": `set the neighbour`, with the key behind it. */
  readonly what: string;
  readonly set: (place: Place, state: S) => Change;
  readonly remove: (place: Place) => Change;
}

/** Carries out a delta; what is gone already, or whose interface is, need not be removed. @throws DriverError for all that failed */
export async function applyByAddress<S>(
  rtnetlink: Rtnetlink,
  { upserts, deletes }: Delta<string, S>,
  { what, set, remove }: Writing<S>,
  signal: AbortSignal,
): Promise<void> {
  const failures = new Failures();
  const indexes = indexesOf(rtnetlink, [...upserts.keys(), ...deletes].map(nameOf));
  const items: { key: string; change: Change; removes: boolean }[] = [];
  for (const [key, state] of upserts) {
    const index = indexes.get(nameOf(key));
    if (index === undefined) failures.add("", missing(what, key));
    else items.push({ key, change: set({ index, address: addressOf(key) }, state), removes: false });
  }
  for (const key of deletes) {
    const index = indexes.get(nameOf(key));
    if (index !== undefined) items.push({ key, change: remove({ index, address: addressOf(key) }), removes: true });
  }
  for (let at = 0; at < items.length; at += CHUNK) {
    if (at > 0) await pause(signal);
    const chunk = items.slice(at, at + CHUNK);
    for (const { index, error } of rtnetlink.apply(chunk.map(({ change }) => change))) {
      const item = chunk[index];
      const gone = item?.removes === true && (error.errno === "ENOENT" || error.errno === "ENODEV");
      if (item !== undefined && !gone) failures.add(`${what} "${item.key}"`, error);
    }
  }
  failures.throwAny();
}

function nameOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf(" ")));
}

function addressOf(key: string): string {
  return key.slice(key.indexOf(" ") + 1);
}

function missing(what: string, key: string): DriverError {
  return new DriverError("not-found", `Cannot ${what} "${key}": there is no interface "${nameOf(key)}"`);
}
