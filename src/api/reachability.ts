/**
 * From where an endpoint can be reached: the summary of `manx ls`. It tells apart what the firewall lets in and what a route
 * leads to, and never says "no" about something that is merely not routed: "if routed" is the truth then.
 *
 * It reads a snapshot; `manx why` is what evaluates the compiled rules for one flow.
 */

import { lanOf, proxiesOf } from "../core/calc/lan.ts";
import { isOpenToOthers } from "../core/calc/published.ts";
import type { Endpoint, PublishedPort, Snapshot } from "../core/calc/snapshot.ts";
import type { Network } from "../core/model/resources.ts";
import { type Address, parseAddress } from "../core/net/address.ts";
import { contains, parseCidr } from "../core/net/cidr.ts";
import type { PolicyInfluence } from "./policy-influence.ts";
import { isPublic } from "./public-address.ts";
import type { Reach, Reachability } from "./schema/endpoint.ts";

export interface Surroundings {
  readonly snapshot: Snapshot;
  /** Blocks are announced by BGP at present. */
  readonly announcing: boolean;
  /** Policies that have a say in what comes in to the endpoint. */
  readonly ingressPolicies?: (endpoint: Endpoint) => readonly PolicyInfluence[];
  /** And in what goes out. */
  readonly egressPolicies?: (endpoint: Endpoint) => readonly PolicyInfluence[];
}

const yes = (why: string): Reach => ({ answer: "yes", brief: "yes", why });
const no = (why: string, change?: string): Reach => ({ answer: "no", brief: "no", why, ...(change && { change }) });
const partly = (brief: string, why: string, change?: string): Reach => ({
  answer: "partly",
  brief,
  why,
  ...(change && { change }),
});

export function reachability(endpoint: Endpoint, around: Surroundings): Reachability {
  const network = around.snapshot.networks.find(({ metadata }) => metadata.name === endpoint.network);
  const closed = closedToAll(endpoint, network);
  if (closed !== undefined || network === undefined) {
    const reach = closed ?? no("its network is not known");
    return { host: reach, sameNetwork: reach, otherContainers: reach, lan: reach, internet: reach };
  }
  const spec = network.spec;
  const host = yes("a host reaches its own containers");
  const byNetwork = {
    host,
    sameNetwork: fromSameNetwork(endpoint, spec),
    otherContainers: fromOthers(endpoint, spec),
    lan: fromLan(endpoint, spec, around),
    internet: fromInternet(endpoint, spec, around),
  };
  return withPolicies(endpoint, byNetwork, around.ingressPolicies?.(endpoint) ?? []);
}

/** Policies that only open leave what is open; one that can close makes every answer depend on it. */
function withPolicies(endpoint: Endpoint, byNetwork: Reachability, policies: readonly PolicyInfluence[]): Reachability {
  if (policies.length === 0) return byNetwork;
  const closes = policies.some((policy) => policy.closes);
  const shut = policies.some((policy) => policy.total) && !policies.some((policy) => policy.passes);
  const opens = policies.some((policy) => policy.opens);
  const outside = closes || policies.some((policy) => policy.outside);
  const names = policies.map(({ name }) => name);
  const kept = (change?: string): Reach =>
    no(`${policyNames(names)} ${names.length === 1 ? "lets" : "let"} nobody in from there`, change);
  const inside = (reach: Reach): Reach => {
    if (shut && !opens) return kept(allowCommand(endpoint));
    return closes || reach.answer !== "yes" ? byPolicy(endpoint, names, allowCommand(endpoint)) : reach;
  };
  const beyond = (reach: Reach): Reach => {
    if (shut && !policies.some((policy) => policy.outside)) return kept();
    return outside && (closes || reach.answer !== "yes") ? byPolicy(endpoint, names) : reach;
  };
  return {
    host: byNetwork.host,
    sameNetwork: inside(byNetwork.sameNetwork),
    otherContainers: inside(byNetwork.otherContainers),
    lan: beyond(byNetwork.lan),
    internet: beyond(byNetwork.internet),
  };
}

