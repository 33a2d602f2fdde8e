/** NetworkDriver.CreateNetwork and DeleteNetwork. Docker tells of a network once: what is recorded here is all there is. */
import type { BindAsk } from "../../agent/addresses.ts";
import type { EndpointRecord, NetworkRecord } from "../../agent/records.ts";
import { type Family, parseAddress } from "../../core/net/address.ts";
import { type PluginContext, poolsOf } from "./context.ts";
import { PluginError } from "./errors.ts";
import type { IpamData, Messages } from "./messages.ts";
import { NO_IPV4 } from "./names.ts";
import { checkMtu, type NetworkOptions, readNetworkOptions } from "./network-options.ts";

/** What our IPAM driver calls its address spaces: how a network with another IPAM driver is recognised. */
export const ADDRESS_SPACES = { local: "manx-local", global: "manx-global" } as const;

const GENERIC = "com.docker.network.generic";
const INTERNAL = "com.docker.network.internal";
/** What an IPAM answer says where no pool was asked for. */
const ANY = ["0.0.0.0/0", "::/0"];

/** Repeatable: a network that is known stays as it is. @throws PluginError, AddressError */
export function createNetwork(context: PluginContext, message: Messages["createNetwork"]): void {
  const { state, addresses, now } = context;
  if (state.networks.has(message.NetworkID)) return;
  const given = genericOptions(message.Options);
  const options = readNetworkOptions(given);
  const data = [...message.IPv4Data, ...message.IPv6Data];
  requireOwnIpam(data, given, isInternal(message.Options));
  const asks = [...bindAsks(4, message.IPv4Data), ...bindAsks(6, message.IPv6Data)];
  const families = familiesOf(asks);
  checkMtu(options.mtu, families);
  state.change(() => {
    const poolIds = addresses.bind(message.NetworkID, asks, options.pools);
    const of = (family: Family): string[] => poolIds.filter((_, index) => asks[index]?.family === family);
    state.putNetwork({
      id: message.NetworkID,
      spec: networkSpec(options, asks, families, isInternal(message.Options), addresses.poolNames(poolIds)),
      ipv4Pools: of(4),
      ipv6Pools: of(6),
      options: Object.fromEntries(given) as Record<string, string>,
      ...(data.some(({ Pool }) => Pool === NO_IPV4.pool) && { dummyIpv4: true }),
      createdAt: now().toISOString(),
    });
  });
}

/** Repeatable. What Docker forgot to take away before goes with the network. */
export function deleteNetwork(context: PluginContext, networkId: string): void {
  const { state, addresses } = context;
  const network = state.networks.get(networkId);
  if (network === undefined) return;
  state.change(() => {
    for (const endpoint of state.endpoints.values())
      if (endpoint.networkId === networkId) dropEndpoint(context, network, endpoint);
    addresses.forget(networkId);
    state.removeNetwork(networkId);
  });
}

/** Removes the record of what Docker has forgotten, and gives back every address that it has. */
export function dropEndpoint(context: PluginContext, network: NetworkRecord, endpoint: EndpointRecord): void {
  const { state } = context;
  state.removeEndpoint(endpoint.id);
  for (const held of endpoint.addresses) releaseFrom(context, network, held);
}

/** An address can be from any of the network's pools: Docker names the first, whichever it came from. */
export function releaseFrom({ addresses }: PluginContext, network: NetworkRecord, address: string): void {
  const family = parseAddress(address)?.family;
  if (family === undefined) return;
  for (const poolId of poolsOf(network, family)) addresses.release(poolId, address);
}

export function networkSpec(
  options: NetworkOptions,
  pools: readonly { readonly pool: string }[],
  families: readonly Family[],
  internal: boolean,
  /** By `--ipam-opt pool=`, which CreateNetwork does not tell. */
  named: readonly string[],
): NetworkRecord["spec"] {
  const subnets = pools.map(({ pool }) => pool).filter((pool) => !ANY.includes(pool));
  return {
    pools: options.pools ?? (named.length > 0 ? named : subnets),
    families,
    ...(options.mtu !== undefined && { mtu: options.mtu }),
    publish: options.publish,
    isolation: options.isolation,
    internal,
    sticky: options.sticky,
  };
}

function genericOptions(options: ReadonlyMap<string, unknown>): ReadonlyMap<string, unknown> {
  const generic = options.get(GENERIC);
  if (generic === undefined || generic === null) return new Map();
  if (typeof generic === "object" && !Array.isArray(generic)) return new Map(Object.entries(generic));
  throw new PluginError(`Cannot create the network: "${GENERIC}" must be an object`);
}

/** @throws PluginError: what is not understood must not open the network */
function isInternal(options: ReadonlyMap<string, unknown>): boolean {
  const value = options.get(INTERNAL) ?? false;
  if (value === true || value === "true") return true;
  if (value === false || value === "false") return false;
  throw new PluginError(`Cannot create the network: "${INTERNAL}" must be true or false`);
}

/** Docker's default IPAM gives addresses with the mask of a whole subnet, which is the opposite of an address each. */
function requireOwnIpam(data: readonly IpamData[], options: ReadonlyMap<string, unknown>, internal: boolean): void {
  const own: readonly string[] = Object.values(ADDRESS_SPACES);
  if (data.every(({ AddressSpace }) => own.includes(AddressSpace))) return;
  const given = [...options].map(([name, value]) => ` -o ${name}=${String(value)}`).join("");
  const command = `docker network create -d manx --ipam-driver manx${internal ? " --internal" : ""}${given} NAME`;
  throw new PluginError(
    "Cannot create the network: its addresses come from another IPAM driver. " +
      `Type: ${command} (in a compose file: ipam: {driver: manx})`,
  );
}

function bindAsks(family: Family, data: readonly IpamData[]): BindAsk[] {
  return data
    .filter(({ Pool }) => Pool !== NO_IPV4.pool)
    .map(({ Pool, Gateway, AuxAddresses }) => {
      const named = [Gateway, ...AuxAddresses.values()].map((value) => bare(value));
      return { family, pool: Pool, reserved: named.filter((text) => text !== undefined), gateway: Gateway };
    });
}

/** The address of `10.65.0.1/16`; undefined for none and for 0.0.0.0 and ::, which stand for none. */
function bare(value: unknown): string | undefined {
  const text = typeof value === "string" ? (value.split("/")[0] ?? "") : "";
  const parsed = parseAddress(text);
  return parsed === undefined || parsed.value === 0n ? undefined : text;
}

function familiesOf(asks: readonly BindAsk[]): Family[] {
  const families = ([4, 6] as const).filter((family) => asks.some((ask) => ask.family === family));
  if (families.length > 0) return families;
  throw new PluginError("Cannot create the network: it has neither IPv4 nor IPv6. Add --ipv6, or leave out ipv4=off");
}
