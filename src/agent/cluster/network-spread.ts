/**
 * Makes the cluster's networks on this host's engine, and this host's networks the cluster's: looks, plans (network-plan.ts), does
 * one thing after the other, and looks again. What fails is tried again; an engine that was away is caught up with.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../drivers/docker/engine.ts";
import type { Store } from "../../drivers/store/store.ts";
import type { LocalState } from "../local-state.ts";
import { follow } from "./follow.ts";
import { type Here, type Known, type NetworkStep, planNetworks } from "./network-plan.ts";
import {
  definitionOf,
  isEverywhere,
  NETWORKS,
  type NetworkRecord,
  networkKey,
  readNetworkRecord,
} from "./network-record.ts";

const DRIVER = "manx";
const META = "cluster-networks";
const META_EPOCH = "cluster-networks-epoch";
/** Says which store it is: one that was lost and begun anew must not look as if everybody had removed everything. */
const EPOCH = `${NETWORKS}#`;
const MIN_DELAY = 500;
const MAX_DELAY = 30_000;
/** Steps can make others necessary, as a removal a creation; not without end. */
const MOST_ROUNDS = 4;

export interface NetworkSpreadOptions {
  readonly state: Pick<LocalState, "meta" | "setMeta" | "change" | "endpoints">;
  readonly store: Store;
  readonly engine: Engine;
  readonly host: string;
  readonly usedElsewhere: (network: string) => string | undefined;
  /** Nothing is done before the store has been read and this returns true. */
  readonly ready: () => boolean;
  readonly onChange: () => void;
  /** A sentence about a network; undefined: well again. */
  readonly onConflict: (name: string, why: string | undefined) => void;
  readonly onKept: (name: string, why: string | undefined) => void;
  readonly onTrouble: (name: string, why: string | undefined) => void;
  readonly log: (message: string, fields: Readonly<Record<string, unknown>>) => void;
}

interface Stored {
  readonly record: NetworkRecord;
  readonly modRevision: number;
}

export class NetworkSpread {
  readonly #options: NetworkSpreadOptions;
  readonly #records = new Map<string, Stored>();
  /** By network ID. */
  readonly #refused = new Map<string, { readonly name: string; readonly sentence: string }>();
  readonly #troubled = new Set<string>();
  readonly #kept = new Set<string>();
  #inSync = false;
  #epoch: string | undefined;
  #ring: () => void = () => {};
  #rung = true;

  constructor(options: NetworkSpreadOptions) {
    this.#options = options;
  }

  /** The cluster's networks. */
  get records(): readonly NetworkRecord[] {
    return [...this.#records.values()].map(({ record }) => record);
  }

  /** Why no container may be put on the network; undefined: it may. */
  refusal(networkId: string): string | undefined {
    return this.#refused.get(networkId)?.sentence;
  }

  /** Docker was told to remove the network: to be called with its removal from the local state. */
  removed(networkId: string): void {
    const known = this.#known();
    if (!known.some(({ id }) => id === networkId)) return;
    this.#keep(known.map((entry) => (entry.id === networkId ? { ...entry, removed: true } : entry)));
    this.look();
  }

  /** Something may have changed. */
  look(): void {
    this.#rung = true;
    this.#ring();
  }

  /** Follows store and engine until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#follow(signal), this.#work(signal)]);
  }

  #follow(signal: AbortSignal): Promise<void> {
    return follow(
      this.#options.store,
      NETWORKS,
      {
        reset: (entries) => {
          this.#records.clear();
          this.#epoch = undefined;
          for (const { key, value, modRevision } of entries) this.#take(key, value, modRevision);
          this.#inSync = true;
        },
        put: ({ key, value, modRevision }) => this.#take(key, value, modRevision),
        drop: (key) => this.#records.delete(nameIn(key)),
        changed: () => {
          this.#options.onChange();
          this.look();
        },
        trouble: () => undefined, // others follow the same store and say so
      },
      signal,
    );
  }

  #take(key: string, value: string, modRevision: number): void {
    if (key === EPOCH) {
      this.#epoch = value;
      return;
    }
    const record = readNetworkRecord(key, value);
    this.#options.onTrouble(key, record === undefined ? `the value of ${key} is not a network` : undefined);
    const before = this.#records.get(nameIn(key));
    if (record === undefined) this.#records.delete(nameIn(key));
    else if ((before?.modRevision ?? 0) <= modRevision) this.#records.set(record.name, { record, modRevision });
  }

  async #work(signal: AbortSignal): Promise<void> {
    let delay = MIN_DELAY;
    while (!signal.aborted) {
      const { ready } = this.#options;
      const well = this.#inSync && ready() ? await this.#settle(signal) : true;
      delay = well ? MIN_DELAY : Math.min(delay * 2, MAX_DELAY);
      await this.#pause(well ? 60_000 : delay, signal);
    }
  }

  async #pause(most: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung) {
      const woken = new AbortController();
      this.#ring = () => woken.abort();
      await sleep(most, undefined, { signal: AbortSignal.any([signal, woken.signal]), ref: false }).catch(() => {});
    }
    this.#rung = false;
  }

  /** @returns whether all is as it should be */
  async #settle(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#checkEpoch(signal);
      for (let round = 0; round < MOST_ROUNDS; round++) {
        const steps = await this.#plan(signal);
        this.#tellRefused(steps);
        const doing = steps.filter((step) => step.do !== "refuse");
        if (doing.length === 0) return true;
        let well = true;
        for (const step of doing) well = (await this.#try(step, signal)) && well;
        if (!well) return false;
      }
      return false;
    } catch (error) {
      if (!signal.aborted)
        this.#options.log("the networks of the cluster could not be looked at", { why: text(error) });
      return false;
    }
  }

