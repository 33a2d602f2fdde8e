/** `manx why A B PORT`: the packet through the very rules that the kernel has, once a family, with what decided by name. */
import { isIP } from "node:net";
import { ApiError } from "../api/error.ts";
import type { WhyQuery, WhyView } from "../api/schema/why.ts";
import { decisions } from "../core/calc/decision.ts";
import type { HostState } from "../core/calc/host-state.ts";
import { membershipOf } from "../core/calc/membership.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import { stateRouting } from "../core/calc/state-routing.ts";
import { type Family, formatAddress, parseAddress } from "../core/net/address.ts";
import type { Membership } from "../core/rules/decider.ts";
import { evaluate } from "../core/rules/evaluate.ts";
import type { Packet } from "../core/rules/packet.ts";
import type { Agent } from "./agent.ts";

/** One end of the way: a local endpoint, this host, or somebody outside. */
interface End {
  readonly label: string;
  readonly endpoint?: Endpoint;
  readonly isHost: boolean;
  readonly addresses: ReadonlyMap<Family, string>;
}

/** Addresses for documentation (RFC 5737, RFC 3849): nobody's, and therefore anybody's on the internet. */
const INTERNET: readonly string[] = ["192.0.2.1", "2001:db8::1"];
const PROTOCOLS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58, sctp: 132, udplite: 136 };
/** Where an answer would go to; above the range that anything listens on. */
const SOURCE_PORT = 50_000;

type Step = WhyView["paths"][number]["steps"][number];

/** @throws ApiError where a name is not known, or means several */
export async function why(agent: Agent, query: WhyQuery, signal?: AbortSignal): Promise<WhyView> {
  signal?.throwIfAborted();
  await agent.settle().catch(() => {}); // what could not be applied is still what we want
  const state = agent.hostState();
  if (state === undefined) throw new ApiError("unavailable", "Cannot explain anything: the agent has just started");
  const snapshot = agent.takeSnapshot();
  const { endpoints } = snapshot;
  const members = membershipOf(snapshot);
  const from = find(agent, endpoints, query.from);
  const to = find(agent, endpoints, query.to);
  const families = ([4, 6] as const).filter(
    (family) => (query.family ?? family) === family && from.addresses.has(family) && to.addresses.has(family),
  );
  if (families.length === 0)
    throw new ApiError("invalid", `Cannot explain ${query.from} -> ${query.to}: they have no address of one family`);
  const paths = families.map((family) => walk(agent, state, members, query, from, to, family));
  const verdicts = paths.map(({ verdict }) => verdict);
  const verdict = verdicts.includes("deny") ? "deny" : verdicts.includes("unknown") ? "unknown" : "allow";
  return { verdict, paths, ...(verdict === "deny" ? { remedy: remedyFor(query, from, to) } : {}) };
}

/** The command that would let the packet through; outsiders have no policy of their own. */
function remedyFor({ from, to, port, protocol }: WhyQuery, sender: End, receiver: End): string {
  if (receiver.endpoint === undefined)
    return `manx egress ${from} ${receiver.label === "internet" ? "internet" : "all"}`;
  if (sender.endpoint === undefined) return `docker run -p ${port ?? "PORT"} ... opens the port to everybody`;
  return `manx allow ${from} ${to} ${port ?? "PORT"}/${protocol}`;
}

