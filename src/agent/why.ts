/** `manx why A B PORT`: the packet through the very rules that the kernel has, once a family, with what decided by name. */
import { isIP } from "node:net";
import { ApiError } from "../api/error.ts";
import type { WhyQuery, WhyView } from "../api/schema/why.ts";
import { type Decision, decisions } from "../core/calc/decision.ts";
import { derive } from "../core/calc/derive.ts";
import type { HostState } from "../core/calc/host-state.ts";
import { enforceStaged, placeHere } from "../core/calc/hypothetical.ts";
import { labelPolicies, speaks } from "../core/calc/label-policies.ts";
import { membershipOf } from "../core/calc/membership.ts";
import { nameOf, nearestRule, ruleEnd } from "../core/calc/nearest-rule.ts";
import { INTERNET, INTERNET_NAME, OUTSIDE } from "../core/calc/outside.ts";
import { PRESET_TIER, presetResources } from "../core/calc/presets.ts";
import type { Endpoint, Snapshot } from "../core/calc/snapshot.ts";
import { type Surroundings, stateRouting } from "../core/calc/state-routing.ts";
import { type Family, formatAddress, parseAddress } from "../core/net/address.ts";
import { formatProblem } from "../core/problem.ts";
import type { Membership } from "../core/rules/decider.ts";
import { evaluate, type Routing } from "../core/rules/evaluate.ts";
import type { Direction, Origin } from "../core/rules/origin.ts";
import type { Packet } from "../core/rules/packet.ts";
import { WITH_PORTS } from "../core/rules/protocol.ts";
import type { Agent } from "./agent.ts";
import { probe } from "./probe.ts";

/** One end of the way: an endpoint, this host, or somebody outside. */
export interface End {
  readonly label: string;
  readonly endpoint?: Endpoint;
  readonly isHost: boolean;
  /** Meant by a service address, which others have too. */
  readonly isService?: true;
  readonly addresses: ReadonlyMap<Family, string>;
}

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
  const views = await Promise.all(
    findBoth(agent, snapshot.endpoints, query).map((ends) => whyOne(agent, query, snapshot, state, ends, signal)),
  );
  const [first, ...rest] = views;
  if (first === undefined || rest.length === 0) return first ?? { verdict: "unknown", paths: [] };
  const verdict = worst(views.map((one) => one.verdict));
  const remedy = views.find((one) => one.remedy !== undefined)?.remedy;
  return { verdict, paths: views.flatMap(({ paths }) => paths), ...(remedy === undefined ? {} : { remedy }) };
}

function worst(verdicts: readonly WhyView["verdict"][]): WhyView["verdict"] {
  return verdicts.includes("deny") ? "deny" : verdicts.includes("unknown") ? "unknown" : "allow";
}

async function whyOne(
  agent: Agent,
  query: WhyQuery,
  snapshot: Snapshot,
  state: HostState,
  [from, to]: readonly [End, End],
  signal: AbortSignal | undefined,
): Promise<WhyView> {
  const families = ([4, 6] as const).filter(
    (family) => (query.family ?? family) === family && from.addresses.has(family) && to.addresses.has(family),
  );
  if (families.length === 0)
    throw new ApiError("invalid", `Cannot explain ${query.from} -> ${query.to}: they have no address of one family`);
  const scene = placeOf(snapshot, state, from, to);
  const staged = snapshot.stagedPolicies.length === 0 ? undefined : stagedScene(scene);
  const around = agent.hostNetwork.surroundings;
  const walked = families.map((family) => ({ family, ...walk(scene, query, family, around) }));
  const paths = await Promise.all(
    walked.map(async ({ family, path }) => {
      const would = staged === undefined ? undefined : withStaged(path, walk(staged, query, family, around).path);
      const probed =
        query.probe === true ? await probe(agent, from, to, packetOf(query, scene, family), signal) : undefined;
      return {
        ...path,
        ...(would === undefined ? {} : { staged: would }),
        ...(probed === undefined ? {} : { probe: probed }),
      };
    }),
  );
  const verdict = worst(paths.map((path) => path.verdict));
  if (verdict !== "deny") return { verdict, paths };
  const denied = walked.find(({ path }) => path.verdict === "deny")?.decisive;
  return { verdict, paths, remedy: remedyFor(query, from, to, denied) };
}

