/**
 * Which program decides about each local endpoint, and the compiled pieces of all programs in use, kept while endpoints,
 * policies, profiles and networks come and go. A piece is compiled again only when something that it was made from changed.
 */
import type { Network, Profile, Tier } from "../model/resources.ts";
import type { Verdict } from "../rules/ir.ts";
import type { Direction } from "../rules/origin.ts";
import type { Context, Piece } from "../rules/piece.ts";
import { type Program, programKey, type RuleList } from "../rules/program.ts";
import { type CompiledProgram, compileList, compileProgram } from "../rules/program-chain.ts";
import { passes } from "../rules/rule-list.ts";
import { LabelIndex } from "../selector/label-index.ts";
import type { Labels } from "./labels.ts";
import type { JoinedEndpoint } from "./local.ts";
import type { Peer } from "./peers.ts";
import {
  type AnyPolicy,
  policyKey,
  type ResolvedPolicy,
  type ResolvedTier,
  resolvePolicy,
  resolveTiers,
} from "./policies.ts";
import { type Profiles, programOf, resolveProfile } from "./programs.ts";

/** Hears of pieces that come, change and go, by a key that stays. */
export interface PieceListener {
  put(key: string, piece: Piece, before: Piece | undefined): void;
  drop(key: string, piece: Piece): void;
}

interface Entry {
  readonly compiled: CompiledProgram;
  readonly users: Set<string>;
}

interface UsedList {
  list: RuleList;
  piece: Piece;
  users: number;
}

interface Governed {
  readonly endpoint: JoinedEndpoint;
  readonly keys: Partial<Record<Direction, string>>;
}

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

export class ProgramBook {
  readonly #listener: PieceListener;
  #context: Context;
  readonly #index = new LabelIndex();
  readonly #endpoints = new Map<string, Governed>();
  readonly #policies = new Map<string, ResolvedPolicy>();
  readonly #profiles = new Map<string, Readonly<Record<Direction, RuleList>>>();
  /** Rules of policies and profiles, by identity. */
  readonly #lists = new Map<string, RuleList>();
  readonly #networks = new Map<string, Network>();
  readonly #programs = new Map<string, Entry>();
  readonly #usedLists = new Map<string, UsedList>();
  #tierResources: readonly Tier[] = [];
  #tiers: readonly ResolvedTier[] = [];
  #tiersStale = false;
  readonly #stale = new Set<string>();
  /** Identities of lists that have other rules than before. */
  readonly #staleLists = new Set<string>();

  constructor(context: Context, listener: PieceListener) {
    this.#context = context;
    this.#listener = listener;
  }

  setEndpoint(endpoint: JoinedEndpoint, { id, labels, parents }: Peer): void {
    const keys = this.#endpoints.get(id)?.keys ?? {};
    this.#endpoints.set(id, { endpoint, keys });
    this.#index.setItem(id, labels, parents);
    this.#stale.add(id);
  }

  deleteEndpoint(id: string): void {
    const governed = this.#endpoints.get(id);
    if (governed === undefined) return;
    this.#endpoints.delete(id);
    this.#index.deleteItem(id);
    this.#stale.delete(id);
    for (const direction of DIRECTIONS) this.#leave(id, governed.keys[direction]);
  }

  setProfile(profile: Profile, labels: Labels): void {
    const { name } = profile.metadata;
    const isNew = !this.#profiles.has(name);
    const lists = resolveProfile(profile);
    this.#profiles.set(name, lists);
    this.#replaceLists(undefined, lists);
    this.#touch(this.#index.setParent(name, labels));
    if (isNew) this.#touchUsersOf(name);
  }

  deleteProfile(name: string): void {
    this.#replaceLists(this.#profiles.get(name), undefined);
    this.#profiles.delete(name);
    this.#touch(this.#index.deleteParent(name));
    this.#touchUsersOf(name);
  }

  setNetwork(network: Network): void {
    this.#networks.set(network.metadata.name, network);
    this.#touchUsersOf(network.metadata.name);
  }

  deleteNetwork(name: string): void {
    this.#networks.delete(name);
    this.#touchUsersOf(name);
  }

