import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compareCodePoints, MAX_NESTING, type Selector, valueSet } from "./ast.ts";
import { match } from "./match.ts";
import { parseSelector, selector } from "./parse.ts";
import { printSelector } from "./print.ts";
import { isImpossible, restrictions } from "./restrictions.ts";

type LabelSet = Record<string, string>;

describe("match", () => {
  const rows: [selector: string, matching: LabelSet[], others: LabelSet[]][] = [
    [`a == "b"`, [{ a: "b" }, { a: "b", c: "d" }], [{}, { a: "c" }, { c: "d" }, { A: "b" }]],
    [`a == "b" && c == "d"`, [{ a: "b", c: "d" }], [{}, { a: "b", c: "e" }, { a: "c", c: "d" }, { a: "b" }]],
    [`a == "b" || c == "d"`, [{ a: "b", c: "d" }, { a: "b" }, { c: "d" }], [{}, { a: "e", c: "e" }]],
    [`a in {"'", '"', "c"}`, [{ a: "c" }, { a: '"' }, { a: "'" }], [{}, { a: "e" }]],
    [`a not in {"'", '"', "c"}`, [{}, { a: "e" }], [{ a: "c" }, { a: '"' }]],
    [`a in {}`, [], [{}, { a: "" }]],
    [`a not in {}`, [{}, { a: "" }], []],
    [`a in {""}`, [{ a: "" }], [{}, { a: "x" }]],
    [`a == ""`, [{ a: "" }], [{}]],
    [`a != ""`, [{}, { a: "x" }], [{ a: "" }]],
    [`a != "b"`, [{}, { a: "c" }], [{ a: "b" }]],
    [`a contains "bc"`, [{ a: "bc" }, { a: "abcd" }], [{}, { a: "b" }, { b: "bc" }]],
    [`a contains ""`, [{ a: "" }, { a: "x" }], [{}]],
    [`a starts with "ab"`, [{ a: "ab" }, { a: "abc" }], [{}, { a: "cab" }]],
    [`a ends with "ab"`, [{ a: "ab" }, { a: "cab" }], [{}, { a: "abc" }]],
    [`!a contains "b"`, [{}, { a: "c" }], [{ a: "abc" }]],
    [`has(a)`, [{ a: "" }], [{}, { b: "a" }]],
    [`!has(a)`, [{}], [{ a: "" }]],
    [`!!has(a)`, [{ a: "" }], [{}]],
    [`!! ! has(a)`, [{}], [{ a: "" }]],
    [``, [{}, { a: "b" }], []],
    [` \t`, [{}, { a: "b" }], []],
    [`all()`, [{}, { a: "b" }], []],
    [`global()`, [{}, { a: "b" }], []],
    [`!all()`, [], [{}, { a: "b" }]],
    [`!global()`, [], [{}]],
    [`! a == "b"`, [{}, { a: "c" }], [{ a: "b" }]],
    [`!a in {"b"}`, [{}, { a: "c" }], [{ a: "b" }]],
    [`!(!has(a) || has(b))`, [{ a: "" }], [{}, { b: "" }, { a: "", b: "" }]],
    [`has(a) || has(b) && has(c)`, [{ a: "" }, { b: "", c: "" }], [{ b: "" }, { c: "" }]],
    [`(has(a) || has(b)) && has(c)`, [{ a: "", c: "" }], [{ a: "" }, { c: "" }]],
    [`has(toString)`, [{ toString: "x" }], [{}]],
    [`has(__proto__)`, [JSON.parse(`{"__proto__": "x"}`)], [{}]],
    [`constructor != "x"`, [{}], [JSON.parse(`{"constructor": "x"}`)]],
    [`a == "é"`, [{ a: "é" }], [{ a: "e\u0301" }]],
    [
      `a in {${Array.from({ length: 50 }, (_, i) => `"v${i}"`).join(",")}}`,
      [{ a: "v0" }, { a: "v49" }, { a: "v7" }],
      [{}, { a: "v50" }, { a: "" }, { a: "w" }],
    ],
  ];
  for (const [text, matching, others] of rows) {
    it(text || "the empty selector", () => {
      for (const form of [text, printSelector(selector(text))]) {
        for (const labels of matching) assert.ok(match(selector(form), labels), `${form} ${JSON.stringify(labels)}`);
        for (const labels of others) assert.ok(!match(selector(form), labels), `${form} ${JSON.stringify(labels)}`);
        for (const labels of matching) assert.ok(match(selector(form), new Map(Object.entries(labels))));
      }
    });
  }
});