  async #checkEpoch(signal: AbortSignal): Promise<void> {
    const { store, state } = this.#options;
    if (this.#epoch === undefined) {
      const op = { kind: "put", key: EPOCH, value: randomUUID() } as const;
      await store.commit({ compares: [{ key: EPOCH, modRevision: 0 }], ops: [op] }, signal);
      this.#epoch = (await store.get(EPOCH, signal))?.value;
    }
    if (this.#epoch === undefined || state.meta(META_EPOCH) === this.#epoch) return;
    state.change(() => {
      this.#keep([]);
      state.setMeta(META_EPOCH, this.#epoch);
    });
  }

  async #plan(signal: AbortSignal): Promise<NetworkStep[]> {
    const { engine, usedElsewhere } = this.#options;
    const networks = await engine.networks(DRIVER, signal);
    const users = await this.#users(signal);
    const here = networks.map((network): Here => {
      const { id, name, labels } = network;
      const on = [...new Set([...(users.get(id) ?? []), ...(users.get(name) ?? [])])];
      return { id, name, labels, definition: definitionOf(network), everywhere: isEverywhere(network), users: on };
    });
    const records = new Map([...this.#records].map(([name, { record }]) => [name, record]));
    const used = new Set(here.filter((network) => network.users.length > 0).map(({ name }) => name));
    for (const name of this.#kept)
      if (!used.has(name) && usedElsewhere(name) === undefined) this.#tellKept(name, undefined);
    return planNetworks({ here, records, known: this.#known(), usedElsewhere });
  }

  /** By network ID, and by name for containers that were never started. */
  async #users(signal: AbortSignal): Promise<ReadonlyMap<string, readonly string[]>> {
    const users = new Map<string, string[]>();
    for (const { name, attachments } of await this.#options.engine.containers({}, signal))
      for (const { networkId, network } of attachments) {
        const key = networkId === "" ? network : networkId;
        users.set(key, [...(users.get(key) ?? []), name]);
      }
    return users;
  }

  #tellRefused(steps: readonly NetworkStep[]): void {
    const now = new Map(steps.flatMap((step) => (step.do === "refuse" ? [[step.id, step] as const] : [])));
    for (const [id, { name }] of this.#refused) if (!now.has(id)) this.#options.onConflict(name, undefined);
    this.#refused.clear();
    for (const [id, { name, why }] of now) {
      this.#refused.set(id, { name, sentence: `Cannot use the network "${name}" on this host: ${why}` });
      this.#options.onConflict(name, `"${name}": ${why}`);
    }
  }

  async #try(step: NetworkStep, signal: AbortSignal): Promise<boolean> {
    const name = nameOf(step);
    try {
      await this.#do(step, signal);
      if (this.#troubled.delete(name)) this.#options.onTrouble(name, undefined);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      this.#troubled.add(name);
      this.#options.onTrouble(name, `${step.do} "${name}": ${text(error)}`);
      return false;
    }
  }

  async #do(step: NetworkStep, signal: AbortSignal): Promise<void> {
    const { engine, log } = this.#options;
    switch (step.do) {
      case "publish":
        return this.#publish(step.network, signal);
      case "know":
        return this.#know(step.known);
      case "forget":
        return this.#forget(step.id);
      case "withdraw":
        return this.#withdraw(step.known, signal);
      case "create":
        return this.#create(step.record, signal);
      case "remove":
        log("a network that the cluster has no more is removed", { network: step.name });
        return engine.removeNetwork(step.id, signal);
      case "kept":
        log("a network that was to be removed is kept", { network: step.name, why: step.why });
        return this.#tellKept(step.name, `"${step.name}": ${step.why}`);
      case "refuse":
        return undefined;
    }
  }

  async #publish({ id, name, definition, labels }: Here, signal: AbortSignal): Promise<void> {
    const { store, host, log } = this.#options;
    const uid = randomUUID();
    const record: NetworkRecord = { name, uid, definition, labels, madeOn: host, madeAt: new Date().toISOString() };
    const key = networkKey(name);
    const op = { kind: "put", key, value: JSON.stringify(record) } as const;
    const { ok, revision } = await store.commit({ compares: [{ key, modRevision: 0 }], ops: [op] }, signal);
    if (!ok) return this.#reread(key, signal); // another host was faster: the next look compares with its network
    this.#records.set(name, { record, modRevision: revision });
    this.#know({ id, name, uid });
    log("the network is made on all hosts", { network: name });
  }

  async #reread(key: string, signal: AbortSignal): Promise<void> {
    const found = await this.#options.store.get(key, signal);
    if (found === undefined) this.#records.delete(nameIn(key));
    else this.#take(found.key, found.value, found.modRevision);
  }

  async #withdraw({ id, name, uid }: Known, signal: AbortSignal): Promise<void> {
    const { store, log } = this.#options;
    const stored = this.#records.get(name);
    if (stored?.record.uid === uid) {
      const key = networkKey(name);
      const compares = [{ key, modRevision: stored.modRevision }];
      const { ok } = await store.commit({ compares, ops: [{ kind: "delete", key }] }, signal);
      if (!ok) return this.#reread(key, signal);
      this.#records.delete(name);
      log("the network is removed from all hosts", { network: name });
    }
    this.#forget(id);
  }

  async #create({ name, uid, definition, labels }: NetworkRecord, signal: AbortSignal): Promise<void> {
    const { internal, ipv4, ipv6, options, ipamOptions, pools } = definition;
    const id = await this.#options.engine.createNetwork(
      { name, driver: DRIVER, ipamDriver: DRIVER, internal, ipv4, ipv6, options, ipamOptions, pools, labels },
      signal,
    );
    this.#know({ id, name, uid });
    this.#options.log("a network of the cluster is made on this host", { network: name });
  }

  #tellKept(name: string, why: string | undefined): void {
    if (why === undefined) this.#kept.delete(name);
    else this.#kept.add(name);
    this.#options.onKept(name, why);
  }

  #known(): readonly Known[] {
    return JSON.parse(this.#options.state.meta(META) ?? "[]") as Known[];
  }

  #keep(known: readonly Known[]): void {
    this.#options.state.setMeta(META, JSON.stringify(known));
  }

  #know(entry: Known): void {
    this.#keep([...this.#known().filter(({ id }) => id !== entry.id), entry]);
  }

  #forget(networkId: string): void {
    this.#keep(this.#known().filter(({ id }) => id !== networkId));
  }
}

function nameIn(key: string): string {
  try {
    return decodeURIComponent(key.slice(NETWORKS.length));
  } catch {
    return key;
  }
}

function nameOf(step: NetworkStep): string {
  switch (step.do) {
    case "publish":
      return step.network.name;
    case "know":
    case "withdraw":
      return step.known.name;
    case "create":
      return step.record.name;
    case "forget":
      return step.id;
    case "remove":
    case "refuse":
    case "kept":
      return step.name;
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