/** What would let the packet through; outsiders have no policy of their own. */
function remedyFor({ port, protocol }: WhyQuery, sender: End, receiver: End, denied: Origin | undefined): string {
  if (denied?.kind === "fixed" && denied.rule === "endpoint-to-host")
    return "endpointToHost: allow, in /etc/manx/agent.yaml, opens the host to its containers: docs/host-endpoints.md";
  const label =
    denied?.kind === "end-of-tier"
      ? unreadableLabel(denied.direction === "egress" ? sender : receiver, denied.direction)
      : undefined;
  if (label !== undefined) return label;
  const [from, to] = [sender, receiver].map(({ endpoint, label }) => endpoint?.container ?? label);
  const [policed, other] = receiver.isHost ? [true, sender] : [sender.isHost, receiver];
  if (policed && other.endpoint === undefined)
    return "a GlobalNetworkPolicy that selects the HostEndpoint: docs/host-endpoints.md";
  if (receiver.endpoint === undefined)
    return `manx egress ${from} ${receiver.label === "internet" ? "internet" : "all"}`;
  const ports = ["tcp", "udp", "sctp"].includes(protocol) ? `${port ?? "PORT"}/${protocol}` : "";
  if (sender.endpoint === undefined && denied?.kind !== "no-profile")
    return `an Allow rule for ${ports || protocol} in a policy that selects ${to}: docs/policy.md`;
  if (sender.endpoint === undefined) return `docker run -p ${port ?? "PORT"} ... opens the port to everybody`;
  return beforePresets(denied, from ?? "", to ?? "", ports) ?? `manx allow ${from} ${to} ${ports}`.trimEnd();
}

/** What to do about a label that closes its direction because it cannot be read. */
export function unreadableLabel({ endpoint }: Pick<End, "endpoint">, direction: Direction): string | undefined {
  if (endpoint === undefined || !speaks(endpoint)) return undefined;
  const { problems } = labelPolicies([endpoint]);
  const problem = problems.find(({ path }) => path.includes(" manx.egress") === (direction === "egress"));
  return problem && `make ${endpoint.container} again with a label that can be read: ${formatProblem(problem)}`;
}

/** What to do about a `manx deny`, which comes before what `manx allow` makes. */
export function beforePresets(denied: Origin | undefined, from: string, to: string, ports: string): string | undefined {
  if (denied?.kind !== "GlobalNetworkPolicy" || denied.tier !== PRESET_TIER.metadata.name) return undefined;
  if (!denied.name.startsWith("deny-")) return undefined;
  const commands = [[from, to], ...(ports === "" ? [] : [[from, to, ports]])] as const;
  for (const [source = "", target = "", only] of commands) {
    const made = presetResources({ verb: "deny", from: source, to: target, ...(only && { ports: only }) });
    if (made.ok && made.value.some(({ metadata }) => metadata.name === denied.name))
      return `manx deny ${[source, target, only].join(" ").trimEnd()} --remove`;
  }
  const both = /^(.*)-(in|out)$/.exec(denied.name)?.[1];
  return `manx delete gnp ${both === undefined ? denied.name : `${both}-in ${both}-out --ignore-missing`}`;
}

/** The rules that decide, what they were made from, and the two ends. */
interface Scene {
  readonly state: HostState;
  readonly snapshot: Snapshot;
  readonly members: Membership;
  readonly from: End;
  readonly to: End;
}

/** This host's rules where both ends are decided here; for an end on another host what that one makes of the same policies. */
function placeOf(snapshot: Snapshot, state: HostState, from: End, to: End): Scene {
  const isElsewhere = ({ endpoint }: End): boolean => endpoint !== undefined && endpoint.host !== snapshot.host;
  const members = membershipOf(snapshot);
  if (!isElsewhere(from) && !isElsewhere(to)) return { state, snapshot, members, from, to };
  return { ...scenario(snapshot, from, to), members };
}

function stagedScene({ snapshot, members, from, to }: Scene): Scene {
  return { ...scenario(enforceStaged(snapshot), from, to), members };
}

function scenario(snapshot: Snapshot, from: End, to: End): Omit<Scene, "members"> {
  const placed = placeHere(
    snapshot,
    [from, to].flatMap(({ endpoint }) => endpoint ?? []),
  );
  const again = (end: End): End => {
    const endpoint = placed.endpoints.find(({ id }) => id === end.endpoint?.id);
    return endpoint === undefined ? end : { ...end, endpoint };
  };
  return { state: derive(placed), snapshot, from: again(from), to: again(to) };
}

type Path = WhyView["paths"][number];

/** What would become of the packet with the staged policies in force; only where that differs. */
function withStaged(now: Path, then: Path): Path["staged"] {
  const deciding = then.steps.at(-1);
  if (deciding === undefined || now.verdict === then.verdict) return undefined;
  const nearest = deciding.nearest === undefined ? "" : `; nearest: ${deciding.nearest}`;
  return { verdict: then.verdict, text: `${deciding.place}: ${deciding.text}${nearest}` };
}