describe("printSelector", () => {
  const rows: [text: string, canonical: string][] = [
    ["", "all()"],
    [" all( ) ", "all()"],
    [" (all() )", "all()"],
    ["global(\t)", "global()"],
    [`! (has( b)||! has(a ))`, "!(has(b) || !has(a))"],
    [`! (a == "b"&&! c != "d")`, `!(a == "b" && !c != "d")`],
    [`a == "'"`, `a == "'"`],
    [`a == '"'`, `a == '"'`],
    [`a == 'b'`, `a == "b"`],
    [`a contains '"'`, `a contains '"'`],
    [`a startswith 'b'`, `a starts with "b"`],
    [`a ends \t with"b"`, `a ends with "b"`],
    [`a notin{'b'}`, `a not in {"b"}`],
    [`a in {"d", "a", "b", "a"}`, `a in {"a", "b", "d"}`],
    [`a in {"d",}`, `a in {"d"}`],
    [`a in { }`, `a in {}`],
    [`a in {'"', "'"}`, `a in {'"', "'"}`],
    [`a in {"\u{1f600}", "\uffee", "Z", "a"}`, `a in {"Z", "a", "\uffee", "\u{1f600}"}`],
    [`(((a == "b")))`, `a == "b"`],
    [`(has(a) && has(b)) && has(c)`, "((has(a) && has(b)) && has(c))"],
    [`has(a) && has(b) || has(c) && has(d)`, "((has(a) && has(b)) || (has(c) && has(d)))"],
    [`!(!has(a))`, "!!has(a)"],
    [`!!has(a)`, "has(a)"],
    [
      `!(!(k == 'v' && has(t) || all()) && (a in {'b', 'c'}))`,
      `!(!((k == "v" && has(t)) || all()) && a in {"b", "c"})`,
    ],
    [`in in {"in"} && not not in {"not"}`, `(in in {"in"} && not not in {"not"})`],
    [`contains contains "contains"`, `contains contains "contains"`],
    [`starts starts with 'x' || ends ends with 'y'`, `(starts starts with "x" || ends ends with "y")`],
    [`has == "x"`, `has == "x"`],
    [`all == "x" || global != "y"`, `(all == "x" || global != "y")`],
    [`has(has)`, "has(has)"],
    [`hasx=="1"`, `hasx == "1"`],
    [`a=="x\ny"`, `a == "x\ny"`],
    [`a.b/c-d_E9 == "1"`, `a.b/c-d_E9 == "1"`],
    [`-.- == "\\"`, `-.- == "\\"`],
    [`has(a)&&has(b)`, "(has(a) && has(b))"],
  ];
  for (const [text, canonical] of rows) {
    it(`prints ${JSON.stringify(text)}`, () => assert.equal(printSelector(selector(text)), canonical));
  }
});

