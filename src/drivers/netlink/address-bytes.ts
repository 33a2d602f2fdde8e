/** IP addresses between the kernel's bytes and text. */
import { type Family, parseAddress, toBytes, width } from "../../core/net/address.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;

export function afOf(family: Family): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** Parts of `10.65.0.1/26`, host bits and all; throws RangeError for anything else. */
export function splitPrefix(prefix: string): {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly family: number;
} {
  const [text = "", lengthText = "", ...rest] = prefix.split("/");
  const parsed = parseAddress(text);
  const length = /^[0-9]{1,3}$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (parsed === undefined || rest.length > 0 || !(length <= width(parsed.family)))
    throw new RangeError(`"${prefix}" is not an address with a prefix length`);
  return { bytes: toBytes(parsed), length, family: afOf(parsed.family) };
}
