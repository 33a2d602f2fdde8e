/** IpamDriver: answers to Docker about pools and addresses. What they mean is decided by `Addresses`. */
import { AddressError } from "../../agent/addresses.ts";
import type { NetworkRecord } from "../../agent/records.ts";
import type { Family } from "../../core/net/address.ts";
import { networkOfPool, type PluginContext, poolsOf, requireWelcome } from "./context.ts";
import { PluginError, quote } from "./errors.ts";
import type { Messages } from "./messages.ts";
import { NO_IPV4 } from "./names.ts";
import { ADDRESS_SPACES, releaseFrom } from "./networks.ts";
import type { Sticky } from "./sticky.ts";

/** Keeps every engine from asking for a gateway address, and wastes none. */
const NO_GATEWAY = { "com.docker.network.gateway": "0.0.0.0/0" };
const ADDRESS_TYPE = "RequestAddressType";
const GATEWAY_TYPE = "com.docker.network.gateway";

export interface PoolAnswer {
  readonly PoolID: string;
  readonly Pool: string;
  readonly Data: Readonly<Record<string, string>>;
}

/** @throws PluginError, AddressError */
export async function requestPool(
  { addresses }: PluginContext,
  message: Messages["requestPool"],
  signal: AbortSignal,
): Promise<PoolAnswer> {
  requireOwnSpace(message.AddressSpace);
  const family: Family = message.V6 ? 6 : 4;
  const { ipv4, rest } = splitOptions(message.Options);
  if (family === 4 && !ipv4) return noIpv4(message.Pool);
  const ask = {
    family,
    ...(message.Pool !== "" && { pool: message.Pool }),
    ...(message.SubPool !== "" && { subPool: message.SubPool }),
    options: rest,
  };
  const { poolId, pool, data } = await addresses.requestPool(ask, signal);
  return { PoolID: poolId, Pool: pool, Data: data };
}

function requireOwnSpace(space: string): void {
  const own: readonly string[] = Object.values(ADDRESS_SPACES);
  if (!own.includes(space))
    throw new PluginError(`Cannot make a pool: the address space ${quote(space)} is not Manx's`);
}

/** `--ipam-opt ipv4=off` is ours; the others are for pools. */
function splitOptions(options: ReadonlyMap<string, string>): { ipv4: boolean; rest: Record<string, string> } {
  const ipv4 = options.get("ipv4") ?? "on";
  if (ipv4 !== "on" && ipv4 !== "off")
    throw new PluginError(`Cannot make a pool: the IPAM option ipv4 cannot be ${quote(ipv4)}; allowed: on, off`);
  const rest = [...options].filter(([name]) => name !== "ipv4");
  return { ipv4: ipv4 === "on", rest: Object.fromEntries(rest) };
}

/** Engines before 28 want an IPv4 pool for every network. */
function noIpv4(pool: string): PoolAnswer {
  if (pool !== "") throw new PluginError(`Cannot use both the subnet ${quote(pool)} and --ipam-opt ipv4=off`);
  return { PoolID: NO_IPV4.poolId, Pool: NO_IPV4.pool, Data: NO_GATEWAY };
}

/** Repeatable; an unknown one is nothing to do. */
export async function releasePool({ addresses }: PluginContext, poolId: string, signal: AbortSignal): Promise<void> {
  if (poolId !== NO_IPV4.poolId) await addresses.releasePool(poolId, signal);
}

/**
 * Docker asks for an endpoint's IPv4 address and then for its IPv6 address, for one endpoint of a network at a time. Where it is
 * refused the second, it forgets that it has the first: that is given back here. By network: the IPv4 address that was given last.
 */
export type FirstHalves = Map<string, string>;

/** @returns the address with its prefix length. @throws PluginError, AddressError */
export async function requestAddress(
  context: PluginContext,
  { sticky, halves }: { readonly sticky: Sticky; readonly halves: FirstHalves },
  message: Messages["requestAddress"],
  signal: AbortSignal,
): Promise<string> {
  const { PoolID: poolId, Address: address } = message;
  if (poolId === NO_IPV4.poolId) return dummyAddress(address);
  const isGateway = message.Options.get(ADDRESS_TYPE) === GATEWAY_TYPE;
  const network = networkOfPool(context, poolId);
  const ask = { poolId, isGateway, ...(address !== "" && { address }) };
  if (isGateway || network === undefined) return context.addresses.request(ask, signal);
  const isSecond = network.ipv6Pools.includes(poolId);
  const first = halves.get(network.id);
  halves.delete(network.id);
  try {
    const given =
      address === ""
        ? await choose(context, sticky, network, poolId, signal)
        : await context.addresses.request(ask, signal);
    if (!isSecond) halves.set(network.id, bare(given));
    return given;
  } catch (error) {
    const isLost = isSecond && first !== undefined && context.state.endpointsWith(first).length === 0;
    if (isLost) releaseFrom(context, network, first);
    throw error;
  }
}

async function choose(
  context: PluginContext,
  sticky: Sticky,
  network: NetworkRecord,
  poolId: string,
  signal: AbortSignal,
): Promise<string> {
  requireWelcome(context, network.id);
  const family: Family = network.ipv4Pools.includes(poolId) ? 4 : 6;
  const prefer = await sticky.prefer(network, family, signal);
  return requestFromAny(context, poolsFrom(network, family, poolId), prefer, signal);
}

function bare(address: string): string {
  return address.split("/")[0] ?? "";
}

function dummyAddress(asked: string): string {
  if (asked === "" || asked.split("/")[0] === NO_IPV4.address.split("/")[0]) return NO_IPV4.address;
  throw new PluginError(`Cannot give the container ${quote(asked)}: the network was made with --ipam-opt ipv4=off`);
}

/** Docker asks the first pool only, and takes any refusal for the last word; with several subnets the others count too. */
function poolsFrom(network: NetworkRecord, family: Family, first: string): readonly string[] {
  return [first, ...poolsOf(network, family).filter((poolId) => poolId !== first)];
}

async function requestFromAny(
  { addresses }: PluginContext,
  poolIds: readonly string[],
  prefer: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  let failure: unknown;
  for (const poolId of poolIds) {
    try {
      return await addresses.request({ poolId, prefer }, signal);
    } catch (error) {
      if (!(error instanceof AddressError && error.code === "exhausted")) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

/**
 * Repeatable. An address that an endpoint still has is kept: Docker deletes the endpoint first, so this release is a late or
 * a foreign one, and what is really left over is found by `reconcile`.
 */
export function releaseAddress(context: PluginContext, message: Messages["releaseAddress"]): void {
  const { state, addresses, log } = context;
  const { PoolID: poolId } = message;
  const address = bare(message.Address);
  if (poolId === NO_IPV4.poolId || address === "") return;
  const [endpoint] = state.endpointsWith(address);
  if (endpoint !== undefined) {
    log("warn", "Docker gave back an address that an endpoint has; it is kept", { address, endpoint: endpoint.id });
    return;
  }
  const network = networkOfPool(context, poolId);
  const family: Family = address.includes(":") ? 6 : 4;
  const poolIds = network === undefined ? [poolId] : poolsFrom(network, family, poolId);
  for (const one of poolIds) addresses.release(one, address);
}
