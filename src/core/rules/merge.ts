/**
 * Many rules as a few lookups. Neighbours with the same action may be asked in any order, so all of them together are a set of
 * (peer, protocol, port): what a packet costs does not grow with their number, and a change is one of elements, not of rules.
 *
 *   exact   `ADDRESS . PROTOCOL . PORT` hash sets, filled with the members of selectors
 *   nets    interval sets of disjoint ranges
 *   others  selectors with many members, or with nets: a rule each, for all that they may reach
 *
 * What is lost is one counter a rule: the rules that were merged share one.
 */
import { FAMILIES, type Family } from "../net/address.ts";
import { type Cidr, cidr } from "../net/cidr.ts";
import type { PortRange } from "../net/port-range.ts";
import type { FieldType, Rule, Step } from "./ir.ts";
import { takeApart } from "./laminar.ts";
import { addressField, isFamily } from "./match.ts";
import type { Direction } from "./origin.ts";
import type { PieceBuilder } from "./piece.ts";
import { PortSpace, rangeText } from "./port-space.ts";
import type { PeerMatch, ResolvedRule } from "./program.ts";
import { addressType, type MergedShape, netText, SIZE_BOUNDS } from "./sets.ts";
import { exactSet, intervalSet, is, isIn } from "./steps.ts";

/** When to merge, and how far. */
export interface MergeLimits {
  /** From this many on, rules are merged; fewer keep a counter each. */
  readonly rules: number;
  /** From this many on, policies of one tier are merged with one another; fewer have a chain each. */
  readonly policies: number;
  /** Fewer selectors have a rule each: that is as quick, and their members are kept once for all rules. */
  readonly selectors: number;
  /** Port ranges up to this wide are spelled out as single ports. */
  readonly width: number;
  /** Most elements that members of selectors may come to in one merged set. */
  readonly elements: number;
  /** Most elements that nets which lie inside one another may come to. */
  readonly boxes: number;
}

export const MERGE_LIMITS: MergeLimits = {
  rules: 16,
  policies: 16,
  selectors: 4,
  width: 16,
  elements: 262_144,
  boxes: 16_384,
};

/** How a merged run acts on what its steps match. */
export type Act = (match: readonly Step[]) => Rule[];

/** True for a rule that compares nothing but the peer's address, the protocol and the destination port. */
export function isMergeable(rule: ResolvedRule, direction: Direction): boolean {
  if (rule.action !== "Allow" && rule.action !== "Deny") return false;
  if (rule.notProtocol !== undefined || rule.icmp !== undefined || rule.notICMP !== undefined) return false;
  const [peer, own] = direction === "ingress" ? [rule.source, rule.destination] : [rule.destination, rule.source];
  if (hasAddresses(own) || (peer.selector !== undefined && hasNets(peer))) return false;
  if (peer.notSelector !== undefined || (peer.notNets?.length ?? 0) > 0) return false;
  if (rule.source.ports !== undefined || rule.source.notPorts !== undefined) return false;
  return rule.destination.notPorts === undefined && (rule.destination.ports?.named.length ?? 0) === 0;
}

function hasAddresses(peer: PeerMatch): boolean {
  return (
    hasNets(peer) || (peer.notNets?.length ?? 0) > 0 || peer.selector !== undefined || peer.notSelector !== undefined
  );
}

function hasNets(peer: PeerMatch): boolean {
  return (peer.nets?.length ?? 0) > 0;
}

/** Rules that do what the mergeable rules do together. `identity` tells the run from every other. */
export function mergeRun(
  run: readonly ResolvedRule[],
  direction: Direction,
  identity: string,
  piece: PieceBuilder,
  act: Act,
): Rule[] {
  const anybody = new PortSpace();
  const families: Record<Family, FamilyPart> = { 4: new FamilyPart(), 6: new FamilyPart() };
  for (const rule of run) {
    const peer = direction === "ingress" ? rule.source : rule.destination;
    if (rule.family === undefined && !hasAddresses(peer)) anybody.add(rule);
    else
      for (const family of FAMILIES) if ((rule.family ?? family) === family) families[family].add(rule, peer, family);
  }
  const rules = spaceRules(anybody, [], piece, act);
  for (const family of FAMILIES)
    rules.push(...new FamilyRules(families[family], family, direction, `${identity} ${family}`, piece, act).rules());
  return rules;
}

