import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type PacketHead, parseHead } from "./packet-head.ts";

const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (b) => Number.parseInt(b, 16));

const V4 = (protocol: string, fragment: string, rest: string): string =>
  `45000028 0000${fragment} 40${protocol}0000 0a410001 0a410002 ${rest}`;
const V6 = (next: string, rest: string): string =>
  `60000000 0014${next}40 fd650000000000000000000000000001 fd650000000000000000000000000002 ${rest}`;

const v4 = { source: "10.65.0.1", destination: "10.65.0.2" };
const v6 = { source: "fd65::1", destination: "fd65::2" };
const ports = { sourcePort: 0x9c40, destinationPort: 80 };

const CASES: readonly [string, number, string, PacketHead | undefined][] = [
  ["TCP over IPv4", 0x0800, V4("06", "4000", "9c400050"), { ...v4, protocol: 6, ...ports }],
  ["a first fragment", 0x0800, V4("11", "2000", "9c400050"), { ...v4, protocol: 17, ...ports }],
  ["a later fragment", 0x0800, V4("11", "0010", "9c400050"), { ...v4, protocol: 17, fragment: true }],
  ["an echo request", 0x0800, V4("01", "0000", "0800"), { ...v4, protocol: 1, icmp: { type: 8, code: 0 } }],
  ["options", 0x0800, `46${V4("84", "0000", "01010101 9c400050").slice(2)}`, { ...v4, protocol: 132, ...ports }],
  ["ports cut off", 0x0800, V4("06", "0000", "9c40"), { ...v4, protocol: 6 }],
  ["ESP", 0x0800, V4("32", "0000", "9c400050"), { ...v4, protocol: 50 }],
  ["a header cut off", 0x0800, V4("06", "0000", "").slice(0, 40), undefined],
  ["a header of no length", 0x0800, `44${V4("06", "0000", "9c400050").slice(2)}`, undefined],
  ["IPv6 said to be IPv4", 0x0800, V6("06", "9c400050"), undefined],
  ["UDP over IPv6", 0x86dd, V6("11", "9c400050"), { ...v6, protocol: 17, ...ports }],
  ["a neighbour solicitation", 0x86dd, V6("3a", "8700"), { ...v6, protocol: 58, icmp: { type: 135, code: 0 } }],
  [
    "extension headers",
    0x86dd,
    V6("00", "2b00000000000000 3c01000000000000 0000000000000000 0600000000000000 9c400050"),
    { ...v6, protocol: 6, ...ports },
  ],
  [
    "an authentication header",
    0x86dd,
    V6("33", "0601000000000000 00000000 9c400050"),
    { ...v6, protocol: 6, ...ports },
  ],
  ["a later fragment of IPv6", 0x86dd, V6("2c", "0600000800000000 9c400050"), { ...v6, protocol: 6, fragment: true }],
  ["a first fragment of IPv6", 0x86dd, V6("2c", "0600000100000000 9c400050"), { ...v6, protocol: 6, ...ports }],
  ["endless extension headers", 0x86dd, V6("00", "0000000000000000 ".repeat(20)), { ...v6, protocol: 0 }],
  ["ARP", 0x0806, "0001 0800 06 04 0001 020000000001 0a410001 000000000000 0a410002", v4],
  ["ARP of something else", 0x0806, "0006 0800 06 04 0001 020000000001 0a410001 000000000000 0a410002", undefined],
  ["another ethertype", 0x88cc, V4("06", "0000", "9c400050"), undefined],
];

void describe("a packet's head", () => {
  for (const [title, etherType, bytes, head] of CASES)
    void it(`of ${title}`, () => assert.deepEqual(parseHead(etherType, hex(bytes)), head));

  void it("of any bytes at all is read or not, without an error", () => {
    const bytes = fc.uint8Array({ minLength: 0, maxLength: 100 });
    fc.assert(
      fc.property(
        fc.constantFrom(0x0800, 0x86dd, 0x0806),
        fc.constantFrom(0x45, 0x4f, 0x60, 0),
        bytes,
        (type, first, rest) => {
          parseHead(type, Uint8Array.from([first, ...rest]));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