/** What holds for every source: without these nothing gets in at all. */
function closedToAll(endpoint: Endpoint, network: Network | undefined): Reach | undefined {
  if (endpoint.local?.joined === false)
    return no(
      "the container is not running",
      endpoint.container === "" ? undefined : `docker start ${endpoint.container}`,
    );
  if (endpoint.addresses.length === 0) return no("it has no address");
  if (network === undefined) return no(`its network "${endpoint.network}" is not known, so nothing is let through`);
  return undefined;
}

function byPolicy(endpoint: Endpoint, policies: readonly string[], change?: string): Reach {
  const verb = policies.length === 1 ? "decides" : "decide";
  const name = endpoint.container || endpoint.id;
  return partly("policy", `${policyNames(policies)} ${verb}; manx why SOURCE ${name} PORT tells how`, change);
}

function policyNames(policies: readonly string[]): string {
  const rest = policies.length > 3 ? ` and ${policies.length - 3} more` : "";
  return `${policies.length === 1 ? "policy" : "policies"} ${policies.slice(0, 3).join(", ")}${rest}`;
}

/** A policy between two containers, which are named by their containers. */
function allowCommand(endpoint: Endpoint): string | undefined {
  return endpoint.container === "" ? undefined : `manx allow OTHER ${endpoint.container} PORT`;
}

function fromSameNetwork(endpoint: Endpoint, spec: Network["spec"]): Reach {
  if (spec.isolation !== "endpoint") return yes(`everybody on "${endpoint.network}" reaches everybody`);
  const why = `"${endpoint.network}" keeps its members apart (isolation=endpoint)`;
  const ports = briefPorts(endpoint.published);
  if (ports === "") return no(`${why}, and ${notPublished(endpoint)}`, allowCommand(endpoint));
  return partly(ports, `${why}; ${ports} ${isAre(endpoint)} published`);
}

function fromOthers(endpoint: Endpoint, spec: Network["spec"]): Reach {
  const change = allowCommand(endpoint);
  if (spec.internal) return no(`"${endpoint.network}" is internal: nothing gets in or out`, change);
  if (spec.isolation === "off") return yes(`"${endpoint.network}" is open to everybody (isolation=off)`);
  const ports = briefPorts(endpoint.published);
  if (ports === "") return no(`other networks are kept out, and ${notPublished(endpoint)}`, change);
  return partly(ports, `${ports} ${isAre(endpoint)} published; everything else from other networks is dropped`, change);
}

function fromLan(endpoint: Endpoint, spec: Network["spec"], around: Surroundings): Reach {
  const firewall = firewallOutside(endpoint, spec);
  if (firewall.answer === "no") return firewall;
  const open = firewall.answer === "yes" ? "it is" : `${firewall.brief} ${isAre(endpoint)}`;
  if (around.announcing) {
    const why = `${open} open, and BGP announces its address`;
    return firewall.answer === "yes" ? yes(why) : partly(firewall.brief, why);
  }
  const near = onLan(endpoint.addresses, around.snapshot);
  if (near !== undefined) {
    const why = `${open} open, and ${endpoint.host} answers for its address ${near} on the LAN`;
    return firewall.answer === "yes" ? yes(why) : partly(firewall.brief, why);
  }
  const viaHost = hostPorts(endpoint);
  if (viaHost !== "") return partly(viaHost, `${viaHost} of ${endpoint.host} ${isAre(endpoint)} forwarded to it`);
  const brief = firewall.answer === "yes" ? "if routed" : `${firewall.brief} if routed`;
  return partly(
    brief,
    `${open} open to whoever has a route to ${endpoint.addresses[0]}; BGP is off, so others do not learn one`,
    staticRoute(endpoint, around.snapshot),
  );
}