describe("parseSelector refuses", () => {
  const long = "x".repeat(513);
  const rows: [text: string, offset: number, message: RegExp][] = [
    ["b == b", 5, /string in quotes after ==, not the label "b" \(a value needs quotes\)/],
    ["b contains b", 11, /string in quotes/],
    ["b starts with b", 14, /string in quotes/],
    ["b startswithb 'x'", 2, /expected an operator/],
    ["'b1' == b", 0, /expected a label, has\(\), all\(\), global\(\) or \(, not the string "b1"/],
    ["b", 1, /operator after the label "b"/],
    ["a ", 2, /operator after the label "a"/],
    ["a b", 2, /expected an operator/],
    ["a has(b)", 2, /expected an operator/],
    ["!", 1, /not the end/],
    ["a ! == 'b'", 2, /operator after the label "a"/],
    ["a !in {'b'}", 2, /operator after the label "a"/],
    ["a = 'b'", 2, /expected ==/],
    ["a === 'b'", 4, /expected ==/],
    [`foo == "bar" &`, 13, /expected &&/],
    [`foo == "bar" & has(a)`, 13, /expected &&/],
    [`foo == "bar" |`, 13, /expected \|\|/],
    [`foo == "bar" &&`, 15, /not the end/],
    ["foo != ||", 7, /string in quotes after !=, not \|\|/],
    [`foo in {"", ||`, 12, /string in quotes or }/],
    [`foo in {,}`, 8, /string in quotes or }/],
    [`foo in {"a",,}`, 12, /string in quotes or }/],
    [`foo in {"a" "b"}`, 12, /string in quotes or }/],
    [`foo in {a}`, 8, /string in quotes or }/],
    [`foo in {"a"`, 11, /string in quotes or }/],
    [`foo in "a"`, 7, /expected a set like/],
    [`foo inx {"a"}`, 4, /expected an operator/],
    [`foo in-{"a"}`, 4, /expected an operator/],
    [`foo contains.'a'`, 4, /expected an operator/],
    [`foo in(has(a))`, 6, /expected a set like/],
    [`foo IN {"a"}`, 4, /expected an operator/],
    [`foo not {"a"}`, 4, /expected an operator/],
    [`foo starts 'a'`, 4, /expected an operator/],
    [`foo starts foo 'a'`, 4, /expected an operator/],
    [`"FOO`, 0, /no closing "/],
    [`a == "FOO'`, 5, /no closing "/],
    [`a == 'FOO"`, 5, /no closing '/],
    [`a == "it\\"s"`, 11, /no closing|expected/],
    ["(", 1, /not the end/],
    [`(a == "foo"`, 11, /expected &&, \|\| or \), not the end/],
    [")", 0, /not \)/],
    ["()", 1, /not \)/],
    [`a == "b")`, 8, /expected &&, \|\| or the end, not \)/],
    [`a == "b" c == "d"`, 9, /expected &&, \|\| or the end/],
    ["has(a) has(b)", 7, /expected &&, \|\| or the end, not has\(b\)/],
    [`has(a) == "b"`, 7, /expected &&, \|\| or the end, not ==/],
    ["%", 0, /name of a label, not "%"/],
    [`a == "b" && %`, 12, /name of a label/],
    ["has()", 4, /name of a label, not "\)"/],
    ["has(", 4, /name of a label, not the end/],
    ["has (a)", 4, /operator after the label "has"/],
    ["has(a b)", 6, /close has\(/],
    ["has('a')", 4, /name of a label/],
    ["all", 3, /operator after the label "all"/],
    ["all ()", 4, /operator after the label "all"/],
    ["all(a)", 4, /close all\(/],
    ["global(x)", 7, /close global\(/],
    ["has(é)", 4, /not "é"/],
    ["\u{1f600}", 0, /not "\u{1f600}"/u],
    ["has(a)\n", 6, /name of a label, not "\\n"/],
    ["\u00a0has(a)", 0, /name of a label/],
    ["has(a)\r\n&& has(b)", 6, /name of a label/],
    [`${long} == "a"`, 0, /at most 512 characters, this one has 513/],
    [`has(${long})`, 4, /at most 512 characters/],
    ["== 'a'", 0, /not ==/],
    ["{}", 0, /not {/],
    [",", 0, /not ,/],
    ["has(a) || || has(b)", 10, /not \|\|/],
    [`${"(".repeat(100_000)}has(a)${")".repeat(99_999)}`, 200_005, /expected &&, \|\| or \), not the end/],
    [
      `${"!(".repeat(100_000)}has(a)${")".repeat(100_000)}`,
      2 * (100_000 - MAX_NESTING) - 3,
      /nested more than 1000 deep/,
    ],
  ];
  for (const [text, offset, message] of rows) {
    it(JSON.stringify(text.slice(0, 60)), () => {
      const parsed = parseSelector(text);
      assert.ok(!parsed.ok, "accepted");
      assert.match(parsed.problem.message, message);
      assert.equal(parsed.problem.offset, offset);
    });
  }

  it("nothing at the limits", () => {
    const deep = `${"!(".repeat(MAX_NESTING - 1)}has(a) || has(b)${")".repeat(MAX_NESTING - 1)}`;
    assert.equal(match(selector(deep), { a: "" }), false);
    assert.match(printSelector(selector(deep)), /^!!!/);
    assert.ok(parseSelector(`has(${"x".repeat(512)})`).ok);
    assert.deepEqual(selector(`${"(".repeat(100_000)}has(a)${")".repeat(100_000)}`), selector("has(a)"));
    assert.ok(parseSelector("!".repeat(100_001).concat("has(a)")).ok);
  });

  // Whatever is worse than linear here runs for minutes: the timeout is no measurement.
  it("or accepts half a megabyte in the time that it takes to read it", { timeout: 300_000 }, () => {
    const hostile = [
      `a in {${`"x",`.repeat(125_000)}}`,
      Array.from({ length: 40_000 }, (_, i) => `a=="${i}"`).join("||"),
      Array.from({ length: 40_000 }, (_, i) => `a${i}=="1"`).join("&&"),
      `a ${"starts ".repeat(80_000)}`,
      `a starts${" ".repeat(500_000)}`,
      `"`.repeat(500_001),
      "has(".repeat(100_000),
      `${"(".repeat(900)}${Array.from({ length: 40_000 }, () => "has(a)").join("&&")}${")".repeat(900)}`,
    ];
    for (const text of hostile) {
      const parsed = parseSelector(text);
      if (parsed.ok) restrictions(parsed.selector);
    }
  });
});