/** The way, and what stands behind its last step. */
function walk(
  scene: Scene,
  query: WhyQuery,
  family: Family,
  around: Surroundings,
): { readonly path: Path; readonly decisive: Origin | undefined } {
  const { state, members, from } = scene;
  const packet = packetOf(query, scene, family);
  const outside = around.interfaceTo?.(packet.source) ?? around.uplink ?? OUTSIDE;
  const iif = from.endpoint?.local?.interface ?? (from.isHost ? undefined : outside);
  const evaluation = evaluate(state.ruleset, packet, iif, routingTo(scene.to, stateRouting(state, around)));
  const verdict = evaluation.outcome === "accept" ? "allow" : evaluation.outcome === "drop" ? "deny" : "unknown";
  const decided = decisions(evaluation, state.origins, members);
  const steps = decided.map((decision) => stepOf(decision, scene, packet));
  if (evaluation.route.kind === "none") steps.push({ place: "route", verdict: "unknown", text: evaluation.route.why });
  if (steps.length === 0) steps.push({ place: "the way", verdict, text: "no rule stands in the way" });
  const what = packet.destinationPort === undefined ? query.protocol : `${query.protocol} ${packet.destinationPort}`;
  const path: Path = { source: packet.source, destination: packet.destination, flow: what, verdict, steps };
  return { path, decisive: decided.at(-1)?.origin };
}

/** Which of several containers gets the packet is the kernel's choice; here it is the one that is asked about. */
function routingTo({ isService, endpoint }: End, routing: Routing): Routing {
  const name = endpoint?.local?.interface;
  if (isService !== true || name === undefined) return routing;
  return { isLocal: (text) => routing.isLocal(text), route: () => ({ kind: "forward", interface: name }) };
}

function stepOf({ verdict, origin, text }: Decision, scene: Scene, packet: Packet): Step {
  const { from, to } = scene;
  const direction = origin !== undefined && "direction" in origin ? origin.direction : undefined;
  const place =
    direction === "egress" ? `egress of ${from.label}` : direction === "ingress" ? `ingress of ${to.label}` : "the way";
  const nearest =
    verdict === "deny" && direction !== undefined ? nearestOf(origin, direction, scene, packet) : undefined;
  return {
    place,
    verdict,
    text,
    ...(origin !== undefined && "tier" in origin && origin.tier !== undefined ? { tier: origin.tier } : {}),
    ...(origin !== undefined && "rule" in origin && "name" in origin
      ? { policy: nameOf(origin), rule: `${origin.direction}[${origin.rule}]` }
      : {}),
    ...(nearest === undefined ? {} : { nearest }),
  };
}

function nearestOf(origin: Decision["origin"], direction: Direction, scene: Scene, packet: Packet): string | undefined {
  const { snapshot, members, from, to } = scene;
  const [source, destination] = [from, to].map(({ label, endpoint }) => ruleEnd(snapshot, label, endpoint));
  if (source === undefined || destination === undefined) return undefined;
  if (origin?.kind === "end-of-tier") return nearestRule(snapshot, direction, packet, { source, destination }, members);
  const [own, peer] = direction === "ingress" ? [to, from] : [from, to];
  if (origin?.kind !== "no-profile" || own.endpoint === undefined) return undefined;
  const on = peer.endpoint === undefined ? "is on no Manx network" : `is on ${peer.endpoint.network}`;
  const published = own.endpoint.published.map(({ protocol, port }) => `${port}/${protocol.toLowerCase()}`);
  const ports = published.length === 0 ? "publishes no port" : `publishes only ${published.join(", ")}`;
  const network = snapshot.networks.find(({ metadata }) => metadata.name === own.endpoint?.network)?.spec;
  const name = own.endpoint.network;
  if (network?.internal && peer.endpoint?.network !== name)
    return `the network ${name} is internal: nothing gets in or out, and ${peer.label} ${on}`;
  if (network?.isolation === "endpoint")
    return `the network ${name} keeps its members apart (isolation=endpoint); ${own.label} ${ports}`;
  return `the network ${name} lets its members in, and ${peer.label} ${on}; ${own.label} ${ports}`;
}