function fromInternet(endpoint: Endpoint, spec: Network["spec"], around: Surroundings): Reach {
  const firewall = firewallOutside(endpoint, spec);
  if (firewall.answer === "no") return firewall;
  const open = firewall.answer === "yes" ? "it is" : `${firewall.brief} ${isAre(endpoint)}`;
  const routable = endpoint.addresses.find(isPublic);
  if (routable !== undefined) {
    if (around.announcing) {
      const why = `${open} open, and BGP announces the public address ${routable}`;
      return firewall.answer === "yes" ? yes(why) : partly(firewall.brief, why);
    }
    if (onLan([routable], around.snapshot) !== undefined) {
      const why = `${open} open, and ${endpoint.host} answers for its public address ${routable} on the LAN`;
      return firewall.answer === "yes" ? yes(why) : partly(firewall.brief, why);
    }
    const brief = firewall.answer === "yes" ? "if routed" : `${firewall.brief} if routed`;
    return partly(brief, `${open} open, if your provider routes ${routable} to ${endpoint.host}`);
  }
  const viaHost = hostPorts(endpoint);
  const hostAddress = nodeAddresses(endpoint.host, around.snapshot).find(isPublic);
  if (viaHost !== "" && hostAddress !== undefined)
    return partly(
      viaHost,
      `${viaHost} of ${endpoint.host}'s public address ${hostAddress} ${isAre(endpoint)} forwarded to it`,
    );
  const why = `${endpoint.addresses[0]} is not a public address`;
  const near = onLan(endpoint.addresses, around.snapshot);
  if (near !== undefined) return no(`${why}; the LAN's router would have to forward a port to ${near}`);
  if (viaHost === "")
    return no(
      `${why}; on a network with publish=host a port of ${endpoint.host} would lead to it`,
      "docker network create -d manx --ipam-driver manx -o publish=host NAME",
    );
  return no(`${why}, and neither has ${endpoint.host} one: a router in front must forward a port to it`);
}

/** The first that lies in the LAN's own subnet. */
function onLan(addresses: readonly string[], { pools, hostInterfaces }: Snapshot): string | undefined {
  // Other hosts of the cluster are taken to be on the same LAN.
  const lan = lanOf(pools, hostInterfaces);
  return addresses.find((text) => proxiesOf([text], lan).length > 0);
}

/** What the firewall lets in from outside Manx's networks, whether or not anything is routed there. */
function firewallOutside(endpoint: Endpoint, spec: Network["spec"]): Reach {
  if (spec.internal) return no(`"${endpoint.network}" is internal: nothing gets in or out`);
  if (spec.isolation === "off") return yes("isolation=off");
  const ports = briefPorts(endpoint.published);
  return ports === "" ? no(notPublished(endpoint), publishCommand(endpoint, spec)) : partly(ports, "published");
}

function publishCommand(endpoint: Endpoint, spec: Network["spec"]): string | undefined {
  return spec.publish === "off" || spec.internal ? undefined : `docker run -p PORT --network ${endpoint.network} ...`;
}

/** The route that a machine or router of the LAN needs to reach the endpoint's first address, and what lies near it. */
function staticRoute(endpoint: Endpoint, snapshot: Snapshot): string | undefined {
  const text = endpoint.addresses[0] ?? "";
  const first = parseAddress(text);
  if (first === undefined) return undefined;
  const via = nodeAddresses(endpoint.host, snapshot).find((other) => parseAddress(other)?.family === first.family);
  const ip = first.family === 4 ? "ip" : "ip -6";
  // With several hosts a pool is spread over them, and only a block lies wholly on one.
  const alone = snapshot.nodes.length <= 1;
  const here = endpoint.host === snapshot.host;
  const prefix = alone ? poolOf(text, snapshot)?.spec.cidr : here ? snapshot.blocks.find(holds(first)) : undefined;
  return `${ip} route add ${prefix ?? text} via ${via ?? `ADDRESS-OF-${endpoint.host}`}`;
}

function poolOf(text: string, snapshot: Snapshot): Snapshot["pools"][number] | undefined {
  const a = parseAddress(text);
  return a === undefined ? undefined : snapshot.pools.find(({ spec }) => holds(a)(spec.cidr));
}

