/** BGP as a part of the agent: where its facts come from, and which BIRD it drives. */
import { dirname, join } from "node:path";
import type { BgpInput, Session } from "../../core/bgp/state.ts";
import type { Node } from "../../core/model/resources.ts";
import type { Bird } from "../../drivers/bird/bird.ts";
import { BirdDaemon } from "../../drivers/bird/daemon.ts";
import { ExternalBird } from "../../drivers/bird/external.ts";
import { ROUTE_PROTOCOL } from "../../drivers/netlink/ownership.ts";
import { readSecret } from "../../drivers/system/secrets.ts";
import type { ClusterCache } from "../cluster-cache.ts";
import type { Health } from "../health.ts";
import type { HostNetwork } from "../host-network.ts";
import type { LocalAddresses } from "../ipam/local-addresses.ts";
import type { Logger } from "../log.ts";
import type { AgentOptions } from "../options.ts";
import { BfdWaker } from "./bfd-waker.ts";
import { BgpMonitor } from "./monitor.ts";
import { SelfNode } from "./self.ts";
import { BgpStage } from "./stage.ts";

export interface BgpSources {
  readonly options: AgentOptions;
  readonly cluster: ClusterCache;
  readonly hostNetwork: HostNetwork;
  /** This host's Node. */
  readonly node: () => Node;
  readonly addresses: LocalAddresses;
  /** Service addresses of all hosts; the same array while none of them changes. */
  readonly services: () => readonly string[];
  readonly health: Health;
  readonly log: Logger;
}

export interface Bgp extends Disposable {
  readonly stage: BgpStage;
  readonly bird: Bird;
  readonly monitor: BgpMonitor;
  readonly input: () => BgpInput;
}

/** Undefined where BGP is switched off. */
export function openBgp(sources: BgpSources): Bgp | undefined {
  const { options, health, log } = sources;
  if (options.bgp === "off") return undefined;
  const folder = join(dirname(options.socket), "bird");
  const stack = new DisposableStack();
  const input = bgpInput(sources);
  let stage: BgpStage | undefined;
  const onDeath = (): void => {
    log.warn("BIRD ended; it is started again, its routes stay");
    stage?.wake();
  };
  const bird = stack.use(
    options.bgp === "external"
      ? new ExternalBird({ file: join(dirname(options.stateFile), "bgp/manx.conf") })
      : new BirdDaemon({ folder, onDeath }),
  );
  stage = stack.use(
    new BgpStage({
      bird,
      input,
      readSecret: (name, key) => readSecret(options.secrets, name, key),
      health,
      logFile: join(folder, "bird.log"),
      routeProtocol: ROUTE_PROTOCOL,
      form: options.bgp === "external" ? "snippet" : "whole",
      onApplied: (what) => log.info({ what }, "BIRD has a new configuration"),
    }),
  );
  const monitor = stack.use(new BgpMonitor(bird, stage, health));
  const sessions = (): readonly Session[] => stage?.state?.sessions ?? [];
  stack.use(new BfdWaker(bird, () => sessions().some(({ bfd }) => bfd !== undefined)));
  return { stage, bird, monitor, input, [Symbol.dispose]: () => stack.dispose() };
}

function bgpInput({ options: { host }, cluster, hostNetwork, addresses, services, node }: BgpSources): () => BgpInput {
  const self = new SelfNode();
  return () => {
    const { connected } = hostNetwork;
    const stored = cluster.all("Node");
    const own = stored.find(({ metadata }) => metadata.name === host);
    return {
      host,
      nodes: [self.merge(node(), own, connected), ...stored.filter(({ metadata }) => metadata.name !== host)],
      configurations: cluster.all("BGPConfiguration"),
      peers: cluster.all("BGPPeer"),
      filters: cluster.all("BGPFilter"),
      pools: cluster.all("IPPool"),
      blocks: addresses.blocks(),
      lent: addresses.lent(),
      services: services(),
      connected,
    };
  };
}
