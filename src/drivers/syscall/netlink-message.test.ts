import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Attributes,
  decodeString,
  forEachAttribute,
  MessageWriter,
  NLM_F_ACK,
  NLM_F_REQUEST,
  parseMessages,
} from "./netlink-message.ts";

type Item =
  | { readonly kind: "u8" | "u16" | "u16Be" | "u32" | "u32Be"; readonly value: number }
  | { readonly kind: "u64" | "u64Be"; readonly value: bigint }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "flag" }
  | { readonly kind: "nest"; readonly items: readonly Item[] };

const { items } = fc.letrec<{ item: Item; items: Item[] }>((tie) => ({
  item: fc.oneof(
    { maxDepth: 3 },
    fc.record({ kind: fc.constant("u8" as const), value: fc.nat(0xff) }),
    fc.record({ kind: fc.constantFrom("u16" as const, "u16Be" as const), value: fc.nat(0xffff) }),
    fc.record({ kind: fc.constantFrom("u32" as const, "u32Be" as const), value: fc.nat(0xffffffff) }),
    fc.record({ kind: fc.constantFrom("u64" as const, "u64Be" as const), value: fc.bigInt(0n, (1n << 64n) - 1n) }),
    fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 40 }) }),
    fc.record({
      kind: fc.constant("string" as const),
      value: fc.string({ unit: fc.constantFrom("a", "é", "€", "😀"), maxLength: 20 }),
    }),
    fc.record({ kind: fc.constant("flag" as const) }),
    fc.record({ kind: fc.constant("nest" as const), items: tie("items") }),
  ),
  items: fc.array(tie("item"), { maxLength: 8 }),
}));

/** Types are positions, from 1. */
function write(w: MessageWriter, all: readonly Item[]): void {
  for (const [i, item] of all.entries()) {
    switch (item.kind) {
      case "nest":
        w.nest(i + 1, () => write(w, item.items));
        break;
      case "flag":
        w.flag(i + 1);
        break;
      case "bytes":
        w.bytes(i + 1, item.value);
        break;
      case "string":
        w.string(i + 1, item.value);
        break;
      case "u64":
      case "u64Be":
        w[item.kind](i + 1, item.value);
        break;
      case "u8":
      case "u16":
      case "u16Be":
      case "u32":
      case "u32Be":
        w[item.kind](i + 1, item.value);
    }
  }
}

function checkRead(bytes: Uint8Array, all: readonly Item[]): void {
  const attributes = new Attributes(all.length + 1).read(bytes);
  for (const [i, item] of all.entries()) {
    if (item.kind === "nest") checkRead(attributes.bytes(i + 1) ?? new Uint8Array([1]), item.items);
    else if (item.kind === "flag") assert.equal(attributes.has(i + 1), true);
    else assert.deepEqual(plain(attributes[item.kind](i + 1)), plain(item.value));
  }
  assert.equal(attributes.has(all.length + 1), false);
}

const plain = (value: unknown): unknown => (value instanceof Uint8Array ? [...value] : value);

