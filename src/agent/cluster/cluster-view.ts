/** The cluster as the API sees it: its hosts, and who has which addresses. Read from the store when asked. */
import type { AgentView } from "../../api/agent.ts";
import { ApiError } from "../../api/error.ts";
import type { IpamProblemView, IpamRelease } from "../../api/schema/ipam.ts";
import { affinityKey, blockKey, publishedKey } from "../../core/ipam/claim.ts";
import { lanInterfaceOf } from "../../core/model/lan-annotations.ts";
import { type Address, formatAddress, parseAddress } from "../../core/net/address.ts";
import { type Cidr, contains, covers, formatCidr, parseCidr } from "../../core/net/cidr.ts";
import { plural } from "../../core/plural.ts";
import { AddressError } from "../addresses.ts";
import type { Agent } from "../agent.ts";
import type { BlockElsewhere } from "../bgp/unheard.ts";
import { readIpam } from "./ipam-facts.ts";
import { checkCluster, explainAddress, type IpamSources, ipamView } from "./ipam-view.ts";
import { nodeViews } from "./nodes.ts";
import { HOSTS } from "./presence.ts";
import { removeNode } from "./remove-node.ts";

type ClusterView = Pick<AgentView, "nodes" | "removeNode" | "ipam" | "ipamCheck" | "ipamExplain" | "ipamRelease">;

export function clusterView(agent: Agent): ClusterView {
  const { signal: whole } = agent;
  return {
    nodes: (signal = whole) => nodes(agent, signal),
    removeNode: async (name, force, signal = whole) => {
      const addresses = (await nodes(agent, signal)).find((node) => node.name === name)?.addresses ?? [];
      return removeNode(name, { store: agent.store, host: agent.options.host, addresses, force }, signal);
    },
    ipam: async (signal = whole) => ipamView(await sources(agent, signal)),
    ipamCheck: (signal = whole) => check(agent, signal),
    ipamExplain: async (text, signal = whole) => explainAddress(addressOf(text), await sources(agent, signal)),
    ipamRelease: (subject, signal = whole) => release(agent, subject, signal),
  };
}

async function nodes(agent: Agent, signal: AbortSignal) {
  const snapshot = agent.takeSnapshot();
  const endpoints = new Map<string, number>();
  for (const { host } of snapshot.endpoints) endpoints.set(host, (endpoints.get(host) ?? 0) + 1);
  return nodeViews({
    host: snapshot.host,
    nodes: snapshot.nodes,
    ipam: await readIpam(agent.store, signal),
    alive: agent.membership?.presence.alive,
    endpoints,
  });
}

/** Blocks that other hosts, which are there now, are to announce; none while the store is away. */
export async function blocksElsewhere(agent: Agent): Promise<BlockElsewhere[]> {
  const { store, cluster, membership, options, signal } = agent;
  if (membership === undefined) return [];
  const { owners } = await readIpam(store, signal).catch(() => ({ owners: [] }));
  const silent = cluster
    .all("IPPool")
    .filter((pool) => pool.spec.disableBGPExport === true || lanInterfaceOf(pool) !== undefined)
    .flatMap(({ spec }) => parseCidr(spec.cidr) ?? []);
  return owners.flatMap(({ value: { block, host } }) =>
    host !== options.host && membership.presence.alive.has(host) && !silent.some((pool) => covers(pool, block))
      ? [{ cidr: block, host }]
      : [],
  );
}

async function sources(agent: Agent, signal: AbortSignal): Promise<IpamSources> {
  const { pools, reservations, endpoints, nodes: all, host } = agent.takeSnapshot();
  const alive = agent.membership?.presence.alive;
  return {
    pools,
    reservations,
    endpoints,
    hosts: new Set(all.map(({ metadata }) => metadata.name)),
    ipam: await readIpam(agent.store, signal),
    isAlive: (name) => alive?.has(name) ?? name === host,
  };
}

