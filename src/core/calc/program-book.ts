/**
 * Which programs decide about each local endpoint and host endpoint, and the compiled pieces of all programs in use, kept while endpoints,
 * policies, profiles and networks come and go. A piece is compiled again only when something that it was made from changed.
 */
import { DEFAULT_ALLOW } from "../model/built-in.ts";
import type { Network, Profile, Tier } from "../model/resources.ts";
import type { Verdict } from "../rules/ir.ts";
import type { Direction } from "../rules/origin.ts";
import type { Context, Piece } from "../rules/piece.ts";
import { type Program, programKey, type RuleList } from "../rules/program.ts";
import { type CompiledProgram, compileList, compileProgram } from "../rules/program-chain.ts";
import { passes } from "../rules/rule-list.ts";
import { LabelIndex } from "../selector/label-index.ts";
import { type ActiveHostEndpoint, hostPrograms } from "./host-endpoints.ts";
import type { Labels } from "./labels.ts";
import type { JoinedEndpoint } from "./local.ts";
import { hostEndpointPeer, type Peer } from "./peers.ts";
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

/** Whatever programs decide about. */
export interface Subject {
  readonly peer: Pick<Peer, "id" | "labels" | "parents">;
  /** Its programs, by the slots where they stand. */
  programs(
    tiers: readonly ResolvedTier[],
    applies: (policy: ResolvedPolicy) => boolean,
    profiles: Profiles,
  ): ReadonlyMap<string, Program>;
  /** Its programs may change when a profile or network of the name comes or goes. */
  dependsOn(profile: string): boolean;
}

interface Governed {
  readonly subject: Subject;
  /** Keys of its programs, by slot. */
  readonly keys: ReadonlyMap<string, string>;
}

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

export function endpointSubject(endpoint: JoinedEndpoint, peer: Peer): Subject {
  return {
    peer,
    programs: (tiers, applies, profiles) =>
      new Map(DIRECTIONS.map((direction) => [direction, programOf(endpoint, direction, tiers, applies, profiles)])),
    dependsOn: (name) => endpoint.network === name || endpoint.profiles.includes(name),
  };
}

/** One interface's: a host endpoint can stand for several. */
export function hostSubjectId(active: ActiveHostEndpoint): string {
  return `interface ${active.interface}`;
}

export function hostSubject(active: ActiveHostEndpoint): Subject {
  return {
    peer: { ...hostEndpointPeer(active.endpoint), id: hostSubjectId(active) },
    programs: (tiers, applies, profiles) => hostPrograms(active, tiers, applies, profiles),
    dependsOn: (name) => active.endpoint.spec.profiles?.includes(name) === true,
  };
}

export class ProgramBook {
  readonly #listener: PieceListener;
  #context: Context;
  readonly #index = new LabelIndex();
  readonly #subjects = new Map<string, Governed>();
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
    this.setProfile(DEFAULT_ALLOW, new Map());
  }

  setSubject(subject: Subject): void {
    const { id, labels, parents } = subject.peer;
    const keys = this.#subjects.get(id)?.keys ?? new Map<string, string>();
    this.#subjects.set(id, { subject, keys });
    this.#index.setItem(id, labels, parents);
    this.#stale.add(id);
  }

  deleteSubject(id: string): void {
    const governed = this.#subjects.get(id);
    if (governed === undefined) return;
    this.#subjects.delete(id);
    this.#index.deleteItem(id);
    this.#stale.delete(id);
    for (const key of new Set(governed.keys.values())) this.#leave(id, key);
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
    for (const id of this.#subjects.keys()) this.#stale.add(id);
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

  /** Where the programs of the subject begin, by slot; valid after `settle`. */
  verdicts(id: string): ReadonlyMap<string, Verdict> {
    const out = new Map<string, Verdict>();
    for (const [slot, key] of this.#subjects.get(id)?.keys ?? []) {
      const program = this.#programs.get(key);
      if (program !== undefined) out.set(slot, program.compiled.entry);
    }
    return out;
  }

  /** Brings everything up to date; answers the subjects whose verdicts may be others now. */
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
    for (const { item } of changes) if (this.#subjects.has(item)) this.#stale.add(item);
  }

  #touchUsersOf(profile: string): void {
    for (const [id, { subject }] of this.#subjects) if (subject.dependsOn(profile)) this.#stale.add(id);
  }

  /** Gives the subject its programs; answers those that it has left. */
  #govern(id: string): [id: string, key: string][] {
    const governed = this.#subjects.get(id);
    if (governed === undefined) return [];
    const keys = new Map<string, string>();
    for (const [slot, program] of this.#programsOf(governed.subject)) {
      const key = programKey(program);
      keys.set(slot, key);
      this.#enter(id, key, program);
    }
    const kept = new Set(keys.values());
    const left = new Set([...governed.keys.values()].filter((key) => !kept.has(key)));
    this.#subjects.set(id, { ...governed, keys });
    return [...left].map((key) => [id, key]);
  }

  #programsOf(subject: Subject): ReadonlyMap<string, Program> {
    const matching = new Set(this.#index.selectorsOf(subject.peer.id));
    const profiles: Profiles = { lists: this.#profiles, networks: this.#networks };
    return subject.programs(this.#tiers, ({ key }) => matching.has(key), profiles);
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
      const { calls, inlined, isGrouped } = entry.compiled;
      const moved = !calls.isDisjointFrom(isGrouped ? stale : stands);
      if (moved || !inlined.isDisjointFrom(stale)) this.#recompileProgram(key, entry);
    }
    for (const identity of stale) {
      const [used, list] = [this.#usedLists.get(identity), this.#lists.get(identity)];
      if (used !== undefined && list !== undefined && used.list !== list) this.#recompileList(used, list);
    }
  }

  #recompileProgram(key: string, { compiled: before, users }: Entry): void {
    const [user = ""] = users;
    const governed = this.#subjects.get(user);
    const [slot] = [...(governed?.keys ?? [])].find(([, own]) => own === key) ?? [];
    const program = governed === undefined ? undefined : this.#programsOf(governed.subject).get(slot ?? "");
    if (program === undefined) throw new Error(`nobody uses the program ${key}`);
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
