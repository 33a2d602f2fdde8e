import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { NftSet } from "../../core/rules/ir.ts";
import { decodeElements, encodeElement, encodeKey, keyLength } from "./element.ts";
import { findOverlap } from "./overlap.ts";
import { formatValue, lengthOf, parseValue, type ValueType } from "./value.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Type, text, first and last value as bytes. */
const VALUES: readonly (readonly [ValueType, string, string, string?])[] = [
  ["ipv4_addr", "10.65.0.7", "0a410007"],
  ["ipv4_addr", "10.65.0.0/16", "0a410000", "0a41ffff"],
  ["ipv4_addr", "0.0.0.0/0", "00000000", "ffffffff"],
  ["ipv4_addr", "10.0.0.1-10.0.0.9", "0a000001", "0a000009"],
  ["ipv4_addr", "255.255.255.255", "ffffffff"],
  ["ipv6_addr", "fe80::1", "fe800000000000000000000000000001"],
  ["ipv6_addr", "::/0", "00".repeat(16), "ff".repeat(16)],
  ["ipv6_addr", "fe80::/10", `fe80${"00".repeat(14)}`, `febf${"ff".repeat(14)}`],
  ["ipv6_addr", "::ffff:1.2.3.4", "00000000000000000000ffff01020304"],
  ["ipv6_addr", "fd00::1-fd00::9", `fd00${"00".repeat(13)}01`, `fd00${"00".repeat(13)}09`],
  ["ether_addr", "02:00:0a:0b:0c:0d", "02000a0b0c0d"],
  ["ifname", "manx0a1b", Buffer.from("manx0a1b").toString("hex").padEnd(32, "0")],
  [
    "ifname",
    "manx*",
    Buffer.from("manx").toString("hex").padEnd(32, "0"),
    Buffer.from("manx").toString("hex").padEnd(32, "f"),
  ],
  ["ifname", "abcdefghijklmno", `${Buffer.from("abcdefghijklmno").toString("hex")}00`],
  ["inet_proto", "6", "06"],
  ["inet_proto", "0-255", "00", "ff"],
  ["inet_service", "8080", "1f90"],
  ["inet_service", "80-90", "0050", "005a"],
  ["icmp_type", "8", "08"],
  ["icmpv6_code", "255", "ff"],
  ["mark", "0x1f", "1f000000"],
  ["mark", "0xffffffff", "ffffffff"],
  ["nf_proto", "ipv6", "0a"],
  ["arp_op", "1", "0001"],
];

const WRONG: Readonly<Record<string, readonly string[]>> = {
  ipv4_addr: [
    "",
    "10.0.0",
    "010.0.0.1",
    "10.0.0.1/32",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.9-10.0.0.1",
    "10.0.0.1-10.0.0.1",
    "10.0.0.0-10.0.0.255",
    "fe80::1",
    "::/0",
    "10.0.0.1 ",
    "10.0.0.0/8/8",
    "1-2-3",
    "x".repeat(1000),
  ],
  ipv6_addr: ["", "FE80::1", "fe80:0::1", "fe80::1/128", "fe80::1/10", "10.0.0.1", "::1%lo", "fd00::-fd00::1", "::-::"],
  ether_addr: [
    "",
    "02:00:0A:0B:0C:0D",
    "2:0:0:0:0:1",
    "02-00-0a-0b-0c-0d",
    "02:00:0a:0b:0c:0d:0e",
    "02:00:00:00:00:01-02:00:00:00:00:02",
  ],
  ifname: [
    "",
    "*",
    "a b",
    "a/b",
    "a*b",
    "a**",
    "abcdefghijklmnop",
    "abcdefghijklmnop*",
    ".",
    "..",
    "a\0b",
    "a\nb",
    'a"b',
    "ä",
    "a:b",
  ],
  inet_service: ["", "-1", "65536", "080", "1.5", "80-", "-80", "90-80", "80-80", "1e3", "http"],
  inet_proto: ["256", "tcp", "6-6", " 6"],
  mark: ["", "1", "0x", "0x01", "0X1", "0xABC", "0x100000000", "0x1-0x2"],
  nf_proto: ["inet", "2"],
};

