/** What `manx lan` does: LAN pools made, shown and removed. */
import type { LanAgentView } from "../../api/agent.ts";
import { ApiError } from "../../api/error.ts";
import type { LanPoolView, LanRequest, LanView } from "../../api/schema/lan.ts";
import { isPart } from "../../core/calc/lan.ts";
import type { HostInterface } from "../../core/calc/snapshot.ts";
import { lanCandidates } from "../../core/ipam/lan-proposal.ts";
import { makePool } from "../../core/ipam/pools.ts";
import { LAN, LAN_FOLLOW, lanInterfaceOf } from "../../core/model/lan-annotations.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { type Address, parseAddress } from "../../core/net/address.ts";
import { type Cidr, cidr, contains, formatCidr, parseCidr } from "../../core/net/cidr.ts";
import type { Rtnetlink } from "../../drivers/netlink/rtnetlink.ts";
import type { LocalAddresses } from "../ipam/local-addresses.ts";
import { fewAddresses } from "./lan-watch.ts";
import type { LanMode } from "./open.ts";

export interface LanParts {
  readonly mode: LanMode;
  readonly addresses: LocalAddresses;
  readonly pools: () => readonly IPPool[];
  /** Looks at the host's interfaces: news of them come a second late. */
  readonly refresh: () => void;
  readonly interfaces: () => readonly HostInterface[];
  readonly uplink: () => string | undefined;
  /** Addresses that this host sees on the interface, and its routers'. */
  readonly seen: (interfaceName: string) => readonly string[];
  /** Containers with addresses, of all hosts. */
  readonly holders: () => readonly { readonly container: string; readonly addresses: readonly string[] }[];
  /** As strict as any other way to store a pool. */
  readonly store: (pool: IPPool, signal?: AbortSignal) => Promise<IPPool>;
  readonly remove: (name: string, signal?: AbortSignal) => Promise<void>;
}

/** Several hosts share a pool in parts of this size, so that each gives addresses without asking the others. */
const BLOCK = { 4: 29, 6: 122 } as const;

export function lanView(parts: LanParts): LanAgentView {
  return {
    status: () => Promise.resolve(status(parts)),
    enable: (request, signal) => enable(parts, request, signal),
    disable: (signal) => disable(parts, signal),
  };
}

function status(parts: LanParts): LanView {
  const pools = parts.pools().filter((pool) => lanInterfaceOf(pool) !== undefined);
  return { pools: pools.map((pool) => poolView(pool, parts)) };
}

function poolView(pool: IPPool, { mode, holders }: LanParts): LanPoolView {
  const part = mode.lan.parts.find(({ pool: name }) => name === pool.metadata.name);
  const held = [...mode.watch.held.keys()].flatMap((key) => {
    const [name, text = ""] = key.split(" ");
    return part !== undefined && name === part.interface && inside(part.cidr, text) ? [text] : [];
  });
  const users = mode.watch.users().filter(({ address }) => inside(pool.spec.cidr, address));
  return {
    name: pool.metadata.name,
    cidr: pool.spec.cidr,
    interface: part?.interface ?? lanInterfaceOf(pool) ?? "",
    disabled: pool.spec.disabled === true,
    follows: pool.metadata.annotations?.[LAN_FOLLOW] === "true",
    ...(part !== undefined && { network: part.network }),
    answers: holders().flatMap(({ container, addresses }) =>
      addresses.filter((text) => held.includes(text)).map((address) => ({ address, container })),
    ),
    taken: users,
  };
}

async function enable(parts: LanParts, request: LanRequest, signal?: AbortSignal): Promise<LanView> {
  parts.refresh();
  const on = interfaceOf(parts, request);
  const wanted = request.cidr === undefined ? await propose(parts, on) : [named(parts, on, request.cidr)];
  for (const range of wanted) await parts.store(poolFor(parts, on, range, request.cidr === undefined), signal);
  parts.mode.follow(parts.mode.watch.held);
  return status(parts);
}

function refuse(why: string, remedy?: string): ApiError {
  return new ApiError("refused", `Cannot use the LAN for containers: ${why}`, { remedy });
}

function interfaceOf({ interfaces, uplink }: LanParts, { interface: asked, cidr: range }: LanRequest): HostInterface {
  const all = interfaces();
  const parsed = range === undefined ? undefined : parseCidr(range);
  const around =
    parsed === undefined
      ? undefined
      : all.find(({ networks = [] }) => networks.some((text) => isPart(parsed, text)))?.name;
  const name = asked ?? around ?? uplink();
  const found = all.find((one) => one.name === name);
  if (found !== undefined) return found;
  const names = all.map((one) => one.name).filter((one) => one !== "lo");
  throw refuse(
    name === undefined
      ? "this host has no default route that would name its interface"
      : `there is no interface "${name}"`,
    `manx lan enable INTERFACE, one of ${names.join(", ")}`,
  );
}

