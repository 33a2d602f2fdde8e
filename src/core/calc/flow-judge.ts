/**
 * Live connections before the rules of now: each is asked about as the first packet of a new flow from who began it, as the
 * kernel would ask if it did not know the connection. Its addresses are as conntrack has translated them.
 */

import { address, type Family } from "../net/address.ts";
import { type Cidr, cidr, contains } from "../net/cidr.ts";
import { keysThatMayDiffer, mayDiffer } from "../reconcile/patched-map.ts";
import { evaluate, type Routing, type Translation } from "../rules/evaluate.ts";
import type { Packet } from "../rules/packet.ts";
import { INET_KEY } from "../rules/table.ts";
import type { Touched } from "../rules/touched.ts";
import type { HostState } from "./host-state.ts";
import { type Surroundings, stateRouting } from "./state-routing.ts";

/** One direction of a flow, as its packets look. */
export interface FlowTuple {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

export interface Flow {
  readonly family: Family;
  /** From who began it, before any translation. */
  readonly original: FlowTuple;
  /** The answers, before they are translated back. */
  readonly reply: FlowTuple;
  readonly destinationNat: boolean;
  /** The flow that announced this one (as FTP's control connection does): what is said of it holds for this one. */
  readonly master?: FlowTuple;
}

/** Addresses of which no endpoint is left, and those that another one has now. */
export interface Moved {
  readonly gone: ReadonlySet<string>;
  readonly taken: ReadonlySet<string>;
}

export class FlowJudge {
  readonly #state: HostState;
  readonly #gone: ReadonlySet<string>;
  readonly #around: Surroundings;
  readonly #routing: Routing;
  readonly #verdicts = new Map<string, boolean>();
  readonly #nobodys = new Map<string, boolean>();
  #readsSourcePort: boolean | undefined;

  constructor(state: HostState, gone: ReadonlySet<string>, around: Surroundings) {
    this.#state = state;
    this.#gone = gone;
    this.#around = around;
    this.#routing = remembering(stateRouting(state, around));
  }

  get #sourcePortMatters(): boolean {
    return (this.#readsSourcePort ??= readsSourcePort(this.#state));
  }