void describe("netlink messages", () => {
  void it("are read as they were written, however small the buffer was", () => {
    fc.assert(
      fc.property(fc.array(items, { maxLength: 4 }), fc.nat(64), (messages, capacity) => {
        const w = new MessageWriter(capacity);
        for (const [i, all] of messages.entries()) {
          w.begin(i, NLM_F_ACK);
          write(w, all);
          w.end();
        }
        const parsed = parseMessages(w.finish());
        assert.equal(parsed.length, messages.length);
        for (const [i, { type, flags, body }] of parsed.entries()) {
          assert.deepEqual([type, flags], [i, NLM_F_ACK | NLM_F_REQUEST]);
          checkRead(body, messages[i] ?? []);
        }
      }),
    );
  });
  void it("have the fixed header first, padded", () => {
    const w = new MessageWriter(0)
      .begin(20, 0)
      .raw(new Uint8Array([1, 2, 3, 4, 5]))
      .u8(1, 9)
      .end();
    const [message] = parseMessages(w.finish());
    assert.deepEqual([...(message?.body ?? [])], [1, 2, 3, 4, 5, 0, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0]);
    const [nfgen] = parseMessages(new MessageWriter(0).begin(1, 0).nfgen(2, 10).end().finish());
    assert.deepEqual([...(nfgen?.body ?? [])], [2, 0, 0, 10]);
  });
  void it("keep nothing of a message that is cancelled, nor of the buffer's past", () => {
    const w = new MessageWriter(8).begin(1, 0).u32(1, 0xffffffff).end();
    w.begin(2, 0).u32(1, 0xffffffff).cancel();
    w.begin(3, 0)
      .bytes(1, new Uint8Array([7]))
      .end();
    const [one, three, none] = parseMessages(w.finish());
    assert.deepEqual([one?.type, three?.type, none], [1, 3, undefined]);
    assert.deepEqual([...(three?.body ?? [])], [5, 0, 1, 0, 7, 0, 0, 0]);
  });
  void it("refuse to be written badly", () => {
    assert.throws(() => new MessageWriter().begin(1, 0).begin(1, 0));
    assert.throws(() => new MessageWriter().end());
    assert.throws(() => new MessageWriter().begin(1, 0).finish());
    assert.throws(() => new MessageWriter().begin(1, 0).bytes(1, new Uint8Array(65_532)), RangeError);
    const w = new MessageWriter().begin(1, 0);
    const half = new Uint8Array(40_000);
    assert.throws(() => w.nest(1, () => w.bytes(1, half).bytes(2, half)), RangeError);
  });
  void it("skip attributes that nobody knows, and take the last of two", () => {
    const w = new MessageWriter().begin(1, 0).u32(900, 1).u32(1, 2).u32(1, 3);
    w.nest(2, () => w.u8(900, 1)).end();
    const attributes = new Attributes(4).read(parseMessages(w.finish())[0]?.body ?? new Uint8Array());
    assert.deepEqual([attributes.u32(1), attributes.has(900), attributes.u32(3)], [3, false, undefined]);
    const seen: number[] = [];
    forEachAttribute(parseMessages(w.finish())[0]?.body ?? new Uint8Array(), (type) => seen.push(type));
    assert.deepEqual(seen, [900, 1, 1, 2]);
  });
  void it("of any bytes at all are read or refused with a DriverError, and never read beyond their end", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        try {
          for (const { body } of parseMessages(bytes)) {
            const attributes = new Attributes(16).read(body, Math.min(4, body.length));
            for (let type = 0; type < 20; type++) {
              attributes.bytes(type);
              attributes.string(type);
              attributes.u64Be(type);
            }
          }
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, "invalid");
        }
      }),
      { numRuns: 2000 },
    );
  });
  void it("of a kernel that lies about lengths are refused", () => {
    const whole = new MessageWriter().begin(1, 0).u32(1, 7).end().finish();
    for (const [at, length] of [
      [0, 15],
      [0, 400],
      [16, 3],
      [16, 9],
    ] as const) {
      const bytes = whole.slice();
      bytes[at] = length & 255;
      bytes[at + 1] = length >> 8;
      assert.throws(() => parseMessages(bytes).map(({ body }) => new Attributes(4).read(body)), { code: "invalid" });
    }
    assert.throws(() => parseMessages(whole.subarray(0, 10)), { code: "invalid" });
    const [message] = parseMessages(whole);
    assert.throws(() => new Attributes(4).read(message?.body ?? new Uint8Array()).u64(1), { code: "invalid" });
    assert.throws(() => new Attributes(4).read(new Uint8Array(4), 16), { code: "invalid" });
  });
  void it("have text up to its closing zero, and all of it where there is none", () => {
    assert.equal(decodeString(new Uint8Array([101, 116, 104, 0, 9])), "eth");
    assert.equal(decodeString(new Uint8Array([101])), "e");
  });
});
