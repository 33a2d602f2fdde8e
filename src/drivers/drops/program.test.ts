import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Assembler } from "./assembler.ts";
import { Btf } from "./btf.ts";
import { layoutOf } from "./program.ts";

/** A BTF of these types: [name, kind, parts], a part being [name, type or value, bits]. */
function btf(
  types: readonly (readonly [string, number, readonly (readonly [string, number, number?])[]])[],
): Uint8Array {
  let strings = "\0";
  const named = (name: string): number => {
    if (name === "") return 0;
    strings += `${name}\0`;
    return strings.length - name.length - 1;
  };
  const words = types.flatMap(([name, kind, parts]) => [
    named(name),
    ((kind << 24) | parts.length) >>> 0,
    0,
    ...parts.flatMap(([part, second, bits]) => [named(part), second, ...(bits === undefined ? [] : [bits])]),
  ]);
  const bytes = new Uint8Array(24 + words.length * 4 + strings.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  for (const [i, word] of [24, 0, words.length * 4, words.length * 4, strings.length, ...words].entries())
    view.setUint32(4 + i * 4, word, true);
  bytes.set(Buffer.from(strings, "latin1"), 24 + words.length * 4);
  return bytes;
}

void describe("BTF", () => {
  const [STRUCT, UNION, ENUM] = [4, 5, 6];
  const types = new Btf(
    btf([
      [
        "",
        UNION,
        [
          ["inner", 0, 32],
          ["other", 0, 0],
        ],
      ], // type 1
      [
        "sk_buff",
        STRUCT,
        [
          ["head", 0, 64],
          ["", 1, 128],
        ],
      ],
      ["skb_drop_reason", ENUM, [["SKB_DROP_REASON_IP_RPFILTER", 16]]],
    ]),
  );
  void it("tells where fields lie, through nameless groups", () => {
    assert.equal(types.offset("sk_buff", "head"), 8);
    assert.equal(types.offset("sk_buff", "inner"), 20);
    assert.equal(types.offset("sk_buff", "nothing"), undefined);
    assert.equal(types.offset("nothing", "head"), undefined);
  });
  void it("tells the numbers of an enumeration", () => {
    assert.equal(types.enumeration("skb_drop_reason").get("SKB_DROP_REASON_IP_RPFILTER"), 16);
    assert.equal(types.enumeration("nothing").size, 0);
  });
  void it("of a kernel that lacks a field is no use, and other bytes are refused", () => {
    assert.equal(layoutOf(types), undefined);
    assert.throws(() => new Btf(new Uint8Array(64)), RangeError);
  });
});

void describe("eBPF", () => {
  void it("is encoded as RFC 9669 says", () => {
    const bytes = new Assembler().load(6, 8, 1, 0).when(6, "eq", 3, "end").go("end").set(0, 1).label("end").exit();
    assert.equal(
      Buffer.from(bytes.finish()).toString("hex"),
      ["7916000000000000", "1506020003000000", "0500010000000000", "b700000001000000", "9500000000000000"].join(""),
    );
    assert.throws(() => new Assembler().go("nowhere").finish(), /no label/);
  });
});