  setTiers(tiers: readonly Tier[]): void {
    this.#tierResources = tiers;
    this.#tiersStale = true;
    for (const id of this.#endpoints.keys()) this.#stale.add(id);
  }

  setPolicy(policy: AnyPolicy): void {
    const resolved = resolvePolicy(policy);
    if (resolved === undefined) {
      this.deletePolicy(policyKey(policy));
      return;
    }
    const before = this.#policies.get(resolved.key);
    this.#policies.set(resolved.key, resolved);
    this.#tiersStale = true;
    this.#replaceLists(before, resolved);
    const placeMoved = before === undefined || !samePlace(before, resolved);
    if (placeMoved) for (const id of this.#index.itemsOf(resolved.key)) this.#stale.add(id);
    this.#touch(this.#index.setSelector(resolved.key, resolved.selector));
    if (placeMoved) for (const id of this.#index.itemsOf(resolved.key)) this.#stale.add(id);
  }

  deletePolicy(key: string): void {
    const before = this.#policies.get(key);
    if (before === undefined) return;
    this.#replaceLists(before, undefined);
    this.#policies.delete(key);
    this.#tiersStale = true;
    this.#touch(this.#index.deleteSelector(key));
  }

  /** What the maps hold for the endpoint; valid after `settle`. */
  verdicts(id: string): Readonly<Record<Direction, Verdict>> | undefined {
    const keys = this.#endpoints.get(id)?.keys;
    const [ingress, egress] = [this.#programs.get(keys?.ingress ?? ""), this.#programs.get(keys?.egress ?? "")];
    if (ingress === undefined || egress === undefined) return undefined;
    return { ingress: ingress.compiled.entry, egress: egress.compiled.entry };
  }

  /** Brings everything up to date; answers the endpoints whose verdicts may be others now. */
  settle(): ReadonlySet<string> {
    if (this.#tiersStale) this.#tiers = resolveTiers(this.#tierResources, [...this.#policies.values()]);
    this.#tiersStale = false;
    const stale = new Set(this.#stale);
    this.#stale.clear();
    // New programs first: what they share with old ones must not be dropped and compiled again.
    const left: [id: string, key: string][] = [];
    for (const id of stale) left.push(...this.#govern(id));
    for (const [id, key] of left) this.#leave(id, key);
    this.#recompileLists();
    return stale;
  }

  /** Compiles everything again that fails the test: what it was compiled from has changed its nature. */
  recompile(isStale: (piece: Piece) => boolean): void {
    for (const [key, entry] of this.#programs) if (isStale(entry.compiled)) this.#recompileProgram(key, entry);
    for (const used of this.#usedLists.values()) if (isStale(used.piece)) this.#recompileList(used, used.list);
  }

  setContext(context: Context): void {
    this.#context = context;
    this.recompile(() => true);
  }

  #touch(changes: readonly { readonly item: string }[]): void {
    for (const { item } of changes) if (this.#endpoints.has(item)) this.#stale.add(item);
  }

  #touchUsersOf(profile: string): void {
    for (const [id, { endpoint }] of this.#endpoints)
      if (endpoint.network === profile || endpoint.profiles.includes(profile)) this.#stale.add(id);
  }

  /** Gives the endpoint its programs; answers those that it has left. */
  #govern(id: string): [id: string, key: string][] {
    const governed = this.#endpoints.get(id);
    if (governed === undefined) return [];
    const matching = new Set(this.#index.selectorsOf(id));
    const keys: Partial<Record<Direction, string>> = {};
    const left: [string, string][] = [];
    for (const direction of DIRECTIONS) {
      const program = this.#programOf(governed.endpoint, direction, matching);
      const key = programKey(program);
      const before = governed.keys[direction];
      if (before !== undefined && before !== key) left.push([id, before]);
      keys[direction] = key;
      this.#enter(id, key, program);
    }
    this.#endpoints.set(id, { ...governed, keys });
    return left;
  }

  #programOf(endpoint: JoinedEndpoint, direction: Direction, matching: ReadonlySet<string>): Program {
    const profiles: Profiles = { lists: this.#profiles, networks: this.#networks };
    return programOf(endpoint, direction, this.#tiers, ({ key }) => matching.has(key), profiles);
  }

  #replaceLists(before: Partial<Record<Direction, RuleList>> | undefined, after: typeof before): void {
    for (const direction of DIRECTIONS) {
      const [old, list] = [before?.[direction], after?.[direction]];
      if (old !== undefined && list === undefined) this.#lists.delete(old.identity);
      if (list === undefined) continue;
      this.#lists.set(list.identity, list);
      this.#staleLists.add(list.identity);
    }
  }

  #enter(id: string, key: string, program: Program): void {
    const known = this.#programs.get(key);
    if (known !== undefined) {
      known.users.add(id);
      return;
    }
    const compiled = compileProgram(program, this.#context);
    this.#programs.set(key, { compiled, users: new Set([id]) });
    for (const identity of compiled.calls) this.#useList(identity);
    this.#listener.put(`program ${key}`, compiled, undefined);
  }

  #leave(id: string, key: string | undefined): void {
    const entry = key === undefined ? undefined : this.#programs.get(key);
    if (key === undefined || entry === undefined) return;
    entry.users.delete(id);
    if (entry.users.size > 0) return;
    this.#programs.delete(key);
    this.#listener.drop(`program ${key}`, entry.compiled);
    for (const identity of entry.compiled.calls) this.#releaseList(identity);
  }

  #useList(identity: string): void {
    const used = this.#usedLists.get(identity);
    const list = this.#lists.get(identity);
    if (list === undefined) throw new Error(`a program calls ${identity}, which does not exist`);
    if (used !== undefined) {
      used.users++;
      return;
    }
    const piece = compileList(list, this.#context);
    this.#usedLists.set(identity, { list, piece, users: 1 });
    this.#listener.put(`list ${identity}`, piece, undefined);
  }

  #releaseList(identity: string): void {
    const used = this.#usedLists.get(identity);
    if (used === undefined || --used.users > 0) return;
    this.#usedLists.delete(identity);
    this.#listener.drop(`list ${identity}`, used.piece);
  }

  /** A list that stands in a program's own chain, or is about to, needs the program compiled again; others only themselves. */
  #recompileLists(): void {
    const stale = new Set(this.#staleLists);
    this.#staleLists.clear();
    if (stale.size === 0) return;
    const stands = new Set([...stale].filter((identity) => isInlined(this.#lists.get(identity))));
    for (const [key, entry] of this.#programs) {
      const { calls, inlined } = entry.compiled;
      if (!inlined.isDisjointFrom(stale) || !calls.isDisjointFrom(stands)) this.#recompileProgram(key, entry);
    }
    for (const identity of stale) {
      const [used, list] = [this.#usedLists.get(identity), this.#lists.get(identity)];
      if (used !== undefined && list !== undefined && used.list !== list) this.#recompileList(used, list);
    }
  }

  #recompileProgram(key: string, { compiled: before, users }: Entry): void {
    const [user = ""] = users;
    const direction = key.startsWith("ingress") ? "ingress" : "egress";
    const governed = this.#endpoints.get(user);
    if (governed === undefined) throw new Error(`nobody uses the program ${key}`);
    const program = this.#programOf(governed.endpoint, direction, new Set(this.#index.selectorsOf(user)));
    const compiled = compileProgram(program, this.#context);
    this.#programs.set(key, { compiled, users });
    for (const identity of compiled.calls) this.#useList(identity);
    this.#listener.put(`program ${key}`, compiled, before);
    for (const identity of before.calls) this.#releaseList(identity);
  }

  #recompileList(used: UsedList, list: RuleList): void {
    const before = used.piece;
    used.list = list;
    used.piece = compileList(list, this.#context);
    this.#listener.put(`list ${list.identity}`, used.piece, before);
  }
}

function isInlined(list: RuleList | undefined): boolean {
  return list !== undefined && passes(list);
}

/** True if the policies are asked at the same place, so that programs differ in nothing but rules. */
function samePlace(a: ResolvedPolicy, b: ResolvedPolicy): boolean {
  return (
    a.tier === b.tier &&
    a.order === b.order &&
    a.stage === b.stage &&
    (a.ingress === undefined) === (b.ingress === undefined) &&
    (a.egress === undefined) === (b.egress === undefined)
  );
}
