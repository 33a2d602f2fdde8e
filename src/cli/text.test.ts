import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { renderTable } from "./table.ts";
import { escapeQuoted, isUnsafe, padEnd, plain, plainLines, width } from "./text.ts";

const anyText = fc.string({ unit: "binary" });

describe("text for a terminal", () => {
  it("shows what would act on the terminal", () => {
    const cases = [
      ["web", "web"],
      ["a\nb\tc", "a\\nb\\tc"],
      ["\u001b[31m", "\\x1b[31m"],
      ["\u009b31m", "\\x9b31m"],
      ["a\u202eb", "a\\u202eb"],
      ["\ud800", "\\ud800"],
      ["日本語 é", "日本語 é"],
    ] as const;
    for (const [text, shown] of cases) assert.equal(plain(text), shown);
    assert.equal(plainLines("a\nb\u0007"), "a\nb\\x07");
  });

  it("leaves nothing unsafe in any text, and changes nothing that is safe", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = plain(text);
        assert.ok(!isUnsafe(shown));
        if (!isUnsafe(text)) assert.equal(shown, text);
      }),
    );
  });

  it("keeps what JSON says", () => {
    fc.assert(
      fc.property(fc.jsonValue(), anyText, (value, text) => {
        const data = { value, text };
        assert.deepEqual(
          JSON.parse(escapeQuoted(JSON.stringify(data, undefined, 2))),
          JSON.parse(JSON.stringify(data)),
        );
      }),
    );
  });

  it("knows how many columns a text takes", () => {
    const cases = [
      ["", 0],
      ["web", 3],
      ["日本", 4],
      ["é", 1],
      ["e\u0301", 1],
      ["🐈", 2],
      ["👩‍👩‍👧", 2],
      ["\u0600 ", 2],
    ] as const;
    for (const [text, columns] of cases) assert.equal(width(text), columns, text);
    assert.equal(padEnd("日", 4), "日  ");
    assert.equal(padEnd("long", 2), "long");
  });

  it("puts the last columns below their row where there is no room beside it, broken between words", () => {
    const columns = [
      { title: "NAME", value: (row: readonly string[]) => row[0] ?? "" },
      { title: "HOST", value: () => "h1" },
      { title: "BECAUSE", value: (row: readonly string[]) => row[1] ?? "" },
    ];
    const rows = [
      ["web", "one two three four"],
      ["db", ""],
    ];
    const at = (room?: number) => renderTable(columns, rows, (_, text) => text, room);
    assert.deepEqual(at(), at(30));
    assert.equal(at()[1], "web   h1    one two three four");
    assert.deepEqual(at(25), ["NAME  HOST", "web   h1", "    because: one two", "      three four", "db    h1"]);
  });

  it("puts columns in line, whatever is in them", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyText, anyText), { minLength: 1, maxLength: 5 }), (rows) => {
        const columns = [
          { title: "A", value: (row: [string, string]) => row[0] },
          { title: "B", value: () => "|" },
        ];
        const lines = renderTable(columns, rows, (_, text) => text);
        assert.equal(lines.length, rows.length + 1);
        const starts = lines.slice(1).map((line) => width(line.slice(0, line.lastIndexOf("|"))));
        assert.equal(new Set(starts).size, 1);
      }),
    );
  });
});