const holds =
  (a: Address) =>
  (text: string): boolean => {
    const block = parseCidr(text);
    return block !== undefined && contains(block, a);
  };

function nodeAddresses(host: string, snapshot: Snapshot): string[] {
  const node = snapshot.nodes.find(({ metadata }) => metadata.name === host);
  const bgp = [node?.spec.bgp?.ipv4Address, node?.spec.bgp?.ipv6Address].filter((text) => text !== undefined);
  return [...bgp, ...(node?.spec.addresses ?? []).map(({ address }) => address)].map(
    (text) => text.split("/")[0] ?? "",
  );
}

/** `80/tcp, 53/udp`; empty where nothing is published for others than the host. */
function briefPorts(published: readonly PublishedPort[]): string {
  return list(published.filter(isOpenToOthers).map(({ protocol, port }) => `${port}/${protocol.toLowerCase()}`));
}

/** Why nothing is published for others. */
function notPublished({ published }: Endpoint): string {
  const local = published.find(({ host }) => host !== undefined)?.host;
  if (local === undefined) return "no port is published";
  const address = local.address.includes(":") ? `[${local.address}]` : local.address;
  return `${address}:${local.port} is for its own host only`;
}

/** Ports of the host that lead to the endpoint: `port 8080/tcp`. */
function hostPorts(endpoint: Endpoint): string {
  const ports = endpoint.published.flatMap(({ protocol, port, host }) =>
    host === undefined || !isOpenToOthers({ protocol, port, host }) ? [] : [`${host.port}/${protocol.toLowerCase()}`],
  );
  return ports.length === 0 ? "" : `host port ${list(ports)}`;
}

const list = (words: readonly string[]): string => [...new Set(words)].join(", ");
const isAre = (endpoint: Endpoint): string => (endpoint.published.filter(isOpenToOthers).length > 1 ? "are" : "is");

/** Whether the endpoint can open connections to the internet. */
export function outgoing(endpoint: Endpoint, around: Surroundings): Reach {
  const { snapshot } = around;
  const network = snapshot.networks.find(({ metadata }) => metadata.name === endpoint.network);
  const closed = closedToAll(endpoint, network);
  if (closed !== undefined) return closed;
  if (network?.spec.internal) return no(`"${endpoint.network}" is internal: nothing gets in or out`);
  return outByPolicy(endpoint, around.egressPolicies?.(endpoint) ?? []) ?? outByRoute(endpoint, snapshot);
}

/** Undefined where no policy can stop it. */
function outByPolicy(endpoint: Endpoint, policies: readonly PolicyInfluence[]): Reach | undefined {
  if (!policies.some(({ closes }) => closes)) return undefined;
  const names = policyNames(policies.map(({ name }) => name));
  const shut = policies.some(({ total }) => total) && !policies.some(({ passes, outside }) => passes || outside);
  const who = endpoint.container;
  if (shut) return no(`${names} ${policies.length === 1 ? "lets" : "let"} nothing out to there`);
  const verb = policies.length === 1 ? "decides" : "decide";
  return partly("policy", `${names} ${verb}; manx why ${who || endpoint.id} internet PORT tells how`);
}

function outByRoute(endpoint: Endpoint, snapshot: Snapshot): Reach {
  const routable = endpoint.addresses.find(isPublic);
  if (routable !== undefined) return yes(`from its public address ${routable}`);
  const masked = endpoint.addresses.find((text) => poolOf(text, snapshot)?.spec.natOutgoing === true);
  if (masked !== undefined) return yes(`from the address of ${endpoint.host}: its pool has natOutgoing`);
  const near = onLan(endpoint.addresses, snapshot);
  if (near !== undefined) return yes(`from ${near}, as any machine of the LAN`);
  const pool = poolOf(endpoint.addresses[0] ?? "", snapshot);
  return partly(
    "if routed",
    `${endpoint.addresses[0]} is not a public address, and its pool has no natOutgoing: a router must translate it`,
    pool && `manx pool set ${pool.metadata.name} --nat-outgoing on`,
  );
}