/** The part that the user names. */
function named(parts: LanParts, on: HostInterface, text: string): Cidr {
  const range = parseCidr(text);
  if (range === undefined) throw new ApiError("invalid", `Cannot use "${text}" for containers: it is not a CIDR`);
  const networks = on.networks ?? [];
  if (!networks.some((network) => isPart(range, network)))
    throw refuse(
      `${formatCidr(range)} is no part of a network of "${on.name}" (${networks.join(", ") || "it has none"})`,
      "Name a part of that network that no DHCP server hands out, as 192.168.7.64/27.",
    );
  const own = on.addresses.find((address) => inside(formatCidr(range), address));
  if (own !== undefined) throw refuse(`the host's own address ${own} lies in ${formatCidr(range)}`);
  const seen = parts.seen(on.name).find((address) => inside(formatCidr(range), address));
  if (seen !== undefined && !heldBy(parts, seen))
    throw refuse(`${seen}, which lies in ${formatCidr(range)}, is in use on the LAN`);
  return range;
}

function heldBy({ holders }: LanParts, address: string): boolean {
  return holders().some(({ addresses }) => addresses.includes(address));
}

/** A part of each network of the interface in which nobody answers; IPv6 where there is a /64. */
async function propose(parts: LanParts, on: HostInterface): Promise<Cidr[]> {
  const { networks = [], fading = [] } = on;
  const known = [...on.addresses, ...parts.seen(on.name)].flatMap((text): Address[] => {
    const a = parseAddress(text);
    return a === undefined ? [] : [a];
  });
  const pools = parts.pools().map(({ spec }) => cidr(spec.cidr));
  const out: Cidr[] = [];
  for (const family of [4, 6] as const) {
    const network = networks
      .filter((text) => !fading.includes(text))
      .map(cidr)
      .find((net) => net.family === family);
    if (network === undefined) continue;
    const free = await firstFree(parts, on.name, lanCandidates(network, known, pools));
    if (free !== undefined) out.push(free);
  }
  if (out.length === 0)
    throw refuse(
      `no part of ${networks.join(", ") || `"${on.name}"`} is free as far as this host can tell`,
      `manx lan enable ${on.name} CIDR, with a part that no DHCP server hands out.`,
    );
  return out;
}

async function firstFree({ mode }: LanParts, name: string, candidates: readonly Cidr[]): Promise<Cidr | undefined> {
  for (const range of candidates) {
    const used = await mode.watch.probe(name, fewAddresses(formatCidr(range)));
    if (used.size === 0) return range;
  }
  return undefined;
}

function poolFor({ pools }: LanParts, on: HostInterface, range: Cidr, proposed: boolean): IPPool {
  const base = range.family === 4 ? "lan" : "lan6";
  const names = new Set(pools().map(({ metadata }) => metadata.name));
  const name = names.has(base) ? `${base}-${formatCidr(range).replaceAll(/[.:/]+/g, "-")}` : base;
  const pool = makePool(name, range, {
    blockSize: Math.max(range.length, BLOCK[range.family]),
    natOutgoing: false,
    assignmentMode: "Manual",
  });
  const follow = range.family === 6 && proposed;
  return { ...pool, metadata: { name, annotations: { [LAN]: on.name, ...(follow && { [LAN_FOLLOW]: "true" }) } } };
}

async function disable(parts: LanParts, signal?: AbortSignal): Promise<LanView> {
  const before = status(parts);
  const pools = before.pools.map(({ name, cidr: range }) => ({ name, range }));
  const users = parts.holders().flatMap(({ container, addresses }) => {
    const text = addresses.find((address) => pools.some(({ range }) => inside(range, address)));
    return text === undefined ? [] : [`${container || "a container"} (${text})`];
  });
  if (users.length > 0)
    throw new ApiError(
      "refused",
      `Cannot give the LAN's addresses back: ${users.slice(0, 5).join(", ")}${users.length > 5 ? ` and ${users.length - 5} more` : ""} ${users.length === 1 ? "has one" : "have them"}`,
      { remedy: "Remove these containers, or take them off the network (docker network disconnect), then again." },
    );
  await parts.mode.idle();
  for (const { name } of pools) await parts.remove(name, signal);
  return before;
}

function inside(range: string, text: string): boolean {
  const [around, a] = [parseCidr(range), parseAddress(text)];
  return around !== undefined && a !== undefined && contains(around, a);
}

/** Addresses that the host has to do with on the interface: neighbours that were found, and routers. */
export function seenOn(rtnetlink: Rtnetlink, name: string): string[] {
  const index = rtnetlink.link(name)?.index;
  if (index === undefined) return [];
  const near = rtnetlink.neighbours().filter((one) => one.index === index && one.mac !== "");
  const routers = ([4, 6] as const).flatMap((family) => rtnetlink.routes({ family, index }));
  return [
    ...near.map(({ address }) => address),
    ...routers.flatMap(({ gateway }) => (gateway === undefined ? [] : [gateway])),
  ];
}
