/** ASN.1's Distinguished Encoding Rules (X.690), as much of them as a certificate is written in. Nothing is read here. */

export type Der = Buffer;

function tlv(tag: number, ...parts: readonly Uint8Array[]): Der {
  const content = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** X.690 section 8.1.3: short below 128, else the number of bytes and the bytes. */
function length(size: number): Buffer {
  if (size < 128) return Buffer.from([size]);
  const bytes = minimal(BigInt(size));
  return Buffer.from([0x80 | bytes.length, ...bytes]);
}

function minimal(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
}

export const sequence = (...parts: readonly Uint8Array[]): Der => tlv(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Der => tlv(0x31, ...parts);
export const octets = (content: Uint8Array): Der => tlv(0x04, content);
export const utf8 = (text: string): Der => tlv(0x0c, Buffer.from(text));
export const boolean = (value: boolean): Der => tlv(0x01, Buffer.from([value ? 0xff : 0]));
/** A bit string of whole bytes, or with so many unused bits at its end. */
export const bits = (content: Uint8Array, unused = 0): Der => tlv(0x03, Buffer.from([unused]), content);
/** `[n] EXPLICIT`. */
export const explicit = (n: number, content: Uint8Array): Der => tlv(0xa0 | n, content);
/** `[n] IMPLICIT` of a primitive type. */
export const implicit = (n: number, content: Uint8Array): Der => tlv(0x80 | n, content);

/** Not negative. */
export function integer(value: bigint): Der {
  const bytes = minimal(value);
  return tlv(0x02, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** `2.5.29.17`: the first two numbers share a byte, the others are in base 128 (X.690 section 8.19). */
export function oid(text: string): Der {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const out = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) out.unshift(0x80 | (rest & 0x7f));
  return out;
}

/** RFC 5280 section 4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on; whole seconds, in UTC. */
export function time(date: Date): Der {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, "");
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits));
}

export function pem(label: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
