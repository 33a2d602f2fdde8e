/**
 * One agent, all parts connected: Docker's calls and the store's changes become a snapshot, the snapshot a host state, and the
 * kernel is made so. Everything it needs to know it reads back at start; nothing is lost when it is killed.
 */

import { Deriver } from "../core/calc/deriver.ts";
import type { HostState } from "../core/calc/host-state.ts";
import { labelPolicies } from "../core/calc/label-policies.ts";
import type { Snapshot } from "../core/calc/snapshot.ts";
import type { AnyResource, Node } from "../core/model/resources.ts";
import { match } from "../core/selector/match.ts";
import { parseSelector } from "../core/selector/parse.ts";
import { KernelConntrack } from "../drivers/conntrack/kernel-conntrack.ts";
import { EngineClient } from "../drivers/docker/engine.ts";
import { messageOf } from "../drivers/error.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import type { Store } from "../drivers/store/store.ts";
import { hasDrifted } from "../drivers/system/sysctls.ts";
import { openBgp } from "./bgp/open.ts";
import { LiveRequests } from "./cluster/live-requests.ts";
import { Membership } from "./cluster/membership.ts";
import { mergeNode, versionFacts } from "./cluster/node.ts";
import { resourceKey } from "./cluster-cache.ts";
import { ConnectionCutter } from "./connection-cutter.ts";
import { Dataplane, type Outcome, reportOutcome } from "./dataplane.ts";
import { openDockerSide } from "./docker-side.ts";
import { Health } from "./health.ts";
import { HostNetwork } from "./host-network.ts";
import { openAddresses } from "./ipam/local-addresses.ts";
import { isEtcd, openJoining } from "./joining.ts";
import { judge } from "./judge.ts";
import { Kernel } from "./kernel.ts";
import { labelComplaints } from "./label-complaints.ts";
import { LanMode } from "./lan/open.ts";
import { type LocalState, openLocalState } from "./local-state.ts";
import type { Logger } from "./log.ts";
import { Loop } from "./loop.ts";
import { Metrics } from "./metrics/metrics.ts";
import { RuleCounters } from "./metrics/rule-counters.ts";
import { openNames } from "./names/open.ts";
import { openFlowExchange } from "./observe/everywhere.ts";
import { HostNames } from "./observe/host-names.ts";
import { sweep, tracer } from "./observe/live/live.ts";
import { openObserver } from "./observe/open.ts";
import type { AgentOptions } from "./options.ts";
import { OverlapWatch } from "./pool-overlaps.ts";
import { ServiceClaims } from "./services/claims.ts";
import { openStopGate } from "./services/gate.ts";
import { Services } from "./services/open.ts";
import { cutsSession, type GuardSources } from "./session-guard.ts";
import { hostSettings } from "./settings.ts";
import { memo, Snapshots } from "./snapshot.ts";
import { openStoreSide } from "./store-side.ts";
import { SysctlOriginals } from "./sysctl-originals.ts";

/** Milliseconds between two looks at what nobody tells us about: settings, and tables of iptables-legacy. */
const GLANCE_EVERY = 30_000;
/** Milliseconds between two looks at everything: the kernel tells of changes, so this finds what was not told for once. */
const LOOK_EVERY = 600_000;

export type Agent = Awaited<ReturnType<typeof startAgent>>;

/**
 * Starts everything; what was started is ended again, in reverse, by disposing of `stack`.
 * `shared`: the store that this host shares with others; absent: it is alone, with a store in its own file.
 */
