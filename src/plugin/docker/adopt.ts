/** Takes over what Docker has and our records have lost (the state file was deleted): from what the engine can still tell. */
import type { BindAsk } from "../../agent/addresses.ts";
import type { EndpointRecord } from "../../agent/records.ts";
import { type Family, formatAddress, parseAddress } from "../../core/net/address.ts";
import { parseCidr } from "../../core/net/cidr.ts";
import type { Inspect } from "../../drivers/docker/inspect.ts";
import { isIgnored } from "../../drivers/docker/subnets.ts";
import type { EngineContainerDetails, EngineEndpoint, EngineNetwork, EnginePool } from "../../drivers/docker/values.ts";
import { type PluginContext, poolsOf, requireNetwork } from "./context.ts";
import { extraAddresses, type PortBinding, readDriverOptions } from "./endpoint-options.ts";
import { PluginError } from "./errors.ts";
import { publish } from "./host-ports.ts";
import { containerRecord, keepIdentity } from "./identity.ts";
import { gatewayIndex, macOf, NO_IPV4, parseMac } from "./names.ts";
import { readNetworkOptions } from "./network-options.ts";
import { networkSpec } from "./networks.ts";

/** Docker does not tell the pool IDs that it keeps, so the network gets new ones; the old ones stay good for Docker. */
export async function adoptNetwork(context: PluginContext, network: EngineNetwork, signal: AbortSignal): Promise<void> {
  const { state, addresses, now } = context;
  if (network.ipamDriver !== "manx") throw new PluginError(`its IPAM driver is "${network.ipamDriver}"`);
  const given = new Map(Object.entries(network.options));
  const options = readNetworkOptions(given);
  const told = network.ipamConfig.filter((pool) => !isIgnored(network, pool));
  const pools = told.filter(({ subnet }) => subnet !== NO_IPV4.pool);
  const asks: BindAsk[] = [];
  for (const pool of pools) asks.push(await requestPool(context, pool, network.ipamOptions, signal));
  const families = ([4, 6] as const).filter((family) => asks.some((ask) => ask.family === family));
  state.change(() => {
    if (state.networks.has(network.id)) return;
    const poolIds = addresses.bind(network.id, asks, options.pools);
    const of = (family: Family): string[] => poolIds.filter((_, index) => asks[index]?.family === family);
    state.putNetwork({
      id: network.id,
      name: network.name,
      spec: networkSpec(options, asks, families, network.internal, addresses.poolNames(poolIds)),
      ipv4Pools: of(4),
      ipv6Pools: of(6),
      options: network.options,
      ...(pools.length < told.length && { dummyIpv4: true }),
      createdAt: now().toISOString(),
    });
  });
}

async function requestPool(
  { addresses }: PluginContext,
  { subnet, ipRange, gateway, auxAddresses }: EnginePool,
  ipamOptions: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<BindAsk> {
  const family = parseCidr(subnet)?.family ?? 4;
  const pools = Object.entries(ipamOptions).filter(([name]) => name !== "ipv4");
  const ask = { family, ...(ipRange !== "" && { subPool: ipRange }), options: Object.fromEntries(pools) };
  const { poolId, pool } = await addresses.requestPool({ ...ask, ...(pools.length === 0 && { pool: subnet }) }, signal);
  const kept = [gateway, ...Object.values(auxAddresses)].map((text) => text.split("/")[0] ?? "");
  const reserved = kept.filter((text) => (parseAddress(text)?.value ?? 0n) !== 0n);
  for (const address of reserved) await addresses.request({ poolId, address, isGateway: true }, signal);
  return { family, pool, reserved };
}

/** The container keeps running throughout: its interface is where it is, and gets its rules and routes again. */
export async function adoptEndpoint(
  context: PluginContext,
  inspect: Inspect,
  network: EngineNetwork,
  endpoint: EngineEndpoint,
  signal: AbortSignal,
): Promise<void> {
  const { state, engine } = context;
  const record = requireNetwork(context, network.id);
  const details = await inspect(endpoint.container, signal);
  const attachment = details.attachments.find(({ endpointId }) => endpointId === endpoint.endpointId);
  const index = gatewayIndex(attachment?.gateway ?? "") ?? gatewayIndex(attachment?.gateway6 ?? "");
  if (attachment === undefined || index === undefined || details.sandboxKey === "")
    throw new PluginError("Docker does not tell which next hop it has. Restart the container");
  const own = ownAddresses(context, endpoint);
  const driverOptions = readDriverOptions(new Map(Object.entries(attachment.driverOptions))).given;
  const extra = extraAddresses({ driverOptions });
  for (const address of extra) await take(context, record.id, address, signal);
  const bare = { id: endpoint.endpointId, sandbox: details.sandboxKey };
  const published = await publish(context, record.spec.publish, bare, bindingsOf(details));
  const adopted: EndpointRecord = {
    ...bare,
    networkId: record.id,
    addresses: [...own, ...extra].sort((a, b) => Number(a.includes(":")) - Number(b.includes(":"))),
    mac: parseMac(endpoint.mac) ?? macOf(own[0] as string),
    driverOptions,
    published,
    exposedPorts: details.exposedPorts.flatMap((text) => readPort(text) ?? []),
    gatewayIndex: index,
    joined: true,
    createdAt: context.now().toISOString(),
  };
  const [container] = await engine.containers({ ids: [endpoint.container] }, signal);
  state.change(() => {
    if (state.endpoints.has(adopted.id)) return;
    state.putEndpoint(adopted);
    if (container !== undefined) keepIdentity(context, adopted.id, { container: containerRecord(container) });
  });
}

function ownAddresses({ state }: PluginContext, { ipv4, ipv6 }: EngineEndpoint): string[] {
  const texts = [ipv4, ipv6].filter((text) => text !== "" && text !== NO_IPV4.address);
  const own = texts.flatMap((text) => parseAddress(text.split("/")[0] ?? "") ?? []).map(formatAddress);
  if (own.length === 0) throw new PluginError("Docker has no address for it");
  for (const other of state.endpoints.values())
    for (const address of own)
      if (other.addresses.includes(address))
        throw new PluginError(
          `${address} is the address of "${other.container?.name ?? other.id}". Restart one of them`,
        );
  return own;
}

async function take(context: PluginContext, networkId: string, address: string, signal: AbortSignal): Promise<void> {
  const family: Family = address.includes(":") ? 6 : 4;
  const [poolId] = poolsOf(requireNetwork(context, networkId), family);
  if (poolId !== undefined) await context.addresses.request({ poolId, address }, signal);
}

function bindingsOf({ portBindings }: EngineContainerDetails): PortBinding[] {
  return [...portBindings].flatMap(([text, bindings]) => {
    const inside = readPort(text);
    if (inside === undefined) return [];
    return bindings.map(({ hostIp, hostPort }) => {
      const [first = 0, last = first] = hostPort.split("-").map(Number);
      const any = (parseAddress(hostIp)?.value ?? 0n) === 0n;
      return { ...inside, hostAddress: any ? "" : hostIp, hostPort: first, hostPortEnd: last };
    });
  });
}

/** `80/tcp`, as Docker writes ports. */
function readPort(text: string): { readonly protocol: "TCP" | "UDP" | "SCTP"; readonly port: number } | undefined {
  const [, port, name] = /^([0-9]{1,5})\/(tcp|udp|sctp)$/.exec(text) ?? [];
  const protocol = name === "tcp" ? "TCP" : name === "udp" ? "UDP" : "SCTP";
  return port === undefined ? undefined : { protocol, port: Number(port) };
}
