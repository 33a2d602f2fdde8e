/**
 * Would a state of the host cut the session over which somebody works on it? Asked before a change is stored, so that nobody
 * locks himself out of the machine that he is just setting up.
 */
import type { Membership } from "../rules/decider.ts";
import { type Evaluation, evaluate, type Routing } from "../rules/evaluate.ts";
import type { Packet } from "../rules/packet.ts";
import { TCP } from "../rules/protocol.ts";
import { decisions } from "./decision.ts";
import { activeHostEndpoints } from "./host-endpoints.ts";
import type { HostState } from "./host-state.ts";
import { isJoined } from "./local.ts";
import type { Snapshot } from "./snapshot.ts";
import { type Surroundings, stateRouting } from "./state-routing.ts";

/** A TCP connection. Addresses are canonical. */
export interface Session {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
}

/** RFC 9293 section 3.1. */
const SYN_ACK = 18;

/** Who would cut the session, in words; undefined: nobody. */
export function cutBy(
  state: HostState,
  { client, clientPort, server, serverPort }: Session,
  snapshot: Pick<Snapshot, "hostInterfaces">,
  surroundings: Surroundings,
  members: Membership,
): string | undefined {
  const routing = stateRouting(state, surroundings);
  const family = server.includes(":") ? 6 : 4;
  const there: Packet = {
    family,
    protocol: TCP,
    source: client,
    destination: server,
    sourcePort: clientPort,
    destinationPort: serverPort,
  };
  for (const iif of ways(client, server, snapshot, routing)) {
    const forth = evaluate(state.ruleset, withMac(there, iif, state), iif, routing);
    const back = forth.outcome === "accept" ? answer(state, forth, there, routing) : undefined;
    const denied = [forth, back].find((one) => one?.outcome === "drop");
    if (denied !== undefined) return decisions(denied, state.origins, members).at(-1)?.text ?? "a rule of the host";
  }
  return undefined;
}

/** Interfaces by which the client's packets may come in: that of the address it talks to, that which leads back to it. */
function ways(client: string, server: string, { hostInterfaces }: Pick<Snapshot, "hostInterfaces">, routing: Routing) {
  const route = routing.route({
    family: client.includes(":") ? 6 : 4,
    protocol: TCP,
    source: server,
    destination: client,
  });
  if (route.kind === "local") return [undefined];
  const back = route.kind === "forward" ? [route.interface] : [];
  const own = hostInterfaces.filter(({ addresses }) => addresses.includes(server)).map(({ name }) => name);
  return [...new Set([...back, ...own])];
}

/** A local container's packets are its own only with its MAC. */
function withMac(packet: Packet, iif: string | undefined, { links }: HostState): Packet {
  const mac = links.get(iif ?? "")?.peerMac;
  return mac === undefined ? packet : { ...packet, mac };
}

/** The server's first packet: an answer, or where nobody tracks the connection one that belongs to none. */
function answer(state: HostState, forth: Evaluation, there: Packet, routing: Routing): Evaluation {
  const untracked = forth.packet.state === "untracked";
  const packet: Packet = {
    family: there.family,
    protocol: TCP,
    source: forth.packet.destination,
    destination: there.source,
    ...(forth.packet.destinationPort === undefined ? {} : { sourcePort: forth.packet.destinationPort }),
    ...(there.sourcePort === undefined ? {} : { destinationPort: there.sourcePort }),
    tcpFlags: SYN_ACK,
    state: untracked ? "invalid" : "established",
    reply: !untracked,
  };
  const from = forth.route.kind === "forward" ? forth.route.interface : undefined;
  return evaluate(state.ruleset, withMac(packet, from, state), from, routing);
}

/** Nothing of ours is on the session's way: its host has no host endpoint, and neither end is a container here. */
export function isUntouched(snapshot: Snapshot, { client, server }: Session): boolean {
  return (
    activeHostEndpoints(snapshot).length === 0 &&
    !snapshot.endpoints.some(({ addresses }) => addresses.includes(client) || addresses.includes(server))
  );
}

/** The snapshot without the local endpoints that the session does not concern: quicker to derive. */
export function concerning(snapshot: Snapshot, { client, server }: Session): Snapshot {
  const { parts: _, ...rest } = snapshot;
  const endpoints = snapshot.endpoints.map((one) =>
    !isJoined(one, snapshot.host) || one.addresses.includes(client) || one.addresses.includes(server)
      ? one
      : { ...one, local: { ...one.local, joined: false } },
  );
  return { ...rest, endpoints };
}
