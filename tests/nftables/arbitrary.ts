/** Random rulesets that the kernel takes: names, sets of every type, rules that read them, jumps without circles. */
import fc from "fast-check";
import type {
  Chain,
  ElementData,
  Field,
  FieldType,
  NftSet,
  Rule,
  Ruleset,
  Step,
  Table,
} from "../../src/core/rules/ir.ts";
import { FIELDS } from "../../src/drivers/nftables/field.ts";
import { findOverlap } from "../../src/drivers/nftables/overlap.ts";
import { compareBytes, formatValue, lengthOf, type ValueType } from "../../src/drivers/nftables/value.ts";
import { ruleset } from "./everything.ts";

/** What a set's key may be made of, with a rule's way to read it in an inet table. */
const KEYS: readonly (readonly Field[])[] = [
  ["ip saddr"],
  ["ip6 daddr"],
  ["ether saddr"],
  ["meta iifname"],
  ["meta l4proto"],
  ["icmp type"],
  ["icmpv6 type", "icmpv6 code"],
  ["meta mark"],
  ["ip daddr", "meta l4proto", "th dport"],
  ["ip6 saddr", "meta l4proto", "th sport"],
  ["meta iifname", "ether saddr", "ip saddr"],
  ["meta oifname", "ip6 daddr"],
  ["meta l4proto", "th dport"],
];

const byte = fc.integer({ min: 0, max: 255 });
/** Few values, so that neighbours, the ends of the range and repetitions come up. */
const edge = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 2, 127, 128, 254, 255) },
  { weight: 1, arbitrary: byte },
);

function bytes(length: number): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.constantFrom(0, 10, 255), fc.array(edge, { minLength: 2, maxLength: 2 }))
    .map(([fill, tail]) => Uint8Array.from([...Array<number>(length).fill(fill), ...tail].slice(-length)));
}

/** Canonical text of a value, and where `ranges` also of ranges. */
function value(type: ValueType, ranges: boolean): fc.Arbitrary<string> {
  if (type === "ifname") {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,3}$/);
    const wildcard = name.map((one) => `${one}*`);
    return ranges ? fc.oneof(name, wildcard) : name;
  }
  if (type === "nf_proto") return fc.constantFrom("ipv4", "ipv6");
  if (type === "mark") return fc.constantFrom("0x0", "0x1", "0xff00", "0xffffffff");
  const single = bytes(lengthOf(type)).map((one) => formatValue(type, { first: one, last: one }));
  return ranges && type !== "ether_addr" ? fc.oneof(single, range(type), prefix(type)) : single;
}

function range(type: ValueType): fc.Arbitrary<string> {
  return fc.tuple(bytes(lengthOf(type)), bytes(lengthOf(type))).map(([a, b]) => {
    const [first, last] = compareBytes(a, b) <= 0 ? [a, b] : [b, a];
    return formatValue(type, { first, last });
  });
}

function prefix(type: ValueType): fc.Arbitrary<string> {
  const length = lengthOf(type);
  return fc.tuple(bytes(length), fc.integer({ min: 0, max: length * 8 })).map(([from, bits]) => {
    const mask = from.map((_, i) => 255 & (0xff00 >> Math.max(0, Math.min(8, bits - 8 * i))));
    const first = from.map((one, i) => one & (mask[i] ?? 0));
    return formatValue(type, { first, last: first.map((one, i) => one | (~(mask[i] ?? 0) & 255)) });
  });
}

interface Known {
  readonly fields: readonly Field[];
  readonly set: NftSet;
}

function typesOf(fields: readonly Field[]): FieldType[] {
  return fields.map((field) => FIELDS[field].type as FieldType);
}

function set(chains: readonly string[]): fc.Arbitrary<Known> {
  return fc
    .record({
      fields: fc.constantFrom(...KEYS),
      interval: fc.boolean(),
      data: fc.constantFrom("set", "verdict", "mark"),
      counters: fc.boolean(),
    })
    .chain(({ fields, interval: wanted, data, counters }) => {
      const types = typesOf(fields);
      const interval = wanted && !types.includes("mark");
      const key = fc.tuple(...types.map((type) => value(type, interval))).map((parts) => parts.join(" . "));
      const held: fc.Arbitrary<ElementData> =
        data === "set" ? fc.constant(null) : data === "verdict" ? verdict(chains) : value("mark", false);
      return fc.array(fc.tuple(key, held), { maxLength: 12 }).map((entries): Known => {
        const definition = {
          key: types,
          interval,
          ...(data === "set" ? {} : { data: data === "verdict" ? ("verdict" as const) : ["mark" as const] }),
          ...(counters && data === "set" ? { counters } : {}),
        };
        return { fields, set: { ...definition, elements: disjoint(definition, entries) } };
      });
    });
}

/** Leaves out what overlaps an element before. */
function disjoint(
  definition: Omit<NftSet, "elements">,
  entries: readonly (readonly [string, ElementData])[],
): ReadonlyMap<string, ElementData> {
  const out = new Map<string, ElementData>();
  for (const [key, data] of entries) {
    if (out.has(key)) continue;
    if (findOverlap({ ...definition, elements: new Map([...out, [key, null]]) }) === undefined) out.set(key, data);
  }
  return out;
}

function verdict(chains: readonly string[]): fc.Arbitrary<ElementData> {
  const plain = fc.constantFrom("accept", "drop", "return").map((kind): ElementData => ({ kind: kind as "accept" }));
  if (chains.length === 0) return plain;
  return fc.oneof(
    plain,
    fc
      .tuple(fc.constantFrom("jump", "goto"), fc.constantFrom(...chains))
      .map(([kind, chain]): ElementData => ({ kind: kind as "jump", chain })),
  );
}