export async function startAgent(options: AgentOptions, log: Logger, shared?: Store) {
  await using undo = new AsyncDisposableStack();
  const stop = new AbortController();
  const { signal } = stop;
  const background: Promise<void>[] = [];
  undo.defer(async () => void (await Promise.allSettled(background)));
  // While all that a start waits for is a retry in the background, nothing else keeps the process from ending.
  const awake = setInterval(() => {}, GLANCE_EVERY);
  undo.defer(() => clearInterval(awake));
  undo.defer(() => stop.abort(new Error("the agent could not start"))); // a start that fails ends what it began
  const run = (work: Promise<void>): void =>
    void background.push(work.catch((error: unknown) => log.error({ err: error }, "a part of the agent ended")));

  const health = new Health(({ code, why, title }, raised) => {
    if (raised) log.warn({ code, why }, title);
    else log.info({ code }, `well again: ${title}`);
  });
  const state = undo.use(openLocalState(options.stateFile));
  let services: Services | undefined;
  // First of all: where Docker asks it, every question to Docker waits for its answer.
  await openStopGate({ options, services: () => services, health, log }, undo);
  const metrics = new Metrics();
  let loop: Loop | undefined;
  let guard: GuardSources | undefined;
  let snapshots: Snapshots | undefined;
  let claims: ServiceClaims | undefined;
  let lookAtEndpoints = (): void => {};
  let lookAtEngine = (): void => {};
  const wake = (): void => loop?.wake();
  const storeSide = undo.use(
    await openStoreSide(
      {
        stateFile: options.stateFile,
        state,
        shared,
        health,
        log,
        run,
        onChange: () => {
          metrics.storeChanged();
          lookAtEndpoints();
          lookAtEngine(); // blocks of pools that are no longer in use
          wake();
        },
        judge: (after, changed) => [...judge(after, changed), ...(claims?.judge(changed) ?? [])],
        unstored: (resource) => snapshots?.unstored(resource),
        cuts: (after, session) => (guard === undefined ? undefined : cutsSession(after, session, guard)),
      },
      signal,
    ),
  );
  const { store, link, cluster, changes, withStore } = storeSide;
  const originals = new SysctlOriginals(state);
  const kernel = undo.use(Kernel.open(originals));
  sweep(log);
  const hostNetwork = new HostNetwork(options.host, kernel.rtnetlink, { ipv4: options.ip, ipv6: options.ip6 });
  const engine = undo.use(new EngineClient({ socketPath: options.dockerSocket }));

  const storedNode = (): Node | undefined => cluster.all("Node").find(({ metadata }) => metadata.name === options.host);
  const membership =
    shared === undefined
      ? undefined
      : undo.use(
          new Membership({
            state,
            store,
            host: options.host,
            engine,
            health,
            log,
            detected: () => hostNetwork.node,
            stored: storedNode,
            wake,
          }),
        );
  lookAtEndpoints = () => membership?.lookAtEndpoints(); // services are a part of them
  if (membership !== undefined) await withStore("claiming the host's name", () => membership.claim(signal));

  const nodeLabels = (): Readonly<Record<string, string>> => ({
    "kubernetes.io/hostname": options.host,
    ...storedNode()?.metadata.labels,
  });
  const lan = undo.use(
    new LanMode({ rtnetlink: kernel.rtnetlink, hostNetwork, pools: () => cluster.all("IPPool"), health, log }),
  );
  const owners = new ServiceClaims({
    services: () => cluster.all("Service"),
    endpoints: () => snapshots?.takeWhole().endpoints ?? [],
    hostAddresses: () => hostNetwork.surroundings.hostAddresses,
    nodes: () => cluster.all("Node"),
  });
  claims = owners;
  const addresses = undo.use(
    openAddresses({
      others: owners.beside(lan.watch),
      state,
      store,
      host: options.host,
      pools: () => cluster.all("IPPool"),
      reservations: () => cluster.all("IPReservation"),
      rules: () => cluster.all("IPAMConfiguration")[0]?.spec ?? {},
      selects: (text) => {
        const parsed = parseSelector(text);
        return parsed.ok && match(parsed.selector, nodeLabels());
      },
      routes: () => hostNetwork.routesNow(),
      onTrouble: (why) => health.set("store-unavailable", why, "addresses"),
      ...(membership !== undefined && {
        departed: departedOf(membership, state),
        isAlive: (host: string) => membership.presence.alive.has(host),
      }),
    }),
  );
  // One cause of every wake-up at a time: disposal stops the loop before what it uses.
  run(cluster.follow(signal));
  link.waits(() => addresses.unpublished());
  await withStore("comparing address blocks", async () => {
    for (const note of await addresses.installDefaultPools(signal)) log.info(note);
    for (const problem of await addresses.recover(signal)) log.warn(problem);
  });

  const joining = openJoining({ options, shared, store, state, cluster, hostNetwork, link, health, log });
  if (joining !== undefined) undo.use(joining);
  const settingsWith = hostSettings(options, state, originals);
  const mergedNode = memo((stored: Node | undefined, detected: Node) => mergeNode(stored, detected, versionFacts()));
  const thisNode = (): Node => membership?.node() ?? mergedNode(storedNode(), hostNetwork.node);
  const serving = undo.use(new Services({ state, engine, kernel, health, log, wake }));
  services = serving;
  snapshots = new Snapshots({
    host: options.host,
    local: state,
    cluster,
    node: thisNode,
    mtu: () => hostNetwork.mtu,
    interfaces: () => hostNetwork.interfaces,
    blocks: () => addresses.blocks(),
    settings: () => settingsWith(cluster.all("FelixConfiguration")),
    ...(membership !== undefined && { remote: membership.remote }),
    made: (endpoints) => {
      const written = (policy: AnyResource): boolean => cluster.get(resourceKey(policy)) !== undefined;
      return labelPolicies(endpoints, written).policies;
    },
    serviceAddresses: () => announced(),
    memberState: (member) => serving.health.stateOf(member),
  });
  const made = snapshots;
  const lookAtLabels = labelComplaints(health);
  const announced = owners.announced(made, membership?.remote);
  membership?.start(() => made.own(), addresses);
  // Nothing before in-sync: rules without the endpoints of the other hosts would cut their connections.
  await membership?.remote.known();

  const bgp = openBgp({
    options,
    cluster,
    hostNetwork,
    node: thisNode,
    addresses,
    services: announced,
    health,
    log,
  });
  if (bgp !== undefined) undo.use(bgp);
  const dataplane = new Dataplane(kernel.targets);
  const cutter = undo.use(
    new ConnectionCutter({
      conntrack: new KernelConntrack(),
      surroundings: () => hostNetwork.surroundings,
      onCut: (count) => log.info({ count }, "cut connections that the policy in force forbids"),
      onOutcome: (error) => health.set("connections-not-cut", error === undefined ? undefined : messageOf(error)),
    }),
  );
  const lookAtLan = (): void =>
    lan.look(addresses, () => new Set(made.takeWhole().endpoints.flatMap((one) => one.addresses)), signal);
  let lanSeen = lan.lan;
  const deriver = new Deriver();
  let hostState: HostState | undefined;
  guard = {
    snapshot: () => made.take(),
    state: () => hostState,
    surroundings: () => hostNetwork.surroundings,
    stored: () => [...cluster.entries()].map(({ resource }) => resource),
    settings: settingsWith,
  };
  const names = options.names ? undo.use(openNames({ hostNetwork, kernel, health })) : undefined;
  const hostNames = new HostNames(options.host, hostNetwork, kernel.rtnetlink);
  const overlaps = new OverlapWatch(health);
  const lookAtPools = (): void => overlaps.look(cluster.all("IPPool"), hostNetwork.routes);
  let outcome: Outcome | undefined;
  loop = undo.use(
    new Loop({
      step: (stepSignal) =>
        metrics.step(async () => {
          const snapshot = made.take();
          hostState = deriver.derive(snapshot);
          hostNames.take(snapshot, hostState);
          lookAtPools();
          outcome = await dataplane.apply(hostState, stepSignal);
          metrics.wrote(outcome);
          reportOutcome(health, outcome);
          names?.take(snapshot);
          lookAtLabels(made.speaking());
          serving.follow(made.services(), snapshot.serviceMembers ?? []);
          if (!outcome.failures.has("routes")) bgp?.stage.wake(); // BIRD announces what the kernel has
          if (!outcome.failures.has("proxies")) lan.follow(hostState.proxies);
          if (lan.lan !== lanSeen) lookAtLan();
          lanSeen = lan.lan;
          if (!outcome.failures.has("firewall")) cutter.follow(hostState);
          const wrong = [...outcome.failures].filter(([stage]) => stage !== "sysctls");
          if (wrong.length > 0) throw wrong[0]?.[1];
        }),
      onOutcome: (error) =>
        error !== undefined && log.warn({ err: error }, "the kernel could not be brought up to date"),
    }),
  );
  undo.defer(state.onChange((changed) => (changed.has("meta") && changed.size === 1 ? undefined : wake())));

  await loop.settle().catch(() => {}); // a condition says why; it is tried again
  const settledLoop = loop;
  serving.attach({ settle: () => settledLoop.settle(), state: () => hostState, bgp });
  const refreshNetwork = (): void => {
    try {
      const changed = hostNetwork.refresh();
      lookAtPools();
      if (!changed) return;
    } catch (error) {
      return log.debug({ err: error }, "the host's network could not be read; the next look tries again");
    }
    membership?.lookAtNode();
    wake();
    lookAtLan();
  };
  const docker = undo.use(
    await openDockerSide(
      {
        options,
        state,
        addresses,
        engine,
        kernel,
        membership,
        services: serving,
        metrics,
        health,
        log,
        settle: () => settledLoop.settle(),
        onAgreed: once(() => {
          kernel.deleteUnknownLinks();
          dataplane.resync("links");
          wake();
        }),
        run,
      },
      signal,
    ),
  );
  lookAtEngine = docker.busy;
  const resync = (stage?: Parameters<Dataplane["resync"]>[0]): void => {
    dataplane.resync(stage);
    wake();
    if (stage === undefined || stage === "links") docker.returnInterfaces();
  };
  run(kernel.follow({ resync, onNetwork: refreshNetwork, onFilter: () => void docker.pass() }, signal));
  const traceFlows = tracer(
    hostNames,
    options.host,
    () => hostState,
    (head, since) => observer.kernelReason(head, since),
  );
  const observer = openObserver({ options, names: hostNames, health, log, trace: traceFlows, run }, signal);
  const liveRequests =
    membership === undefined ? undefined : new LiveRequests({ store, host: options.host, trace: traceFlows });
  if (liveRequests !== undefined) run(liveRequests.serve(signal));
  const flowExchange = membership && openFlowExchange({ store, host: options.host, membership, observer });
  if (flowExchange !== undefined) run(flowExchange.serve(signal));
  const counterReader = undo.use(Nftables.open());
  const ruleCounters = new RuleCounters((callSignal) => counterReader.counters(callSignal));
  const every = (milliseconds: number, work: () => void): void => {
    const timer = setInterval(work, milliseconds);
    undo.defer(() => clearInterval(timer));
  };
  every(GLANCE_EVERY, () => {
    if (hostState !== undefined && hasDrifted(hostState.sysctls)) resync("sysctls");
    lookAtLan();
    docker.glance();
    void docker.pass("unheard");
  });
  every(LOOK_EVERY, () => {
    refreshNetwork();
    resync();
    serving.look();
    void docker.pass();
  });
  undo.defer(() => stop.abort(new Error("the agent is stopping")));
  await docker.pass();

  const stack = undo.move();
  return {
    options,
    startedAt: Date.now(),
    signal,
    health,
    state,
    store,
    link,
    joining,
    /** Members of etcd that are known; empty where the store is a file. */
    storeEndpoints: (): readonly string[] => (shared !== undefined && isEtcd(shared) ? shared.endpoints : []),
    cluster,
    changes,
    addresses,
    engine,
    kernel,
    hostNetwork,
    refreshNetwork,
    forward: docker.forward,
    bgp,
    lan,
    observer,
    hostNames,
    traceFlows,
    liveRequests,
    flowExchange,
    metrics,
    ruleCounters,
    names,
    services: serving,
    serviceProblems: () => made.services().problems,
    takeSnapshot: (): Snapshot => made.takeWhole(),
    membership,
    hostState: () => hostState,
    outcome: () => outcome,
    /** Everything that is wanted now is in force, and no connection is left that it forbids. */
    settle: async () => {
      await settledLoop.settle();
      await cutter.settle();
    },
    reconcile: docker.reconcile,
    reopenPluginSocket: docker.reopenPluginSocket,
    resync,
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

/** What containers had on other hosts, by this host's own network IDs. */
function departedOf({ remote }: Membership, { networks }: LocalState) {
  const name = (id: string): string => networks.get(id)?.name ?? "";
  return {
    containers: (networkId: string) => remote.departed.containers(name(networkId)),
    addresses: (networkId: string, container: string) => remote.departed.addresses(name(networkId), container),
  };
}

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}
