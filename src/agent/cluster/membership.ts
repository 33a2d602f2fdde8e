/**
 * This host as one of several: what it tells the others (that it lives, its Node, its endpoints, its networks, the addresses that
 * it lends), and what it learns of them. Nothing of this is waited for by a container that starts; all of it is made up for
 * after the store was away.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Node } from "../../core/model/resources.ts";
import { plural } from "../../core/plural.ts";
import type { Engine } from "../../drivers/docker/engine.ts";
import type { Store } from "../../drivers/store/store.ts";
import type { Health } from "../health.ts";
import type { LocalAddresses } from "../ipam/local-addresses.ts";
import { type Identity, identityOf, type LocalState } from "../local-state.ts";
import type { Logger } from "../log.ts";
import { EndpointPublisher } from "./endpoint-publisher.ts";
import { NetworkSpread } from "./network-spread.ts";
import { mergeNode, publishNode, versionFacts } from "./node.ts";
import { Presence } from "./presence.ts";
import { RemoteEndpoints } from "./remote-endpoints.ts";
import { sayUsers } from "./users.ts";

/** Milliseconds between two looks at what nobody tells us about. */
const LOOK_EVERY = 60_000;

export interface MembershipOptions {
  readonly state: LocalState;
  readonly store: Store;
  readonly host: string;
  readonly engine: Engine;
  readonly health: Health;
  readonly log: Logger;
  /** This host's Node as the host itself knows it, and as it is stored. */
  readonly detected: () => Node;
  readonly stored: () => Node | undefined;
  readonly asNumber?: number;
  readonly wake: () => void;
}

export class Membership implements AsyncDisposable {
  readonly remote: RemoteEndpoints;
  readonly presence: Presence;
  readonly networks: NetworkSpread;
  readonly identity: Identity;
  readonly #options: MembershipOptions;
  readonly #stop = new AbortController();
  #publisher: EndpointPublisher | undefined;
  #addresses: LocalAddresses | undefined;
  #engineVersion: string | undefined;
  #node:
    | { readonly stored: Node | undefined; readonly detected: Node; readonly engine: unknown; merged: Node }
    | undefined;
  #publishing: Promise<void> | undefined;
  #publishAgain = false;
  #background: Promise<void>[] = [];

  constructor(options: MembershipOptions) {
    this.#options = options;
    const { store, host, health, wake, state, engine, log, detected } = options;
    this.identity = identityOf(state);
    this.remote = new RemoteEndpoints({
      store,
      host,
      onChange: wake,
      onBadValue: (key, why) => health.set("bad-resource", why === undefined ? undefined : `${key}: ${why}`, key),
      onTrouble: (error) => health.set("store-unavailable", error === undefined ? undefined : text(error), "endpoints"),
    });
    this.presence = new Presence({
      store,
      host,
      identity: this.identity,
      address: () => detected().spec.addresses?.[0]?.address ?? "",
      onChange: () => this.networks.look(),
      onConflict: (why) => {
        health.set("name-taken", why);
        if (why === undefined) this.#welcome();
      },
    });
    this.networks = new NetworkSpread({
      state,
      store,
      engine,
      host,
      usedElsewhere: (name) => sayUsers(this.remote.onNetwork(name)),
      ready: () => this.presence.ours && this.#known,
      onChange: wake,
      onConflict: (name, why) => health.set("network-differs", why, name),
      onKept: (name, why) => health.set("network-kept", why, name),
      onTrouble: (name, why) => health.set("network-not-spread", why, name),
      log: (message, fields) => log.info(fields, message),
    });
  }

  #known = false;

  /** This host's Node: what is stored and what the host knows. */
  node(): Node {
    const { stored: getStored, detected: getDetected, asNumber } = this.#options;
    const [stored, detected, engine] = [getStored(), getDetected(), this.#engineVersion];
    const last = this.#node;
    if (last !== undefined && last.stored === stored && last.detected === detected && last.engine === engine)
      return last.merged;
    const merged = this.#merge(stored, detected, asNumber);
    this.#node = { stored, detected, engine, merged };
    return merged;
  }

  #merge(stored: Node | undefined, detected: Node, asNumber: number | undefined): Node {
    const engine = this.#engineVersion;
    const facts = {
      ...versionFacts(),
      "manx/machine": this.identity.machine,
      ...(engine !== undefined && { "manx/engine": engine }),
    };
    return mergeNode(stored, detected, facts, asNumber);
  }

  /** Takes this host's name. @throws DriverError "exists" if another machine has it; what the store throws */
  claim(signal: AbortSignal): Promise<void> {
    return this.presence.claim(signal);
  }

  /** From now on the others are told of these. */
  start(own: () => Iterable<Endpoint>, addresses: LocalAddresses): void {
    const { store, host, state, health } = this.#options;
    const { signal } = this.#stop;
    this.#addresses = addresses;
    this.#publisher = new EndpointPublisher({
      store,
      host,
      endpoints: own,
      onTrouble: (why, waiting) =>
        health.set(
          "store-unavailable",
          why === undefined ? undefined : `${why} (waiting: ${plural(waiting, "endpoint")})`,
          "publish",
        ),
    });
    const look = setInterval(() => this.#look(), LOOK_EVERY).unref();
    signal.addEventListener("abort", () => clearInterval(look), { once: true });
    const stopListening = state.onChange((changed) => {
      if (changed.has("endpoints") || changed.has("networks")) this.#publish();
    });
    signal.addEventListener("abort", stopListening, { once: true });
    void this.remote.known().then(() => {
      this.#known = true;
      this.networks.look();
    });
    this.#background = [
      this.presence.follow(signal),
      this.remote.follow(signal),
      this.networks.run(signal),
      this.#lend(signal),
    ];
    this.#look();
  }

  /** The engine answers (again), with this version. */
  engineIs(version: string): void {
    this.#engineVersion = version;
    this.lookAtNode();
    this.networks.look();
  }

  #look(): void {
    this.#publisher?.resync();
    this.lookAtNode();
    this.networks.look();
  }

  #publish(): void {
    if (this.presence.ours) this.#publisher?.look();
  }

  /** The name is ours (again): whatever others did to what is ours meanwhile is put right. */
  #welcome(): void {
    if (this.#addresses === undefined) return;
    this.#publisher?.resync();
    this.lookAtNode();
    void this.#addresses.recover(this.#stop.signal).then(
      (problems) => {
        for (const problem of problems) this.#options.log.warn(problem);
      },
      () => undefined, // the store is away once more: the name is claimed again then
    );
  }

  /** What the endpoints of this host are to others may have changed. */
  lookAtEndpoints(): void {
    this.#publish();
  }

  /** The Node may have changed. */
  lookAtNode(): void {
    if (!this.presence.ours) return;
    this.#publishAgain = true;
    this.#publishing ??= this.#publishNode().finally(() => (this.#publishing = undefined));
  }

  async #publishNode(): Promise<void> {
    const { store, detected, asNumber } = this.#options;
    const { signal } = this.#stop;
    while (this.#publishAgain && !signal.aborted) {
      this.#publishAgain = false;
      try {
        await publishNode(store, (stored) => this.#merge(stored, detected(), asNumber), signal);
      } catch {
        await sleep(1000, undefined, { signal, ref: false }).catch(() => {});
        this.#publishAgain = true;
      }
    }
  }

  async #lend(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#addresses?.serveLoans(signal).catch(() => undefined);
      await sleep(500, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error("the agent is stopping"));
    await this.#publisher?.[Symbol.asyncDispose]();
    await Promise.allSettled([...this.#background, this.#publishing]);
    await this.presence[Symbol.asyncDispose]();
  }
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
