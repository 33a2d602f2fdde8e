import assert from "node:assert/strict";
import { isIPv4, isIPv6 } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Address6 } from "ip-address";
import { address, compareAddresses, formatAddress, formatBytes, fromBytes, parseAddress, toBytes } from "./address.ts";
import { cidr, contains, covers, formatCidr, mergeRanges, overlaps, parseCidr, rangeToCidrs, toRange } from "./cidr.ts";
import { formatPortRange, mergePortRanges, parsePortRange } from "./port-range.ts";

const v4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((value) => ({ family: 4 as const, value }));
const sparse6 = fc.tuple(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }));
const v6 = sparse6.map(([a, b]) => ({ family: 6 as const, value: a & b & (a >> 3n) }));
const any = fc.oneof(v4, v6);

describe("parseAddress", () => {
  const refused = [
    "",
    "1",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    "1.2.3.-4",
    " 1.2.3.4",
    "1.2.3.4 ",
    "0x1.2.3.4",
    "1.2.3.4/32",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8:9",
    "12345::",
    "g::",
    "fe80::1%eth0",
    "1.2.3.4::",
    "::1.2.3",
    "::1.2.3.4:5",
    "1:",
    ":1",
    "1:2:3:4:5:6:7:",
    "::ffff:1.2.3.04",
    "[::1]",
    "\u0661.1.1.1",
    "1".repeat(1000),
  ];
  for (const text of refused)
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => assert.equal(parseAddress(text), undefined));

  it("takes exactly what the C library's inet_pton takes", () => {
    const nearly = fc.stringMatching(/^[0-9a-f:.]{0,24}$/);
    fc.assert(
      fc.property(fc.oneof(nearly, any.map(formatAddress)), (text) => {
        assert.equal(parseAddress(text) !== undefined, isIPv4(text) || isIPv6(text), text);
      }),
      { numRuns: 2000 },
    );
  });

  const canonical: [string, string][] = [
    ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["1:0:0:0:0:0:0:0", "1::"],
    ["::ffff:a01:203", "::ffff:10.1.2.3"],
    ["64:ff9b::10.1.2.3", "64:ff9b::a01:203"],
  ];
  for (const [text, want] of canonical)
    it(`prints ${text} as ${want} (RFC 5952)`, () => {
      assert.equal(formatAddress(address(text)), want);
      assert.equal(formatBytes(toBytes(address(text))), want);
    });

  it("reads back what it prints, and agrees with another library", () => {
    fc.assert(
      fc.property(any, (a) => {
        const text = formatAddress(a);
        assert.deepEqual(parseAddress(text), a);
        assert.deepEqual(fromBytes(toBytes(a)), a);
        assert.equal(formatBytes(toBytes(a)), text);
        if (a.family === 6) assert.equal(new Address6(text).bigInt(), a.value);
      }),
    );
  });

  it("orders by family, then value", () => {
    assert.ok(compareAddresses(address("9.9.9.9"), address("::")) < 0);
    assert.ok(compareAddresses(address("10.0.0.2"), address("10.0.0.10")) < 0);
  });
});

describe("Cidr", () => {
  it("reads a length with leading zeros as Go does", () => assert.equal(formatCidr(cidr("10.0.0.0/08")), "10.0.0.0/8"));
  it("masks host bits", () => assert.equal(formatCidr(cidr("10.65.3.9/16")), "10.65.0.0/16"));
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "::/129", "/8", "10.0.0.0/8/8", "10.0.0.0/-1"]) {
    it(`refuses ${text}`, () => assert.equal(parseCidr(text), undefined));
  }
  it("knows inside from outside", () => {
    assert.ok(contains(cidr("10.65.0.0/16"), address("10.65.255.255")));
    assert.ok(!contains(cidr("10.65.0.0/16"), address("10.66.0.0")));
    assert.ok(!contains(cidr("0.0.0.0/0"), address("::")));
    assert.ok(covers(cidr("::/0"), cidr("fd65::/64")) && !covers(cidr("fd65::/64"), cidr("::/0")));
    assert.ok(overlaps(cidr("10.0.0.0/8"), cidr("10.1.0.0/16")) && !overlaps(cidr("10.0.0.0/9"), cidr("10.128.0.0/9")));
  });

  it("covers exactly the same addresses after merging and splitting", () => {
    const block = fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 }));
    fc.assert(
      fc.property(fc.array(block, { maxLength: 12 }), (blocks) => {
        const cidrs = blocks.map(([host, length]) => cidr(`10.0.0.${host}/${length}`));
        const merged = mergeRanges(cidrs.map(toRange));
        const split = merged.flatMap(rangeToCidrs);
        for (let host = 0; host < 256; host++) {
          const a = address(`10.0.0.${host}`);
          assert.equal(
            split.some((c) => contains(c, a)),
            cidrs.some((c) => contains(c, a)),
          );
        }
        for (const [i, range] of merged.entries()) assert.ok(i === 0 || (merged[i - 1]?.last ?? 0n) + 1n < range.first);
      }),
    );
  });
  it("splits the whole space into one block", () => {
    assert.deepEqual(rangeToCidrs(toRange(cidr("::/0"))).map(formatCidr), ["::/0"]);
    assert.deepEqual(rangeToCidrs(toRange(cidr("255.255.255.255/32"))).map(formatCidr), ["255.255.255.255/32"]);
  });
});

describe("PortRange", () => {
  it("reads numbers, text and ranges", () => {
    assert.deepEqual(parsePortRange(80), { first: 80, last: 80 });
    assert.deepEqual(parsePortRange("8000:8100"), { first: 8000, last: 8100 });
    for (const text of ["", "65536", "2:1", "1-2", "-1", "1:", "a", "1:2:3", 1.5])
      assert.equal(parsePortRange(text), undefined);
  });
  it("merges touching ranges", () => {
    const ranges = ["80", "81:90", "100", "85"].map((text) => parsePortRange(text) ?? assert.fail());
    assert.deepEqual(mergePortRanges(ranges).map(formatPortRange), ["80:90", "100"]);
  });
});
