/** Between etcd's bytes and 64-bit numbers and ours. */
import type { Entry } from "../store.ts";
import type { KeyValue } from "./wire/etcd_pb.js";

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/** Revisions stay below 2^53 for longer than disks live. */
export function numberOf(value: bigint | undefined): number {
  return Number(value ?? 0n);
}

export function entryOf({ key, value, createRevision, modRevision }: KeyValue): Entry {
  return {
    key: textOf(key),
    value: textOf(value),
    createRevision: numberOf(createRevision),
    modRevision: numberOf(modRevision),
  };
}

const ALL = Buffer.from([0]);

/** All keys that begin with the prefix (rpc.proto, RangeRequest.range_end). UTF-8 has no 0xff, so the last byte can grow. */
export function keyRange(prefix: string): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  if (prefix === "") return { key: ALL, rangeEnd: ALL };
  const key = Buffer.from(prefix);
  const rangeEnd = Buffer.from(prefix);
  rangeEnd[rangeEnd.length - 1] = (rangeEnd.at(-1) as number) + 1;
  return { key, rangeEnd };
}
