/**
 * Which sets the compiled rules look things up in. A set is known by what it means (SetSpec); what is in it right now is for
 * the derivation to say (`SetContents`), because members come and go without any rule changing.
 */
import type { Family } from "../net/address.ts";
import { formatAddress } from "../net/address.ts";
import { type Cidr, cidr, covers, formatCidr } from "../net/cidr.ts";
import type { PortRange } from "../net/port-range.ts";
import type { FieldType, NftSet } from "./ir.ts";
import type { Names } from "./names.ts";
import { intervalSet } from "./steps.ts";

export type SetSpec =
  /** Addresses (and nets, if `interval`) of all that the selector matches. */
  | { readonly kind: "selector"; readonly selector: string; readonly family: Family; readonly interval: boolean }
  /** Addresses of all containers on the network. */
  | { readonly kind: "members"; readonly network: string; readonly family: Family }
  /** `address . protocol . port` of the ports with this name of all that the selector matches. */
  | { readonly kind: "named-port"; readonly selector: string; readonly name: string; readonly family: Family }
  /** Many rules in one: the members of each selector with each of its suffixes, and some fixed elements. */
  | {
      readonly kind: "merged";
      readonly family: Family;
      readonly shape: MergedShape;
      readonly fixed: readonly string[];
      /** Selector to what follows an address of it: "", ` . 6`, ` . 6 . 80`. */
      readonly selectors: ReadonlyMap<string, readonly string[]>;
    }
  /** What is in it follows from the rule alone. */
  | { readonly kind: "constant"; readonly set: NftSet };

/** Fields of a merged set: the address; and the protocol; and the destination port. */
export type MergedShape = "address" | "protocol" | "port";

export function mergedKey(shape: MergedShape, family: Family): readonly FieldType[] {
  const address = addressType(family);
  if (shape === "address") return [address];
  return shape === "protocol" ? [address, "inet_proto"] : [address, "inet_proto", "inet_service"];
}

/** What the compiler must know about whom a selector matches now. When it changes, what was compiled with it is void. */
export interface Nature {
  /** Index into SIZE_BOUNDS of the number of things matched; SIZE_BOUNDS.length: more. */
  readonly size: number;
  /** It matches nets of the family: then its set is one of intervals. */
  readonly nets: boolean;
}

export const SIZE_BOUNDS: readonly number[] = [16, 64, 256];

export function sizeClass(count: number): number {
  const found = SIZE_BOUNDS.findIndex((bound) => count <= bound);
  return found < 0 ? SIZE_BOUNDS.length : found;
}

export interface PeerFacts {
  nature(selector: string, family: Family): Nature;
}

/** What was taken for granted about a selector. */
export interface Assumption {
  readonly selector: string;
  readonly family: Family;
  readonly nature: Nature;
  /** Its size did not matter. */
  readonly anySize: boolean;
}

/** True while the facts are what they were. */
export function holds({ selector, family, nature, anySize }: Assumption, facts: PeerFacts): boolean {
  const now = facts.nature(selector, family);
  return now.nets === nature.nets && (anySize || now.size === nature.size);
}

/** Collects the sets that a piece of the ruleset uses, and names them. */
export class SetUses {
  readonly #names: Names;
  readonly #facts: PeerFacts;
  readonly #uses = new Map<string, SetSpec>();
  readonly #assumptions = new Map<string, Assumption>();

  constructor(names: Names, facts: PeerFacts) {
    this.#names = names;
    this.#facts = facts;
  }

  get all(): ReadonlyMap<string, SetSpec> {
    return this.#uses;
  }

  get assumptions(): readonly Assumption[] {
    return [...this.#assumptions.values()];
  }

  nature(selector: string, family: Family): Nature {
    return this.#ask(selector, family, false);
  }

  selector(selector: string, family: Family): string {
    const interval = this.#ask(selector, family, true).nets;
    return this.#use(`s${family}${interval ? "n" : ""}`, selector, selector, {
      kind: "selector",
      selector,
      family,
      interval,
    });
  }

  members(network: string, family: Family): string {
    return this.#use(`members${family}`, network, network, { kind: "members", network, family });
  }

  namedPort(selector: string, name: string, family: Family): string {
    const identity = JSON.stringify([selector, name]);
    return this.#use(`port${family}`, name, identity, { kind: "named-port", selector, name, family });
  }

  /** CIDRs of one family; overlaps are fine. */
  nets(nets: readonly string[], family: Family): string {
    const elements = disjointNets(nets.map(cidr));
    return this.constant(`nets${family}`, "", intervalSet([addressType(family)], elements));
  }

  ports(ranges: readonly PortRange[]): string {
    const elements = ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
    return this.constant("ports", "", intervalSet(["inet_service"], elements));
  }

  /** A merged set, named by what it is for: its contents may change under its name. */
  merged(identity: string, spec: Extract<SetSpec, { kind: "merged" }>): string {
    return this.#use(`merged${spec.family}`, spec.shape, identity, spec);
  }

  /** A set that nobody else changes, named by what is in it. */
  constant(prefix: string, hint: string, set: NftSet): string {
    const identity = `${set.key.join(".")} ${set.interval} ${[...set.elements.keys()].join(",")}`;
    return this.#use(prefix, hint, identity, { kind: "constant", set });
  }

  #ask(selector: string, family: Family, anySize: boolean): Nature {
    const nature = this.#facts.nature(selector, family);
    const key = `${family} ${selector}`;
    const before = this.#assumptions.get(key);
    if (before === undefined || before.anySize) this.#assumptions.set(key, { selector, family, nature, anySize });
    return nature;
  }

  #use(prefix: string, hint: string, identity: string, spec: SetSpec): string {
    const name = this.#names.of(prefix, hint, identity);
    this.#uses.set(name, spec);
    return name;
  }
}

export function addressType(family: Family): FieldType {
  return family === 4 ? "ipv4_addr" : "ipv6_addr";
}

/**
 * Elements of an interval set that cover the same addresses: canonical, none inside another. /0 becomes two halves, because
 * an interval without a first and a last key is a special case in more than one tool.
 */
export function disjointNets(nets: readonly Cidr[]): string[] {
  const sorted = [...nets].sort((a, b) =>
    a.family !== b.family
      ? a.family - b.family
      : a.value !== b.value
        ? a.value < b.value
          ? -1
          : 1
        : a.length - b.length,
  );
  const out: Cidr[] = [];
  for (const net of sorted) {
    const previous = out.at(-1);
    if (previous === undefined || !covers(previous, net)) out.push(net);
  }
  return out.flatMap(netElements);
}

function netElements(net: Cidr): string[] {
  if (net.length > 0) return [netText(net)];
  const half = { family: net.family, length: 1 };
  return [netText({ ...half, value: 0n }), netText({ ...half, value: 1n << (net.family === 4 ? 31n : 127n) })];
}

/** A CIDR as a key: a bare address for /32 and /128. */
export function netText(net: Cidr): string {
  return net.length === (net.family === 4 ? 32 : 128) ? formatAddress(net) : formatCidr(net);
}