/** What a run says about one family. */
class FamilyPart {
  readonly anybody = new PortSpace();
  readonly selectors = new Map<string, PortSpace>();
  readonly hosts = new Map<string, PortSpace>();
  readonly nets = new Map<string, PortSpace>();

  add(rule: ResolvedRule, peer: PeerMatch, family: Family): void {
    if (peer.selector !== undefined) spaceOf(this.selectors, peer.selector).add(rule);
    else if (!hasNets(peer)) this.anybody.add(rule);
    for (const text of peer.nets ?? []) {
      const net = cidr(text);
      if (net.family !== family) continue;
      if (net.length === 0) this.anybody.add(rule);
      else if (net.length === (family === 4 ? 32 : 128)) spaceOf(this.hosts, netText(net)).add(rule);
      else spaceOf(this.nets, text).add(rule);
    }
  }
}

function spaceOf(map: Map<string, PortSpace>, key: string): PortSpace {
  let space = map.get(key);
  if (space === undefined) {
    space = new PortSpace();
    map.set(key, space);
  }
  return space;
}

class FamilyRules {
  readonly #part: FamilyPart;
  readonly #family: Family;
  readonly #direction: Direction;
  readonly #identity: string;
  readonly #piece: PieceBuilder;
  readonly #act: Act;

  constructor(part: FamilyPart, family: Family, direction: Direction, identity: string, piece: PieceBuilder, act: Act) {
    this.#part = part;
    this.#family = family;
    this.#direction = direction;
    this.#identity = identity;
    this.#piece = piece;
    this.#act = act;
  }