describe("a value", () => {
  for (const [type, text, first, last] of VALUES)
    it(`${type} ${text} has its bytes, and its text again`, () => {
      const span = parseValue(type, text);
      assert.deepEqual([hex(span.first), hex(span.last)], [first, last ?? first]);
      assert.equal(formatValue(type, span), text);
      assert.equal(span.first.length, lengthOf(type));
    });
  for (const [type, texts] of Object.entries(WRONG))
    for (const text of texts)
      it(`is refused: ${type} ${JSON.stringify(text.slice(0, 40))}`, () => {
        assert.throws(
          () => parseValue(type as ValueType, text),
          (error) => error instanceof RangeError && error.message.length < 250,
        );
      });
});

const ports: NftSet = { key: ["inet_service"], interval: true, elements: new Map() };

describe("an element", () => {
  it("of several fields has each of them at a multiple of four bytes", () => {
    assert.equal(
      hex(
        encodeKey(["inet_proto", "inet_service", "ether_addr", "ipv4_addr"], "6 . 80 . 02:00:00:00:00:01 . 10.0.0.1")
          .first,
      ),
      "060000000050000002000000000100000a000001",
    );
    assert.equal(keyLength(["inet_proto", "inet_service", "ether_addr"]), 16);
    assert.equal(keyLength(["inet_service"]), 2);
  });

  it("that is an interval ends before the next key, and is open at the largest", () => {
    assert.deepEqual(
      encodeElement(ports, "80-255", null).map(({ key, isEnd }) => [hex(key), isEnd ?? false]),
      [
        ["0050", false],
        ["0100", true],
      ],
    );
    assert.deepEqual(
      encodeElement(ports, "80-65535", null).map(({ key, isOpen }) => [hex(key), isOpen ?? false]),
      [["0050", true]],
    );
  });

  it("comes out of starts and ends in any order", () => {
    const texts = ["0", "1-79", "80", "81-90", "100-199", "200", "65535"];
    const wire = texts.flatMap((text) => encodeElement(ports, text, null));
    fc.assert(
      fc.property(fc.shuffledSubarray(wire, { minLength: wire.length }), (shuffled) => {
        assert.deepEqual(
          decodeElements(ports, shuffled)?.map(({ key }) => key),
          texts,
        );
      }),
    );
  });

  it("is not made up where nft(8) put an end before the first start", () => {
    const first = { key: Uint8Array.of(0, 0), isEnd: true };
    assert.deepEqual(
      decodeElements(ports, [first, ...encodeElement(ports, "80", null)])?.map(({ key }) => key),
      ["80"],
    );
  });

  it("that the canonical text cannot say makes the set unknown", () => {
    const set: NftSet = { key: ["ifname", "inet_service"], interval: true, elements: new Map() };
    const [element] = encodeElement(set, "manx* . 80", null);
    assert.ok(element?.keyEnd);
    assert.ok(decodeElements(set, [element]));
    const keyEnd = element.keyEnd.slice();
    keyEnd[10] = 7;
    assert.equal(decodeElements(set, [{ ...element, keyEnd }]), undefined);
  });
});

describe("overlap", () => {
  it("is found where a slow comparison of ports finds it", () => {
    const port = fc.integer({ min: 0, max: 12 });
    const range = fc.tuple(port, port).map(([a, b]) => (a === b ? String(a) : `${Math.min(a, b)}-${Math.max(a, b)}`));
    const element = fc.tuple(range, range).map(([a, b]) => `${a} . ${b}`);
    const covers = (text: string): Set<string> => {
      const [xs, ys] = text.split(" . ").map((part) => part.split("-").map(Number)) as [number[], number[]];
      const out = new Set<string>();
      for (let x = xs[0] ?? 0; x <= (xs.at(-1) ?? 0); x++)
        for (let y = ys[0] ?? 0; y <= (ys.at(-1) ?? 0); y++) out.add(`${x} ${y}`);
      return out;
    };
    fc.assert(
      fc.property(fc.uniqueArray(element, { maxLength: 6 }), (texts) => {
        const set: NftSet = {
          key: ["inet_service", "inet_service"],
          interval: true,
          elements: new Map(texts.map((text) => [text, null])),
        };
        const slow = texts.some((a, i) => texts.slice(i + 1).some((b) => !covers(a).isDisjointFrom(covers(b))));
        assert.equal(findOverlap(set) !== undefined, slow);
      }),
    );
  });
});