export function packetOf(query: WhyQuery, { from, to }: Pick<Scene, "from" | "to">, family: Family): Packet {
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
  const hasPorts = WITH_PORTS.includes(protocol) || protocol === PROTOCOLS["udplite"];
  const ports = hasPorts ? { sourcePort: SOURCE_PORT, destinationPort: query.port ?? 80 } : {};
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

/** Both ends, once for each container that a service address may mean; of a container on several networks the interface on the network that both are on, where there is just one. */
export function findBoth(
  agent: Agent,
  endpoints: readonly Endpoint[],
  { from, to }: WhyQuery,
): readonly (readonly [End, End])[] {
  const [senders, receivers] = [find(agent, endpoints, from), find(agent, endpoints, to)];
  const pairs = senders.flatMap((sender) => receivers.map((receiver) => [sender, receiver] as const));
  const shared = pairs.filter(
    ([a, b]) => a.endpoint !== undefined && a.endpoint.network === b.endpoint?.network && a.endpoint.host !== "",
  );
  if (senders.length === 1 && receivers.every(({ isService }) => isService)) return pairs;
  const [only, other] = pairs.length > 1 && shared.length > 0 ? shared : pairs;
  if (only !== undefined && other === undefined) return [only];
  const [text, choices] = senders.length > 1 ? [from, senders] : [to, receivers];
  const written = choices.map(({ endpoint }) => `${endpoint?.network}/${endpoint?.container}`).join(", ");
  throw new ApiError("invalid", `Cannot tell which "${text}" is meant: it is on several networks. Write ${written}`);
}

/** All that the text may mean; at least one. */
function find(agent: Agent, endpoints: readonly Endpoint[], text: string): End[] {
  const { host } = agent.options;
  if (text === INTERNET_NAME) return [{ label: text, isHost: false, addresses: byFamily(INTERNET) }];
  if (text === "host" || text === host) {
    const { ipv4, ipv6 } = agent.hostNetwork.addresses;
    const addresses = byFamily([ipv4, ipv6].flatMap((address) => address ?? []));
    return [{ label: `host ${host}`, isHost: true, addresses }];
  }
  const { hostAddresses } = agent.hostNetwork.surroundings;
  if (isIP(text) !== 0) return findAddress(endpoints, text, hostAddresses);
  const found = endpointsCalled(endpoints, text);
  if (found.length === 0)
    throw new ApiError("not-found", `Cannot find "${text}": no container that runs on a Manx network has that name`, {
      remedy: "Write a container, NETWORK/CONTAINER, an address, internet or host; manx ls shows the containers.",
    });
  const containers = new Set(found.map((endpoint) => endpoint.container));
  if (containers.size > 1)
    throw new ApiError(
      "invalid",
      `Cannot tell which "${text}" is meant: the compose service has several containers. Write ${[...containers].join(", ")}`,
    );
  return found.map((endpoint) => ({
    label:
      found.length > 1 ? `${endpoint.network}/${endpoint.container}` : text.includes("/") ? text : endpoint.container,
    endpoint,
    isHost: false,
    addresses: byFamily(endpoint.addresses),
  }));
}

/** By container or NETWORK/CONTAINER; a name that no container has may be a compose service's, as in one-line policies. */
export function endpointsCalled(endpoints: readonly Endpoint[], text: string): readonly Endpoint[] {
  const [first = "", second] = text.split("/");
  const named = endpoints.filter(({ container, network }) =>
    second === undefined ? container === first : network === first && container === second,
  );
  if (named.length > 0 || second !== undefined) return named;
  return endpoints.filter(({ labels }) => labels.get("manx/service") === first);
}

function findAddress(endpoints: readonly Endpoint[], text: string, own: readonly string[]): End[] {
  const parsed = parseAddress(text);
  const canonical = parsed === undefined ? text : formatAddress(parsed);
  const endpoint = endpoints.find(({ addresses }) => addresses.includes(canonical));
  const serving = endpoints.filter(({ serviceAddresses }) => serviceAddresses?.includes(canonical) === true);
  if (endpoint === undefined && serving.length > 0)
    return serving.map((one) => ({
      label: `${one.container} (${canonical})`,
      endpoint: one,
      isHost: false,
      isService: true,
      addresses: byFamily([canonical]),
    }));
  return [
    {
      label: text,
      isHost: endpoint === undefined && own.includes(canonical),
      addresses: byFamily([canonical]),
      ...(endpoint === undefined ? {} : { endpoint }),
    },
  ];
}

function byFamily(addresses: readonly string[]): ReadonlyMap<Family, string> {
  const out = new Map<Family, string>();
  for (const address of addresses) {
    const family = address.includes(":") ? 6 : 4;
    if (!out.has(family)) out.set(family, address);
  }
  return out;
}