  rules(): Rule[] {
    const { anybody, selectors, hosts, nets } = this.#part;
    const rules = spaceRules(anybody, [isFamily(this.#family)], this.#piece, this.#act);
    const { width } = this.#limits;
    const exact = new ExactParts(width);
    for (const [address, space] of hosts) exact.addHost(address, space);
    for (const [selector, space] of this.#expandable(selectors)) exact.addSelector(selector, space);
    rules.push(...this.#exactRules(exact));
    for (const [selector, space] of selectors) {
      const left = exact.selectors.has(selector) ? wideOnly(space, width) : space;
      const match = [isIn([this.#field], this.#piece.uses.selector(selector, this.#family))];
      if (left !== undefined) rules.push(...spaceRules(left, match, this.#piece, this.#act));
    }
    for (const [address, space] of hosts) {
      const left = wideOnly(space, width);
      if (left !== undefined) rules.push(...spaceRules(left, [is(this.#field, address)], this.#piece, this.#act));
    }
    return [...rules, ...this.#netRules(nets)];
  }

  get #limits(): MergeLimits {
    return this.#piece.context.limits;
  }

  get #field(): ReturnType<typeof addressField> {
    return addressField(this.#direction === "ingress" ? "source" : "destination", this.#family);
  }

  /** Selectors whose members are worth spelling out, smallest first, as long as there is room. */
  #expandable(selectors: ReadonlyMap<string, PortSpace>): (readonly [string, PortSpace])[] {
    const { uses } = this.#piece;
    const small = [...selectors].flatMap(([selector, space], order) => {
      const { size, nets } = uses.nature(selector, this.#family);
      const bound = SIZE_BOUNDS[size];
      return bound === undefined || nets
        ? []
        : [{ selector, space, order, cost: bound * suffixCount(space, this.#limits.width) }];
    });
    if (small.length < this.#limits.selectors) return [];
    small.sort((a, b) => a.cost - b.cost || a.order - b.order);
    let room = this.#limits.elements;
    return small.flatMap(({ selector, space, cost }) => {
      room -= cost;
      return room < 0 ? [] : [[selector, space] as const];
    });
  }

  #exactRules(parts: ExactParts): Rule[] {
    const fields = [this.#field, "meta l4proto", "th dport"] as const;
    return SHAPES.flatMap(([shape, width]) => {
      const { fixed, selectors } = parts.shape(shape);
      if (fixed.length === 0 && selectors.size === 0) return [];
      const spec = { kind: "merged", family: this.#family, shape, fixed, selectors } as const;
      const set = this.#piece.uses.merged(`${this.#identity} ${shape}`, spec);
      return this.#act([isIn(fields.slice(0, width), set)]);
    });
  }

  #netRules(nets: ReadonlyMap<string, PortSpace>): Rule[] {
    const bySpace = Map.groupBy(nets, ([, space]) => space.signature);
    const boxes = bySpace.size < this.#limits.selectors ? undefined : this.#boxRules(nets);
    if (boxes !== undefined) return boxes;
    return [...bySpace.values()].flatMap((group) => {
      const [first] = group;
      const set = this.#piece.uses.nets(
        group.map(([text]) => text),
        this.#family,
      );
      return first === undefined ? [] : spaceRules(first[1], [isIn([this.#field], set)], this.#piece, this.#act);
    });
  }

  /** Undefined where the nets lie inside one another so that too many elements would come out. */
  #boxRules(nets: ReadonlyMap<string, PortSpace>): Rule[] | undefined {
    const parsed = Array.from(nets, ([text, space]) => [cidr(text), space] as const);
    const { uses } = this.#piece;
    const rules: Rule[] = [];
    const whole = parsed.filter(([, space]) => space.all).map(([net]) => netText(net));
    if (whole.length > 0) rules.push(...this.#act([isIn([this.#field], uses.nets(whole, this.#family))]));
    const type: FieldType = addressType(this.#family);
    const protocols = boxes(parsed, (space) => space.protocols.map(String));
    const ports = boxes(parsed, (space) =>
      space.ports.flatMap(([protocol, ranges]) => ranges.map((range) => `${protocol} . ${rangeText(range)}`)),
    );
    if (protocols.length + ports.length > this.#limits.boxes) return undefined;
    if (protocols.length > 0) {
      const set = uses.constant(`boxes${this.#family}`, "", intervalSet([type, "inet_proto"], protocols));
      rules.push(...this.#act([isIn([this.#field, "meta l4proto"], set)]));
    }
    if (ports.length > 0) {
      const set = uses.constant(`boxes${this.#family}`, "", intervalSet([type, "inet_proto", "inet_service"], ports));
      rules.push(...this.#act([isIn([this.#field, "meta l4proto", "th dport"], set)]));
    }
    return rules;
  }
}

/** Disjoint elements `RANGE . SUFFIX`: a net says also what the nets around it say. */
function boxes(nets: readonly (readonly [Cidr, PortSpace])[], suffixes: (space: PortSpace) => string[]): string[] {
  const carrying = nets
    .map(([net, space]) => [net, [space]] as const)
    .filter(([, [space]]) => suffixes(space).length > 0);
  return takeApart(carrying).flatMap(({ range, items }) => {
    const union = new Set<string>();
    const [only, ...more] = items;
    const all = only === undefined ? [] : more.length === 0 ? suffixes(only) : suffixes(unite([...items]));
    for (const suffix of all) union.add(`${range} . ${suffix}`);
    return [...union];
  });
}

function unite(spaces: readonly PortSpace[]): PortSpace {
  const out = new PortSpace();
  for (const space of spaces) out.addAll(space);
  return out;
}

const SHAPES: readonly (readonly [MergedShape, 1 | 2 | 3])[] = [
  ["address", 1],
  ["protocol", 2],
  ["port", 3],
];

/** Elements of the exact sets, by shape. */
class ExactParts {
  readonly selectors = new Set<string>();
  readonly #width: number;
  readonly #fixed: Record<MergedShape, string[]> = { address: [], protocol: [], port: [] };
  readonly #suffixes: Record<MergedShape, Map<string, readonly string[]>> = {
    address: new Map(),
    protocol: new Map(),
    port: new Map(),
  };

  constructor(width: number) {
    this.#width = width;
  }

  addHost(address: string, space: PortSpace): void {
    for (const [shape, suffixes] of suffixesOf(space, this.#width))
      this.#fixed[shape].push(...suffixes.map((suffix) => address + suffix));
  }

  addSelector(selector: string, space: PortSpace): void {
    this.selectors.add(selector);
    for (const [shape, suffixes] of suffixesOf(space, this.#width))
      if (suffixes.length > 0) this.#suffixes[shape].set(selector, suffixes);
  }

  shape(shape: MergedShape): { fixed: readonly string[]; selectors: ReadonlyMap<string, readonly string[]> } {
    return { fixed: this.#fixed[shape], selectors: this.#suffixes[shape] };
  }
}

/** What follows the address in an element. */
function suffixesOf(space: PortSpace, width: number): (readonly [MergedShape, readonly string[]])[] {
  const ports = space.ports.flatMap(([protocol, ranges]) =>
    ranges
      .filter((range) => isNarrow(range, width))
      .flatMap(({ first, last }) =>
        Array.from({ length: last - first + 1 }, (_, i) => ` . ${protocol} . ${first + i}`),
      ),
  );
  return [
    ["address", space.all ? [""] : []],
    ["protocol", space.protocols.map((protocol) => ` . ${protocol}`)],
    ["port", ports],
  ];
}

function suffixCount(space: PortSpace, width: number): number {
  return suffixesOf(space, width).reduce((sum, [, suffixes]) => sum + suffixes.length, 0);
}

function isNarrow({ first, last }: PortRange, width: number): boolean {
  return last - first < width;
}

/** The ranges that are too wide to be spelled out; undefined if there is none. */
function wideOnly(space: PortSpace, width: number): PortSpace | undefined {
  const wide = new PortSpace();
  let found = false;
  for (const [protocol, ranges] of space.ports)
    for (const range of ranges)
      if (!isNarrow(range, width)) {
        wide.addRange(protocol, range);
        found = true;
      }
  return found ? wide : undefined;
}

/** One to three rules: for everything, for whole protocols, for ports. */
function spaceRules(space: PortSpace, before: readonly Step[], piece: PieceBuilder, act: Act): Rule[] {
  if (space.all) return act(before);
  const rules: Rule[] = [];
  const { protocols, ports } = space;
  const [protocol] = protocols;
  if (protocols.length === 1) rules.push(...act([...before, is("meta l4proto", String(protocol))]));
  if (protocols.length > 1) {
    const set = piece.uses.constant("protocols", "", exactSet(["inet_proto"], protocols.map(String)));
    rules.push(...act([...before, isIn(["meta l4proto"], set)]));
  }
  if (ports.length === 0) return rules;
  const [first] = ports;
  const [range] = first?.[1] ?? [];
  if (ports.length === 1 && first?.[1].length === 1 && range !== undefined)
    return [...rules, ...act([...before, is("meta l4proto", String(first[0])), is("th dport", rangeText(range))])];
  const elements = ports.flatMap(([number, ranges]) => ranges.map((one) => `${number} . ${rangeText(one)}`));
  const interval = ports.some(([, ranges]) => ranges.some((one) => one.first !== one.last));
  const set = (interval ? intervalSet : exactSet)(["inet_proto", "inet_service"], elements);
  return [...rules, ...act([...before, isIn(["meta l4proto", "th dport"], piece.uses.constant("ports", "", set))])];
}
