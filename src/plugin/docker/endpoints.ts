/** NetworkDriver.CreateEndpoint, Join, Leave and DeleteEndpoint: the life of one interface of a container. */
import type { EndpointRecord, NetworkRecord } from "../../agent/records.ts";
import { type Address, type Family, formatAddress, parseAddress } from "../../core/net/address.ts";
import { type PluginContext, poolsOf, requireEndpoint, requireNetwork, requireWelcome } from "./context.ts";
import {
  extraAddresses,
  readDriverOptions,
  readExposedPorts,
  readPortBindings,
  requireSysctls,
} from "./endpoint-options.ts";
import { PluginError, quote } from "./errors.ts";
import { notPublishing, publish } from "./host-ports.ts";
import { identify, keepIdentity } from "./identity.ts";
import type { Messages } from "./messages.ts";
import { gateways, interfaceNames, MAX_GATEWAY_INDEX, macOf, NO_IPV4, parseMac } from "./names.ts";
import { readInterfacePrefix } from "./network-options.ts";
import { releaseFrom } from "./networks.ts";

/** Milliseconds for the kernel to be made right; a start then fails rather than hangs. */
const SETTLE_LIMIT = 20_000;

export interface CreateEndpointAnswer {
  /** Only what Docker left to us: it takes anything else for an attempt to overrule the user. */
  readonly Interface: { readonly MacAddress?: string };
}

/** Repeatable before Join. @throws PluginError, AddressError */
export async function createEndpoint(
  context: PluginContext,
  message: Messages["createEndpoint"],
  signal: AbortSignal,
): Promise<CreateEndpointAnswer> {
  const network = requireNetwork(context, message.NetworkID);
  requireWelcome(context, network.id);
  const own = ownAddresses(context, network, message);
  const options = readDriverOptions(message.Options);
  await requireSysctls(message.Options, async () => (await context.engine.version(signal)).version);
  if (network.spec.publish === "off" && readPortBindings(message.Options).length > 0) throw notPublishing();
  const before = earlier(context, message);
  const given = message.Interface?.MacAddress ?? "";
  const mac = given === "" ? macOf(own[0] as string) : readMac(given);
  const exposedPorts = readExposedPorts(message.Options);
  const extra = await requestExtra(context, network, options.addresses, before?.addresses ?? [], signal);
  try {
    context.state.putEndpoint({
      id: message.EndpointID,
      networkId: network.id,
      addresses: [...own, ...extra].sort((a, b) => Number(a.includes(":")) - Number(b.includes(":"))),
      mac,
      driverOptions: options.given,
      published: [],
      exposedPorts,
      joined: false,
      createdAt: context.now().toISOString(),
    });
  } catch (error) {
    for (const held of extra) releaseFrom(context, network, held);
    throw error;
  }
  return { Interface: given === "" ? { MacAddress: mac } : {} };
}

/** The record of the same call before, whose answer Docker did not get. */
function earlier({ state }: PluginContext, message: Messages["createEndpoint"]): EndpointRecord | undefined {
  const before = state.endpoints.get(message.EndpointID);
  if (before === undefined || (!before.joined && before.networkId === message.NetworkID)) return before;
  throw new PluginError(`Cannot create the endpoint "${message.EndpointID.slice(0, 12)}": it exists and is in use`);
}

/** The addresses that Docker got from our IPAM for this endpoint, canonical. */
function ownAddresses(context: PluginContext, network: NetworkRecord, message: Messages["createEndpoint"]): string[] {
  const { Address = "", AddressIPv6 = "" } = message.Interface ?? {};
  const given = [Address, AddressIPv6].filter((text) => text !== "" && text !== NO_IPV4.address);
  const addresses = given.map((text) => {
    const parsed = parseAddress(text.split("/")[0] ?? "");
    if (parsed === undefined) throw new PluginError(`Cannot create the endpoint: ${quote(text)} is not an IP address`);
    if (!network.spec.families.includes(parsed.family))
      throw new PluginError(
        `Cannot create the endpoint: the network has no IPv${parsed.family}, and Docker gave ${text}`,
      );
    return formatAddress(parsed);
  });
  if (addresses.length === 0) throw new PluginError("Cannot create the endpoint: Docker gave it no address");
  for (const held of addresses) {
    requireNobodyElse(context, message.EndpointID, held);
    if (!context.addresses.isGiven(held))
      throw new PluginError(`Cannot create the endpoint: Manx did not give out ${held}. Start the container again`);
  }
  return addresses;
}