const label = fc.constantFrom("a", "b", "in", "has", "x/y.z-1_");
const value = fc.constantFrom("", "a", "b", "ab", "'", '"', "é", "\u{1f600}", "\uffff");
const leaf: fc.Arbitrary<Selector> = fc.oneof(
  fc.constant<Selector>({ kind: "all" }),
  fc.constant<Selector>({ kind: "global" }),
  label.map((label): Selector => ({ kind: "has", label })),
  fc
    .tuple(fc.constantFrom("==", "!=", "contains", "starts with", "ends with"), label, value)
    .map(([kind, label, value]): Selector => ({ kind, label, value })),
  fc
    .tuple(fc.constantFrom("in", "not in"), label, fc.array(value))
    .map(([kind, label, values]): Selector => ({ kind, label, values: valueSet(values) })),
);
const { tree } = fc.letrec<{ tree: Selector }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    leaf,
    // `!!x` is not a tree that the parser makes: it folds it.
    tie("tree").map((operand): Selector => (operand.kind === "not" ? operand : { kind: "not", operand })),
    fc
      .tuple(fc.constantFrom("and", "or"), fc.array(tie("tree"), { minLength: 2, maxLength: 4 }))
      .map(([kind, operands]): Selector => ({ kind, operands })),
  ),
}));
const labelSet = fc.dictionary(label, value);