  /** True where the change may have decided about the flow. Flows that no endpoint of this host takes part in are not ours. */
  concerns({ original, reply }: Flow, change: Touched): boolean {
    const ends = [original.source, original.destination, reply.source, reply.destination];
    const interfaces = ends.flatMap((end) => [...this.#hops(end), this.#interfaceOf(end) ?? []].flat());
    if (ends.some((end) => this.#isGone(end))) return true;
    if (interfaces.length === 0) return change.everything && this.#isHostsOwn(original);
    if (change.everything || interfaces.some((name) => change.interfaces.has(name))) return true;
    return ends.some((end) => change.addresses.has(end));
  }

  /** False: the rules forbid it, or an end of it exists no longer. */
  allows(flow: Flow): boolean {
    const { original, reply, destinationNat, master } = flow;
    if (this.#isGone(original.source) || this.#isGone(destinationNat ? reply.source : original.destination))
      return false;
    const judged = master ?? original;
    const to = destinationNat && master === undefined ? reply : undefined;
    const port = this.#sourcePortMatters ? judged.sourcePort : "";
    const { source, destination, protocol, destinationPort, icmp } = judged;
    const key = [
      protocol,
      source,
      port,
      destination,
      destinationPort,
      to?.source,
      to?.sourcePort,
      icmp?.type,
      icmp?.code,
    ];
    const text = key.join();
    let verdict = this.#verdicts.get(text);
    if (verdict === undefined) this.#verdicts.set(text, (verdict = this.#evaluate(flow.family, judged, to)));
    return verdict;
  }

  #evaluate(family: Family, tuple: FlowTuple, to: FlowTuple | undefined): boolean {
    const name = this.#interfaceOf(tuple.source);
    const mac = name === undefined ? undefined : this.#state.links.get(name)?.peerMac;
    const packet: Packet = { family, ...tuple, ...(mac === undefined ? {} : { mac }) };
    const known: Translation =
      to === undefined
        ? {}
        : {
            destination: {
              destination: to.source,
              ...(to.sourcePort === undefined ? {} : { destinationPort: to.sourcePort }),
            },
          };
    const iif = name ?? (this.#routing.isLocal(tuple.source) ? undefined : this.#outside(tuple.source));
    const passes = (routing: Routing): boolean =>
      evaluate(this.#state.ruleset, packet, iif, routing, known).outcome !== "drop";
    // Which of several containers the kernel has sent it to is not known: each of them must let it in.
    const hops = this.#hops(tuple.destination);
    if (hops.length < 2) return passes(this.#routing);
    return hops.every((hop) => passes({ ...this.#routing, route: () => ({ kind: "forward", interface: hop }) }));
  }

  /** Interfaces of the containers that have the service address. */
  #hops(text: string): readonly string[] {
    const key = text.includes(":") ? `6 ${text}/128` : `4 ${text}/32`;
    return this.#state.services.get(key)?.hops.map((hop) => hop.interface) ?? [];
  }

  #outside(source: string): string {
    return this.#around.interfaceTo?.(source) ?? this.#around.uplink ?? "outside";
  }

  #interfaceOf(text: string): string | undefined {
    const route = this.#state.routes.get(text.includes(":") ? `6 ${text}/128` : `4 ${text}/32`);
    return route?.kind === "link" ? route.interface : undefined;
  }

  /** One end is this host and the other is somebody else: host endpoints decide about those. */
  #isHostsOwn({ source, destination }: FlowTuple): boolean {
    return this.#routing.isLocal(source) !== this.#routing.isLocal(destination);
  }

  /** It was an endpoint's, or is of a block whose addresses only endpoints of this host can have. */
  #isGone(text: string): boolean {
    let gone = this.#nobodys.get(text);
    if (gone === undefined) {
      const wasOurs = (): boolean =>
        this.#gone.has(text) || ownBlocks(this.#state).some((block) => contains(block, address(text)));
      const nobodys = this.#interfaceOf(text) === undefined && this.#hops(text).length === 0;
      gone = nobodys && wasOurs() && !this.#routing.isLocal(text);
      this.#nobodys.set(text, gone);
    }
    return gone;
  }
}

/** Addresses whose endpoint left or was followed by another between two states. */
export function moved(before: HostState | undefined, after: HostState): Moved {
  const gone = new Set<string>();
  const taken = new Set<string>();
  if (before === undefined || before.routes === after.routes) return { gone, taken };
  for (const key of keysThatMayDiffer(before.routes, after.routes)) {
    const [was, now] = [before.routes.get(key), after.routes.get(key)];
    const text = key.slice(2, key.lastIndexOf("/"));
    if (was?.kind === "link" && now === undefined) gone.add(text);
    if (now?.kind !== "link") continue;
    if (was?.kind === "link" && now.interface !== was.interface) taken.add(text);
    // An address of a block of ours was nobody's before; another one may have been somebody else's.
    if (was === undefined && !ownBlocks(before).some((block) => contains(block, address(text)))) taken.add(text);
  }
  return { gone, taken };
}

const blocksByRoutes = new WeakMap<HostState["routes"], readonly Cidr[]>();
let latestRoutes: HostState["routes"] = new Map();

/** Blocks whose addresses only endpoints of this host can have. They change less often than the routes of the endpoints. */
function ownBlocks({ routes }: HostState): readonly Cidr[] {
  let blocks = blocksByRoutes.get(routes);
  if (blocks !== undefined) return blocks;
  const isBlock = (key: string): boolean => [latestRoutes, routes].some((of) => of.get(key)?.kind === "blackhole");
  const known = blocksByRoutes.get(latestRoutes);
  const changed = mayDiffer(latestRoutes, routes);
  if (known !== undefined && changed !== undefined && ![...changed].some(isBlock)) blocks = known;
  else blocks = [...routes].flatMap(([key, { kind }]) => (kind === "blackhole" ? [cidr(key.slice(2))] : []));
  blocksByRoutes.set(routes, blocks);
  latestRoutes = routes;
  return blocks;
}

/** Many flows go to few places. */
function remembering(routing: Routing): Routing {
  const routes = new Map<string, ReturnType<Routing["route"]>>();
  return {
    isLocal: (text) => routing.isLocal(text),
    route(packet) {
      const known = routes.get(packet.destination) ?? routing.route(packet);
      routes.set(packet.destination, known);
      return known;
    },
  };
}

function readsSourcePort({ ruleset }: HostState): boolean {
  for (const { rules } of ruleset.get(INET_KEY)?.chains.values() ?? [])
    for (const { steps } of rules)
      for (const step of steps) {
        if (step.kind === "match" && step.field === "th sport") return true;
        if ("fields" in step && step.fields.includes("th sport")) return true;
      }
  return false;
}