function requireNobodyElse({ state }: PluginContext, endpointId: string, address: string): void {
  for (const other of state.endpointsWith(address)) {
    if (other.id === endpointId) continue;
    const whose = other.container?.name ?? `endpoint ${other.id.slice(0, 12)}`;
    throw new PluginError(`Cannot create the endpoint: ${address} is the address of "${whose}"`);
  }
}

function readMac(text: string): string {
  const mac = parseMac(text);
  if (mac !== undefined) return mac;
  throw new PluginError(
    `Cannot use the MAC address ${quote(text)}: an interface needs six bytes, no group's and not all zero`,
  );
}

/** `--driver-opt addresses=`: each of them or none. */
async function requestExtra(
  context: PluginContext,
  network: NetworkRecord,
  wanted: readonly Address[],
  held: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const asked = wanted.filter((a) => !held.includes(formatAddress(a)));
  const got: string[] = [];
  try {
    for (const a of asked) {
      await requestOne(context, network, a, signal);
      got.push(formatAddress(a));
    }
  } catch (error) {
    for (const text of got) releaseFrom(context, network, text);
    throw error;
  }
  return wanted.map(formatAddress);
}

/** From the first of the network's pools that has it. */
async function requestOne(
  context: PluginContext,
  network: NetworkRecord,
  a: Address,
  signal: AbortSignal,
): Promise<void> {
  const address = formatAddress(a);
  let failure: unknown = new PluginError(`Cannot give the container ${address}: the network has no IPv${a.family}`);
  for (const poolId of poolsOf(network, a.family)) {
    try {
      await context.addresses.request({ poolId, address }, signal);
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

export interface JoinAnswer {
  readonly InterfaceName: { readonly SrcName: string; readonly DstPrefix: string };
  readonly Gateway?: string;
  readonly GatewayIPv6?: string;
  readonly StaticRoutes: readonly { readonly Destination: string; readonly RouteType: 1 }[];
  readonly DisableGatewayService: boolean;
}

/** When this has answered, address, routes and firewall are in force. Repeatable. @throws PluginError, what `settle` throws */
export async function join(
  context: PluginContext,
  message: Messages["join"],
  signal: AbortSignal,
): Promise<JoinAnswer> {
  const { NetworkID, EndpointID, SandboxKey } = message;
  if (SandboxKey === "") throw new PluginError("Cannot join the container to the network: Docker names no sandbox");
  const network = requireNetwork(context, NetworkID);
  const before = requireEndpoint(context, NetworkID, EndpointID);
  const bindings = readPortBindings(message.Options);
  const exposed = readExposedPorts(message.Options);
  const [identity, published] = await Promise.all([
    identify(context, before, signal),
    publish(context, network.spec.publish, { id: EndpointID, sandbox: SandboxKey }, bindings),
  ]);
  const index = context.state.change(() => {
    const present = requireEndpoint(context, NetworkID, EndpointID);
    const gatewayIndex = chooseIndex(context, present, SandboxKey);
    const exposedPorts = exposed.length > 0 ? exposed : present.exposedPorts;
    const joined = { ...present, sandbox: SandboxKey, gatewayIndex, joined: true, published, exposedPorts };
    context.state.putEndpoint(joined);
    keepIdentity(context, EndpointID, identity);
    return gatewayIndex;
  });
  try {
    await settleInTime(context, signal);
  } catch (error) {
    undoJoin(context, EndpointID);
    throw error;
  }
  context.onJoined(EndpointID);
  return joinAnswer(network, requireEndpoint(context, NetworkID, EndpointID), index);
}

/** The smallest free N of the sandbox: the next hops of one container must differ. */
function chooseIndex({ state }: PluginContext, endpoint: EndpointRecord, sandbox: string): number {
  if (endpoint.joined && endpoint.sandbox === sandbox && endpoint.gatewayIndex !== undefined)
    return endpoint.gatewayIndex;
  const taken = new Set<number>();
  for (const other of state.endpoints.values())
    if (other.id !== endpoint.id && other.sandbox === sandbox && other.gatewayIndex !== undefined)
      taken.add(other.gatewayIndex);
  for (let index = 1; index <= MAX_GATEWAY_INDEX; index++) if (!taken.has(index)) return index;
  throw new PluginError(
    `Cannot join the container to the network: it is on ${MAX_GATEWAY_INDEX} Manx networks already`,
  );
}

async function settleInTime(context: PluginContext, signal: AbortSignal): Promise<void> {
  const limit = AbortSignal.timeout(SETTLE_LIMIT);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener("abort", () => {
      const seconds = SETTLE_LIMIT / 1000;
      reject(
        new PluginError(
          `Cannot join the container to the network: it was not ready within ${seconds} s. manx doctor tells why`,
        ),
      );
    });
  });
  await Promise.race([context.settle(AbortSignal.any([signal, limit])), late]);
}

/** Docker will not call Leave for a Join that failed. */
function undoJoin({ state }: PluginContext, endpointId: string): void {
  const present = state.endpoints.get(endpointId);
  if (present !== undefined) state.putEndpoint(left(present));
}

function left({ sandbox: _sandbox, gatewayIndex: _index, ...endpoint }: EndpointRecord): EndpointRecord {
  return { ...endpoint, joined: false, published: [] };
}

function joinAnswer(network: NetworkRecord, endpoint: EndpointRecord, index: number): JoinAnswer {
  const has = (family: Family): boolean => endpoint.addresses.some((text) => text.includes(":") === (family === 6));
  const { ipv4, ipv6 } = gateways(index);
  // A connected route to each gateway: engines refuse a next hop that they cannot reach, and 26 looks before fe80::/64 is there.
  const onLink = [...(has(4) ? [`${ipv4}/32`] : []), ...(has(6) ? [`${ipv6}/128`] : [])];
  return {
    InterfaceName: {
      SrcName: interfaceNames(endpoint.id).peer,
      DstPrefix: readInterfacePrefix(new Map(Object.entries(network.options))),
    },
    ...(has(4) && { Gateway: ipv4 }),
    ...(has(6) && { GatewayIPv6: ipv6 }),
    StaticRoutes: onLink.map((Destination) => ({ Destination, RouteType: 1 })),
    // Without an IPv4 gateway engines before 28 attach docker_gwbridge, and take its default route for IPv6 too.
    DisableGatewayService: !has(4),
  };
}

/** Repeatable; nothing to do for what is not joined. The interface goes when the agent next looks: nobody waits for that. */
export function leave({ state }: PluginContext, { NetworkID, EndpointID }: Messages["endpoint"]): void {
  const endpoint = state.endpoints.get(EndpointID);
  if (endpoint?.networkId === NetworkID && endpoint.joined) state.putEndpoint(left(endpoint));
}

/** Repeatable; after anything. Docker gives its own addresses back next: only what it does not know of is given back here. */
export function deleteEndpoint(context: PluginContext, { NetworkID, EndpointID }: Messages["endpoint"]): void {
  const { state } = context;
  const endpoint = state.endpoints.get(EndpointID);
  const network = state.networks.get(NetworkID);
  if (endpoint?.networkId !== NetworkID || network === undefined) return;
  state.change(() => {
    state.removeEndpoint(EndpointID);
    for (const held of extraAddresses(endpoint)) releaseFrom(context, network, held);
  });
}
