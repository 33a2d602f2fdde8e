/** What an agent on etcd does besides: lets other hosts in, and keeps track of etcd's members. */
import type { EtcdStore } from "../drivers/store/etcd.ts";
import type { Store } from "../drivers/store/store.ts";
import { daysLeft } from "../install/pki/authority.ts";
import type { ClusterCache } from "./cluster-cache.ts";
import { knownMembers, learnMembers } from "./etcd-members.ts";
import type { Health } from "./health.ts";
import type { HostNetwork } from "./host-network.ts";
import { isOwn, storeAccess } from "./join/access.ts";
import { JoinService } from "./join/service.ts";
import type { LocalState } from "./local-state.ts";
import type { Logger } from "./log.ts";
import type { AgentOptions } from "./options.ts";
import type { StoreLink } from "./store-link.ts";

const LEARN_EVERY = 10_000;
/** Of the 1,095 that a certificate is good for. */
const WARN_DAYS = 60;

export interface JoiningOptions {
  readonly options: AgentOptions;
  /** The driver itself, and what the agent makes of it. */
  readonly shared: Store | undefined;
  readonly store: Store;
  readonly state: LocalState;
  readonly cluster: ClusterCache;
  readonly hostNetwork: HostNetwork;
  readonly link: StoreLink;
  readonly health: Health;
  readonly log: Logger;
}

/** Undefined where this host does not use etcd. */
export function openJoining(parts: JoiningOptions): (JoinService & AsyncDisposable) | undefined {
  const { options, shared, store, state, cluster, hostNetwork, link, health, log } = parts;
  const { etcd: config } = options;
  if (config === undefined || shared === undefined || !isEtcd(shared)) return undefined;
  const stop = new AbortController();
  const { signal } = stop;
  const service = new JoinService({
    store,
    nodes: () => cluster.all("Node"),
    addresses: () => (hostNetwork.node.spec.addresses ?? []).map(({ address }) => address.replace(/\/.*/, "")),
    access: (callSignal) => storeAccess(config, shared, callSignal),
    log,
  });
  const certificate = async (): Promise<void> => {
    const days = config.certFile === undefined ? undefined : await daysLeft(config.certFile);
    const soon = days !== undefined && days < WARN_DAYS;
    const why = soon ? `${config.certFile} is good for ${Math.floor(days)} days more` : undefined;
    health.set("certificate-expires", why);
  };
  const look = (): void => {
    void certificate().catch((error: unknown) => log.warn({ err: error }, "a certificate cannot be read"));
    if (link.away !== undefined) return;
    void service.resume(signal).catch((error: unknown) => log.warn({ err: error }, "no host can be let in"));
    if (isOwn(config)) void learnMembers(shared, state, signal).catch(() => {}); // the next look asks again
  };
  if (isOwn(config)) shared.learn(knownMembers(state));
  link.onReturn(look);
  look();
  const timer = setInterval(look, LEARN_EVERY).unref();
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  const close = service[Symbol.asyncDispose].bind(service);
  return Object.assign(service, {
    async [Symbol.asyncDispose](): Promise<void> {
      stop.abort(new Error("the agent is stopping"));
      await close();
    },
  });
}

export function isEtcd(store: Store): store is EtcdStore {
  return "memberList" in store;
}