function walk(
  agent: Agent,
  state: HostState,
  members: Membership,
  query: WhyQuery,
  from: End,
  to: End,
  family: Family,
): WhyView["paths"][number] {
  const { ipv4, ipv6, uplink } = agent.hostNetwork.addresses;
  const packet = packetOf(query, from, to, family);
  const iif = from.endpoint?.local?.interface ?? (from.isHost ? undefined : (uplink ?? "outside"));
  const routing = stateRouting(state, {
    hostAddresses: [ipv4, ipv6].flatMap((address) => address ?? []),
    ...(from.isHost || uplink === undefined ? {} : { uplink }),
  });
  const evaluation = evaluate(state.ruleset, packet, iif, routing);
  const verdict = evaluation.outcome === "accept" ? "allow" : evaluation.outcome === "drop" ? "deny" : "unknown";
  const steps = decisions(evaluation, state.origins, members).map(({ verdict: decided, origin, text }): Step => {
    const direction = origin !== undefined && "direction" in origin ? origin.direction : undefined;
    const place =
      direction === "egress"
        ? `egress of ${from.label}`
        : direction === "ingress"
          ? `ingress of ${to.label}`
          : "the way";
    return {
      place,
      verdict: decided,
      text,
      ...(origin !== undefined && "tier" in origin && origin.tier !== undefined ? { tier: origin.tier } : {}),
      ...(origin !== undefined && "rule" in origin && "name" in origin
        ? { policy: origin.name, rule: `${origin.direction}[${origin.rule}]` }
        : {}),
    };
  });
  if (evaluation.route.kind === "none") steps.push({ place: "route", verdict: "unknown", text: evaluation.route.why });
  if (steps.length === 0) steps.push({ place: "the way", verdict, text: "no rule stands in the way" });
  const what = packet.destinationPort === undefined ? query.protocol : `${query.protocol} ${packet.destinationPort}`;
  return { source: packet.source, destination: packet.destination, flow: what, verdict, steps };
}

function packetOf(query: WhyQuery, from: End, to: End, family: Family): Packet {
  const name = query.protocol.toLowerCase();
  const asked = PROTOCOLS[name] ?? Number(name);
  if (!Number.isInteger(asked) || asked < 0 || asked > 255)
    throw new ApiError(
      "invalid",
      `Cannot read the protocol "${query.protocol}": write tcp, udp, sctp, icmp or a number`,
    );
  const protocol = name === "icmp" && family === 6 ? 58 : asked;
  const isIcmp = protocol === 1 || protocol === 58;
  const echo = protocol === 58 ? 128 : 8;
  const ports = isIcmp ? {} : { sourcePort: SOURCE_PORT, destinationPort: query.port ?? 80 };
  return {
    family,
    protocol,
    source: from.addresses.get(family) ?? "",
    destination: to.addresses.get(family) ?? "",
    ...ports,
    ...(isIcmp ? { icmp: { type: query.icmpType ?? echo, code: query.icmpCode ?? 0 } } : {}),
    ...(from.endpoint?.local === undefined ? {} : { mac: from.endpoint.local.mac }),
  };
}

function find(agent: Agent, endpoints: readonly Endpoint[], text: string): End {
  const { host } = agent.options;
  if (text === "internet") return { label: text, isHost: false, addresses: byFamily(INTERNET) };
  if (text === "host" || text === host) {
    const { ipv4, ipv6 } = agent.hostNetwork.addresses;
    return {
      label: `host ${host}`,
      isHost: true,
      addresses: byFamily([ipv4, ipv6].flatMap((address) => address ?? [])),
    };
  }
  if (isIP(text) !== 0) return findAddress(endpoints, text);
  const [first = "", second] = text.split("/");
  const found = endpoints.filter(({ container, network }) =>
    second === undefined ? container === first : network === first && container === second,
  );
  const [endpoint, other] = found;
  if (endpoint === undefined)
    throw new ApiError("not-found", `Cannot find "${text}": no container of a Manx network has that name`, {
      remedy: "manx ls",
    });
  if (other !== undefined) {
    const choices = found.map(({ network }) => `${network}/${first}`).join(", ");
    throw new ApiError("invalid", `Cannot tell which "${text}" is meant: it is on several networks. Write ${choices}`);
  }
  return { label: text, endpoint, isHost: false, addresses: byFamily(endpoint.addresses) };
}

function findAddress(endpoints: readonly Endpoint[], text: string): End {
  const parsed = parseAddress(text);
  const canonical = parsed === undefined ? text : formatAddress(parsed);
  const endpoint = endpoints.find(({ addresses }) => addresses.includes(canonical));
  return {
    label: text,
    isHost: false,
    addresses: byFamily([canonical]),
    ...(endpoint === undefined ? {} : { endpoint }),
  };
}

function byFamily(addresses: readonly string[]): ReadonlyMap<Family, string> {
  const out = new Map<Family, string>();
  for (const address of addresses) {
    const family = address.includes(":") ? 6 : 4;
    if (!out.has(family)) out.set(family, address);
  }
  return out;
}
