/** Files: what is in them, where their problems are, and that nothing in them can hurt. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KINDS } from "./kinds.ts";
import { formatFileProblem, MAX_FILE_LENGTH, parseResources } from "./parse.ts";

const problemsOf = (text: string) => parseResources(text, "f.yaml").problems.map(formatFileProblem);
const namesOf = (text: string) => {
  const { resources, problems } = parseResources(text, "f.yaml");
  assert.deepEqual(problems.map(formatFileProblem), []);
  return resources.map(({ kind, metadata }) => `${kind}/${metadata.namespace ?? ""}/${metadata.name}`);
};
const tier = (name: string, spec = "{}") =>
  `apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata:\n  name: ${name}\nspec: ${spec}\n`;

describe("parseResources reads", () => {
  const rows: [sentence: string, text: string, names: string[]][] = [
    ["nothing", "", []],
    ["comments and empty documents", "# nothing\n---\n---\n# more\n...\n---\nnull\n", []],
    ["several documents", `${tier("a")}---\n${tier("b")}`, ["Tier//a", "Tier//b"]],
    ["Windows' line ends", tier("a").replaceAll("\n", "\r\n"), ["Tier//a"]],
    ["a byte order mark", `\ufeff${tier("a")}`, ["Tier//a"]],
    ["JSON", `{"apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": "a"}}`, ["Tier//a"]],
    [
      "JSON indented with tabs",
      `{\n\t"apiVersion": "projectcalico.org/v3",\n\t"kind": "Tier",\n\t"metadata": {\n\t\t"name": "a"\n\t}\n}`,
      ["Tier//a"],
    ],
    [
      "lists of kubectl",
      `apiVersion: v1\nkind: List\nitems:\n- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}}\n- {apiVersion: manx/v1, kind: Network, metadata: {name: b}}`,
      ["Tier//a", "Network//b"],
    ],
    [
      "lists of calicoctl, whose items need not say what they are",
      `apiVersion: projectcalico.org/v3\nkind: NetworkSetList\nmetadata: {resourceVersion: "1"}\nitems:\n- {metadata: {name: a}}\n- {kind: NetworkSet, metadata: {name: a, namespace: shop}}`,
      ["NetworkSet/default/a", "NetworkSet/shop/a"],
    ],
    ["empty lists", "apiVersion: v1\nkind: List\nitems: []", []],
    ["lists of nothing", "kind: List\nitems:\n---\napiVersion: projectcalico.org/v3\nkind: TierList\nitems: ~\n", []],
    [
      "plain lists of resources, as calicoctl does",
      `- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}}\n- {apiVersion: projectcalico.org/v3, kind: TierList, items: [{metadata: {name: b}}]}\n---\n[]\n`,
      ["Tier//a", "Tier//b"],
    ],
    [
      "anchors, aliases and merged maps",
      `apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: a}\nspec:\n  ingress:\n  - &web {action: Allow, protocol: TCP, destination: &d {ports: [80]}}\n  - *web\n  - {<<: *web, action: Deny}\n  - {action: Allow, protocol: TCP, destination: {<<: [*d], nets: [10.0.0.0/8]}}\n`,
      ["GlobalNetworkPolicy//a"],
    ],
  ];
  for (const [sentence, text, names] of rows) it(sentence, () => assert.deepEqual(namesOf(text), names));

  it("what names no namespace in the one that is asked for, if its kind has any", () => {
    const kinds = ["Tier", "NetworkSet", "GlobalNetworkSet", "NetworkSet"];
    const items = kinds.map((kind, i) => `{apiVersion: projectcalico.org/v3, kind: ${kind}, metadata: {name: a${i}}}`);
    const text = `[${items.join(", ").replace("name: a3", 'name: a3, namespace: "own"')}]`;
    const { resources, problems } = parseResources(text, "f", { namespace: "shop" });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      resources.map(({ metadata }) => metadata.namespace),
      [undefined, "shop", undefined, "own"],
    );
    assert.equal(parseResources(text, "f").resources[1]?.metadata.namespace, "default");
    assert.equal(parseResources("[1, {kind: NetworkSet}]", "f", { namespace: "shop" }).problems.length, 2);
  });

  it("numbers and truth values as text where only text can stand, as Calico does", () => {
    const text = `apiVersion: projectcalico.org/v3\nkind: NetworkSet\nmetadata: {name: 123, namespace: 7, labels: {a: 1, b: true, c: 1.5, d: 3, e: ~}}\n`;
    assert.deepEqual(parseResources(text, "f").resources[0]?.metadata, {
      labels: { a: "1", b: "true", c: "1.5", d: "3", e: "" },
      name: "123",
      namespace: "7",
    });
    const endpoint = `apiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: a, uid: 5, resourceVersion: 12}\nspec: {node: 7, interfaceName: 0, profiles: [1, true]}\n`;
    assert.deepEqual(parseResources(endpoint, "f").resources[0], {
      apiVersion: "projectcalico.org/v3",
      kind: "HostEndpoint",
      metadata: { name: "a", resourceVersion: "12", uid: "5" },
      spec: { interfaceName: "0", node: "7", profiles: ["1", "true"] },
    });
  });
  it("yes, no, on, off, y and n as truth values where only those can stand, as Calico does", () => {
    for (const [word, value] of [
      ["yes", true],
      ["On", true],
      ["no", false],
      ["OFF", false],
      ["y", true],
      ["N", false],
    ] as const) {
      const text = `apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: a}\nspec: {applyOnForward: ${word}}\n`;
      const [policy] = parseResources(text, "f").resources;
      assert.deepEqual(policy?.spec, {
        selector: "all()",
        tier: "default",
        types: ["Ingress"],
        ...(value ? { applyOnForward: true } : {}),
      });
    }
  });
  it("numbers and truth values as keys, where they are written as they are printed", () => {
    const text =
      "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec: {labelsToApply: {1: a, true: b}}\n";
    assert.deepEqual(parseResources(text, "f").resources[0]?.spec, { labelsToApply: { 1: "a", true: "b" } });
  });
  it("aliases as what the anchor was before them", () => {
    const text = `apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  labelsToApply: {a: &x "1", b: *x, c: &x "2", d: *x}\n`;
    assert.deepEqual(parseResources(text, "f").resources[0]?.spec, {
      labelsToApply: { a: "1", b: "1", c: "2", d: "2" },
    });
  });
  it("merged maps so that their own fields win", () => {
    const text = `apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  labelsToApply: {c: "4", <<: &x {a: "1", b: "2", c: "3"}, b: "3"}\n`;
    assert.deepEqual(parseResources(text, "f").resources[0]?.spec, { labelsToApply: { a: "1", b: "3", c: "4" } });
  });
});

describe("parseResources tells", () => {
  const rows: [sentence: string, text: string, ...problems: string[]][] = [
    [
      "the line and column of a bad value",
      `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: web
spec:
  selector: role == web
  ingress:
    - action: Allow
      protocol: TCP
      destination:
        ports: [80, 70000]
`,
      `f.yaml:6:13 spec.selector: expected a string in quotes after ==, not the label "web" (a value needs quotes) (character 9 of "role == web")`,
      "f.yaml:11:21 spec.ingress[0].destination.ports[1]: 70000 is not a port (1-65535)",
    ],
    [
      "an unknown field at its name",
      tier("a", "\n  ordr: 5"),
      'f.yaml:6:3 spec.ordr: unknown field "ordr": did you mean order?',
    ],
    [
      "a missing field at the map it is missing from",
      "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {}\nspec:\n  blockSize: 26\n",
      "f.yaml:3:1 metadata.name: is missing",
      "f.yaml:4:1 spec.cidr: is missing",
    ],
    [
      "problems of a second document in its lines",
      `${tier("a")}---\n${tier("b", "{order: x}")}`,
      `f.yaml:11:15 spec.order: "x" is text, a number is expected`,
    ],
    [
      "problems inside lists with the item",
      `apiVersion: projectcalico.org/v3\nkind: TierList\nitems:\n- metadata: {name: a}\n- metadata: {name: B}\n`,
      `f.yaml:5:20 items[1].metadata.name: "B" is not the name of a tier: lower-case letters, digits and "-", with a letter or digit at both ends`,
    ],
    [
      "problems behind an alias at the anchor",
      `apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  ingress:\n  - &r {action: Alow}\n  - *r\n`,
      `f.yaml:6:17 spec.ingress[0].action: "Alow" is not one of Allow, Deny, Log, Pass`,
      `f.yaml:6:17 spec.ingress[1].action: "Alow" is not one of Allow, Deny, Log, Pass`,
    ],
    [
      "problems of a plain list with the place in it",
      `- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}}\n- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: B}}\n`,
      `f.yaml:2:67 [1].metadata.name: "B" is not the name of a tier: lower-case letters, digits and "-", with a letter or digit at both ends`,
    ],
    [
      "the same resource twice",
      `${tier("a")}---\n${tier("b")}---\n${tier("a")}`,
      `f.yaml:16:9 metadata.name: the Tier a stands in line 4 already`,
    ],
    [
      "the same key twice",
      "apiVersion: projectcalico.org/v3\nkind: Tier\nkind: Tier\n",
      "f.yaml:3:1: the same key stands there twice in one map",
    ],
    [
      "a tab for indentation",
      "apiVersion: projectcalico.org/v3\nmetadata:\n\tname: a\n",
      "f.yaml:3:1: is not YAML: tabs are not allowed as indentation",
    ],
    [
      "an unclosed bracket",
      "a: [",
      "f.yaml:1:5: is not YAML: flow sequence in block collection must be sufficiently indented and end with a ]",
    ],
    [
      "the first error of syntax only",
      "a: [{b: c 'd' e}, {f: g, h: 'i' 'j'}]\nk: l: m\nn: }\n",
      "f.yaml:1:33: is not YAML: unexpected single-quoted-scalar at node end",
    ],
    [
      "an alias without anchor",
      "apiVersion: *nothing\n",
      "f.yaml:1:1 kind: is missing: a kind",
      "f.yaml:1:1 apiVersion: is missing: projectcalico.org/v3",
      'f.yaml:1:13 apiVersion: there is no anchor "nothing" before this alias',
    ],
    ["text", "just words", "f.yaml:1:1: is not a resource: a map with apiVersion, kind, metadata and spec is expected"],
    [
      "a list of numbers",
      "- 1\n",
      "f.yaml:1:3 [0]: is not a resource: a map with apiVersion, kind, metadata and spec is expected",
    ],
    [
      "a key that is a number, written otherwise than it is printed",
      "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: a, labels: {1.0: x}}\n",
      "f.yaml:3:30 metadata.labels: a key must be text: put it in quotes",
    ],
    [
      "a number with a leading zero",
      tier("a", "{order: 010}"),
      "f.yaml:5:15 spec.order: 010 is read in two ways (the leading zero can mean octal): write it without, or in quotes",
    ],
    [
      "a tag",
      tier("a", "{order: !!js/function 5}"),
      "f.yaml:5:29 spec.order: the tag tag:yaml.org,2002:js/function means nothing here",
      `f.yaml:5:29 spec.order: "5" is text, a number is expected: write 5`,
    ],
    [
      "yes in quotes where true is meant",
      "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: a}\nspec: {cidr: 10.0.0.0/16, natOutgoing: 'yes'}\n",
      `f.yaml:4:40 spec.natOutgoing: "yes" is text, true or false is expected: write true`,
    ],
    [
      "yes where text is meant",
      "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  labelsToApply: {a: yes, b: No, c: ON, off: d, e: n, Y: f}\n",
      "f.yaml:5:22 spec.labelsToApply.a: yes is read in two ways (text, or a truth value): put it in quotes",
      "f.yaml:5:30 spec.labelsToApply.b: No is read in two ways (text, or a truth value): put it in quotes",
      "f.yaml:5:37 spec.labelsToApply.c: ON is read in two ways (text, or a truth value): put it in quotes",
      "f.yaml:5:41 spec.labelsToApply: off is read in two ways (text, or a truth value): put it in quotes",
      "f.yaml:5:52 spec.labelsToApply.e: n is read in two ways (text, or a truth value): put it in quotes",
      "f.yaml:5:55 spec.labelsToApply: Y is read in two ways (text, or a truth value): put it in quotes",
    ],
    [
      "what is a number in YAML 1.1 alone",
      "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  labelsToApply: {a: 1_000, b: 0b11, c: -0x1F, d: 1.2.3, e: 12_a, 0X1: f, g: 1_0.5}\n",
      "f.yaml:5:22 spec.labelsToApply.a: 1_000 is read in two ways (text, or a number): put it in quotes, or write the number plainly",
      "f.yaml:5:32 spec.labelsToApply.b: 0b11 is read in two ways (text, or a number): put it in quotes, or write the number plainly",
      "f.yaml:5:41 spec.labelsToApply.c: -0x1F is read in two ways (text, or a number): put it in quotes, or write the number plainly",
      `f.yaml:5:41 spec.labelsToApply.c: "-0x1F" is not the value of a label: letters, digits, "-", "_" and ".", with a letter or digit at both ends`,
      "f.yaml:5:67 spec.labelsToApply: 0X1 is read in two ways (text, or a number): put it in quotes, or write the number plainly",
      "f.yaml:5:78 spec.labelsToApply.g: 1_0.5 is read in two ways (text, or a number): put it in quotes, or write the number plainly",
    ],
    [
      "a document of YAML 1.1, where 22:25 is 1345",
      `%YAML 1.1\n---\n${tier("a", "{order: 22:25}")}`,
      "f.yaml:2:1: is said to be YAML 1.1: 1.2 is read here",
    ],
    [
      "a tag that does not fit",
      tier("a", "{order: !!null x}"),
      "f.yaml:5:22 spec.order: x is text, not null",
      `f.yaml:5:22 spec.order: "x" is text, a number is expected`,
    ],
    [
      "a number where text is meant, unless it is written as it is printed",
      "apiVersion: projectcalico.org/v3\nkind: Profile\nmetadata: {name: a}\nspec:\n  labelsToApply: {a: 1.0, b: 0x1f, c: 1e3, d: 010}\n",
      'f.yaml:5:22 spec.labelsToApply.a: 1.0 would become "1": put it in quotes',
      'f.yaml:5:30 spec.labelsToApply.b: 0x1f would become "31": put it in quotes',
      'f.yaml:5:39 spec.labelsToApply.c: 1e3 would become "1000": put it in quotes',
      "f.yaml:5:47 spec.labelsToApply.d: 010 is read in two ways (the leading zero can mean octal): write it without, or in quotes",
      'f.yaml:5:47 spec.labelsToApply.d: 010 would become "10": put it in quotes',
    ],
    [
      "a kind with a letter missing",
      "apiVersion: projectcalico.org/v3\nkind: NetworkPolcy\n",
      'f.yaml:2:7 kind: "NetworkPolcy" is not a kind: did you mean NetworkPolicy?',
    ],
    [
      "a list without items",
      "apiVersion: projectcalico.org/v3\nkind: TierList\n",
      `f.yaml:2:7 kind: "TierList" is not a kind, known are ${KINDS.map(({ kind }) => kind).join(", ")}`,
    ],
  ];
  for (const [sentence, text, ...problems] of rows) it(sentence, () => assert.deepEqual(problemsOf(text), problems));

  it("all problems of a file, and still reads what is good in it", () => {
    const { resources, problems } = parseResources(`${tier("A")}---\n${tier("b")}---\n${tier("C")}---\nx: [`, "f.yaml");
    assert.deepEqual(
      resources.map(({ metadata }) => metadata.name),
      ["b"],
    );
    assert.deepEqual(
      problems.map(({ line }) => line),
      [4, 16, 19],
    );
  });
});

describe("hostile files", () => {
  const seconds = (run: () => void) => {
    const started = process.hrtime.bigint();
    run();
    return Number(process.hrtime.bigint() - started) / 1e9;
  };
  it("cannot grow by aliases", () => {
    const bomb = ["a: &a [x,x,x,x,x,x,x,x,x]"];
    for (let i = 1; i < 12; i++) {
      const [name, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
      bomb.push(`${name}: &${name} [${Array(9).fill(`*${before}`).join(",")}]`);
    }
    const took = seconds(() =>
      assert.match(problemsOf(bomb.join("\n")).join(), /more than 200000 values when its aliases are followed/),
    );
    assert.ok(took < 10, `took ${took} s`);
  });
  it("cannot refer to themselves", () =>
    assert.match(problemsOf("a: &a [*a]").join(), /nested more than 100 levels deep/));
  it("cannot nest too deep", () => {
    for (const text of ["[".repeat(200_000), "{a: ".repeat(100_000), `${"- ".repeat(50_000)}x`, "? ".repeat(10_000)])
      assert.ok(problemsOf(text).length > 0);
  });
  it("cannot be too large", () => assert.match(problemsOf("x".repeat(MAX_FILE_LENGTH + 1)).join(), /larger than/));
  it("cannot reach the prototype", () => {
    const text =
      "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: a, __proto__: {namespace: x}}\n__proto__: {spec: {order: 1}}\nconstructor: 1\n";
    assert.deepEqual(problemsOf(text), [
      "f.yaml:3:21 metadata.__proto__: is not a name that anything may have",
      "f.yaml:4:1 __proto__: is not a name that anything may have",
      `f.yaml:5:1 constructor: unknown field "constructor", known are apiVersion, kind, metadata, spec`,
    ]);
  });
  it("with control characters and lone surrogates give problems, not exceptions", () => {
    for (const text of [
      "\u0000",
      "a: \u0001",
      `metadata: {name: "\ud800"}`,
      `kind: "\u001b[31m"`,
      "%YAML 9.9\n---\na: 1",
      "%TAG ! tag:x,2000:\n---\n!a b",
    ])
      assert.ok(problemsOf(text).length > 0, JSON.stringify(text));
  });
});