const MATCHES: readonly Field[] = [
  "meta iifname",
  "meta oifname",
  "meta mark",
  "ct mark",
  "ip saddr",
  "ip daddr",
  "icmp type",
];
const MATCHES6: readonly Field[] = ["meta oifname", "ether saddr", "ip6 saddr", "ip6 daddr", "icmpv6 type"];

function match(fields: readonly Field[]): fc.Arbitrary<Step> {
  return fc.constantFrom(...fields).chain((field) =>
    fc.record({
      kind: fc.constant("match" as const),
      field: fc.constant(field),
      value: value(FIELDS[field].type, FIELDS[field].type !== "mark"),
      negate: fc.boolean(),
    }),
  );
}

const OTHER: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("ct-state" as const),
    states: fc.subarray(["new", "established", "related", "invalid", "untracked"] as const, { minLength: 1 }),
    negate: fc.boolean(),
  }),
  fc.constantFrom<Step>(
    { kind: "ct-status", status: "dnat" },
    { kind: "ct-direction", direction: "reply" },
    { kind: "fib-local", address: "daddr" },
    { kind: "counter" },
  ),
  fc.record({
    kind: fc.constant("limit" as const),
    perSecond: fc.integer({ min: 1, max: 1e6 }),
    burst: fc.integer({ min: 1, max: 1e6 }),
  }),
  fc.record({
    kind: fc.constant("log" as const),
    group: fc.integer({ min: 0, max: 65535 }),
    prefix: fc.stringMatching(/^[a-z .-]{0,20}[a-z]$/),
    snaplen: fc.integer({ min: 1, max: 1500 }),
  }),
  fc.record({
    kind: fc.constant("set-mark" as const),
    value: fc.integer({ min: 0, max: 0xffffffff }),
    mask: fc.constantFrom(0xff, 0xff00, 0xffffffff),
  }),
);

function rule(known: ReadonlyMap<string, Known>, chains: readonly string[]): fc.Arbitrary<Rule> {
  const reads = [...known].filter(([, { set }]) => set.data === undefined || set.data === "verdict");
  const ports = fc
    .record({ protocol: fc.constantFrom("6", "17"), port: value("inet_service", true) })
    .map(({ protocol, port }): Step[] => [
      { kind: "match", field: "meta l4proto", value: protocol },
      { kind: "match", field: "th dport", value: port },
    ]);
  const steps: fc.Arbitrary<Step[]>[] = [
    fc.array(match(MATCHES), { maxLength: 2 }),
    fc.array(match(MATCHES6), { maxLength: 2 }),
    ports,
  ];
  if (reads.length > 0)
    steps.push(
      fc.tuple(fc.constantFrom(...reads), fc.boolean()).map(
        ([
          [
            name,
            {
              fields,
              set: { data },
            },
          ],
          negate,
        ]): Step[] =>
          data === "verdict" ? [{ kind: "vmap", fields, map: name }] : [{ kind: "lookup", fields, set: name, negate }],
      ),
    );
  const ending = verdict(chains).map((one): Step[] => [{ kind: "verdict", verdict: one as { kind: "accept" } }]);
  return fc
    .record({
      first: fc.oneof(...steps),
      others: fc.array(OTHER, { maxLength: 2 }),
      last: fc.oneof(ending, fc.constant<Step[]>([])),
      comment: fc.option(fc.stringMatching(/^[a-z0-9./]{1,12}$/), { nil: undefined }),
    })
    .map(({ first, others, last, comment }) => ({
      steps: first.length + others.length + last.length === 0 ? [{ kind: "counter" }] : [...first, ...others, ...last],
      ...(comment === undefined ? {} : { comment }),
    }));
}

const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;

/** Plain chains `p0`, `p1`... may be jumped to by maps and by the base chains `b0`...; no chain that is jumped to jumps. */
const inet: fc.Arbitrary<Table> = fc.integer({ min: 0, max: 3 }).chain((count) => {
  const names = Array.from({ length: count }, (_, i) => `p${i}`);
  return fc.array(set(names), { maxLength: 5 }).chain((list) => {
    const known = new Map(list.map((one, i): [string, Known] => [`set-${i}`, one]));
    const harmless = new Map([...known].filter(([, one]) => one.set.data !== "verdict"));
    const plain = fc.array(rule(harmless, []), { maxLength: 4 }).map((rules): Chain => ({ rules }));
    const base = fc
      .record({
        rules: fc.array(rule(known, names), { maxLength: 6 }),
        hook: fc.constantFrom(...HOOKS),
        priority: fc.integer({ min: -400, max: 400 }),
        policy: fc.constantFrom("accept" as const, "drop" as const),
      })
      .map(({ rules, ...rest }): Chain => ({ base: { type: "filter", ...rest }, rules }));
    return fc.tuple(fc.tuple(...names.map(() => plain)), fc.array(base, { maxLength: 3 })).map(
      ([plains, bases]): Table => ({
        family: "inet",
        name: "manx",
        sets: new Map([...known].map(([name, one]) => [name, one.set])),
        chains: new Map([
          ...plains.map((one, i): [string, Chain] => [`p${i}`, one]),
          ...bases.map((one, i): [string, Chain] => [`b${i}`, one]),
        ]),
      }),
    );
  });
});

export const anyRuleset: fc.Arbitrary<Ruleset> = fc
  .option(inet, { nil: undefined, freq: 20 })
  .map((one) => (one === undefined ? ruleset() : ruleset(one)));