describe("selectors of all shapes", () => {
  it("read back as what was printed", () => {
    fc.assert(fc.property(tree, (tree) => assert.deepEqual(selector(printSelector(tree)), tree)));
  });
  it("keep what they match when negation is doubled, however it is read", () => {
    fc.assert(
      fc.property(tree, labelSet, (tree, labels) => {
        const text = printSelector(tree);
        assert.equal(match(selector(`!(${text})`), labels), !match(tree, labels));
        assert.equal(match(selector(printSelector(selector(`!(!(${text}))`))), labels), match(tree, labels));
      }),
    );
  });
  it("never match labels that their restrictions exclude", () => {
    fc.assert(
      fc.property(tree, labelSet, (tree, labels) => {
        const all = restrictions(tree);
        if (!match(tree, labels)) return;
        assert.ok(!isImpossible(all));
        for (const [name, { mustBePresent, mustBeAbsent, oneOf }] of all) {
          const value = Object.hasOwn(labels, name) ? labels[name] : undefined;
          assert.ok(!mustBePresent || value !== undefined);
          assert.ok(!mustBeAbsent || value === undefined);
          assert.ok(oneOf === undefined || (value !== undefined && oneOf.includes(value)));
        }
      }),
      { numRuns: 1000 },
    );
  });
  it("or garbage give a position inside the text, never another error", () => {
    const word = fc.constantFrom(
      ..."( ) { } , ! && || == != = & | \" ' has( all( global( in not starts with a b \t".split(" "),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), fc.constantFrom("", " "), (words, glue) => {
        const text = words.join(glue);
        const parsed = parseSelector(text);
        if (parsed.ok) assert.deepEqual(selector(printSelector(parsed.selector)).kind.length > 0, true);
        else assert.ok(parsed.problem.offset >= 0 && parsed.problem.offset <= text.length);
      }),
      { numRuns: 3000 },
    );
  });
});

describe("compareCodePoints", () => {
  it("orders as the UTF-8 bytes do", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
        assert.equal(Math.sign(compareCodePoints(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))));
      }),
    );
  });
});

describe("restrictions", () => {
  const demand = (text: string) =>
    [...restrictions(selector(text))].map(([label, { mustBePresent, mustBeAbsent, oneOf }]) =>
      [label, mustBePresent ? "present" : "", mustBeAbsent ? "absent" : "", oneOf ? `{${oneOf.join()}}` : ""]
        .filter((word) => word !== "")
        .join(" "),
    );
  const rows: [text: string, demands: string[]][] = [
    ["", []],
    ["all()", []],
    ["global()", []],
    ["a == 'value'", ["a present {value}"]],
    ["has(a)", ["a present"]],
    ["a in {'v1','v2'}", ["a present {v1,v2}"]],
    ["a not in {'v1','v2'}", []],
    ["a contains 'foo'", ["a present"]],
    ["a ends with 'foo'", ["a present"]],
    ["a starts with 'foo'", ["a present"]],
    ["a != 'value'", []],
    ["a == 'v1' && a == 'v2'", ["a present {}"]],
    ["a == 'v1' && has(a)", ["a present {v1}"]],
    ["has(a) && a == 'v1'", ["a present {v1}"]],
    ["a in {'v1','v2', 'v3'} && a in {'v2','v3'}", ["a present {v2,v3}"]],
    ["has(a) && !has(a)", ["a present absent"]],
    ["a == 'v1' && b == 'v2'", ["a present {v1}", "b present {v2}"]],
    ["all() && a == 'v1'", ["a present {v1}"]],
    ["a == 'v1' || a == 'v2'", ["a present {v1,v2}"]],
    ["has(a) || a == 'v2'", ["a present"]],
    ["a=='v2' || has(a)", ["a present"]],
    ["a=='v2' || has(b)", []],
    ["a=='v2' || (has(b) && has(a))", ["a present"]],
    ["!has(a) || !has(a)", ["a absent"]],
    ["!has(a) || has(a)", []],
    ["all() || b == 'v2'", []],
    ["!(a == 'value')", []],
    ["!has(a)", ["a absent"]],
    ["!!has(a)", ["a present"]],
  ];
  for (const [text, demands] of rows) it(text || "the empty selector", () => assert.deepEqual(demand(text), demands));
});