async function check(agent: Agent, signal: AbortSignal): Promise<IpamProblemView[]> {
  const own = await agent.addresses.check(undefined, signal);
  const cluster = checkCluster(await sources(agent, signal));
  const seen = new Set(own.map(({ kind, subject }) => `${kind} ${subject}`));
  return [...own, ...cluster.filter(({ kind, subject }) => !seen.has(`${kind} ${subject}`))];
}

function addressOf(text: string): Address {
  const found = parseAddress(text);
  if (found !== undefined) return found;
  throw new ApiError("invalid", `Cannot explain "${text}": it is no IP address`);
}

async function release(agent: Agent, subject: string, signal: AbortSignal): Promise<IpamRelease> {
  const address = parseAddress(subject);
  const block = parseCidr(subject);
  try {
    if (address !== undefined) return await releaseAddress(agent, address, signal);
    if (block !== undefined) return await releaseBlock(agent, block, signal);
  } catch (error) {
    if (error instanceof AddressError) throw refused(subject, error.message);
    throw error;
  }
  throw new ApiError("invalid", `Cannot release "${subject}": it is neither an IP address nor the CIDR of a block`);
}

function refused(subject: string, why: string, remedy?: string): ApiError {
  return new ApiError("refused", `Cannot release ${subject}: ${why}`, { remedy });
}

async function releaseAddress(agent: Agent, address: Address, signal: AbortSignal): Promise<IpamRelease> {
  const text = formatAddress(address);
  const all = await sources(agent, signal);
  const { owner, state, sentences } = explainAddress(address, all);
  if (state === "in-use") throw refused(text, sentences.at(-1) ?? "it is in use");
  const local = agent.addresses.holds(address);
  if (!local && owner !== undefined && owner !== agent.options.host)
    throw refused(text, `it is in a block of host "${owner}"`, `On that host: manx ipam release ${text}`);
  const why = agent.addresses.releaseLeaked(address);
  if (why !== undefined) throw refused(text, why);
  return { released: text, sentence: `${text} is free again` };
}

async function releaseBlock(agent: Agent, block: Cidr, signal: AbortSignal): Promise<IpamRelease> {
  const text = formatCidr(block);
  const { ipam } = await sources(agent, signal);
  const owned = ipam.owners.find(({ value }) => formatCidr(value.block) === text);
  if (owned === undefined)
    throw new ApiError("not-found", `Cannot release ${text}: no host has such a block`, { remedy: "manx ipam show" });
  const { host } = owned.value;
  if (host === agent.options.host) {
    await agent.addresses.releaseBlock(block, signal);
    return { released: text, sentence: `${text} is back in its pool` };
  }
  const used = agent.takeSnapshot().endpoints.filter((one) => one.addresses.some((held) => inside(block, held)));
  const lent = ipam.loans.filter(({ value }) => contains(block, value.address));
  if (used.length > 0 || lent.length > 0) {
    const addresses = plural(used.length + lent.length, "address", "addresses");
    throw refused(text, `${addresses} of it in use, of host "${host}" or lent by it`);
  }
  const affinity = ipam.affinities.find(({ value }) => value.host === host && formatCidr(value.block) === text);
  const compares = [
    { key: HOSTS + host, modRevision: 0 },
    { key: blockKey(block), modRevision: owned.modRevision },
    { key: affinityKey(host, block), modRevision: affinity?.modRevision ?? 0 },
  ];
  const gone = [blockKey(block), publishedKey(host, block), affinityKey(host, block)];
  const ops = gone.map((key) => ({ kind: "delete" as const, key }));
  if (!(await agent.store.commit({ compares, ops }, signal)).ok)
    throw refused(text, `host "${host}", which owns it, lives`, `On that host: manx ipam release ${text}`);
  return { released: text, sentence: `${text} is back in its pool` };
}

function inside(block: Cidr, text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && contains(block, address);
}
