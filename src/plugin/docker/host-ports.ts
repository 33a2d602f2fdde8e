/**
 * `-p` on a network with `-o publish=host`: which port of the host leads to the container. The choice is made in Join, where it
 * is known which other interfaces the same container has, and is kept with the endpoint.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import type { LocalState } from "../../agent/local-state.ts";
import type { EndpointRecord } from "../../agent/records.ts";
import { isLoopback } from "../../core/calc/published.ts";
import type { PublishedPort } from "../../core/calc/snapshot.ts";
import type { PluginContext, PortState } from "./context.ts";
import type { PortBinding, Protocol } from "./endpoint-options.ts";
import { PluginError } from "./errors.ts";

/** Where Docker, too, takes a port when the user names none (IANA's dynamic ports, RFC 6335 section 6). */
const FIRST_DYNAMIC = 49153;
const LAST_PORT = 65535;

/**
 * The published ports of an endpoint. On `publish=address` a port that is bound to the host's loopback is for the host alone,
 * which reaches the container anyway: nothing is opened.
 * @throws PluginError
 */
export async function publish(
  context: PluginContext,
  mode: "address" | "host" | "off",
  endpoint: Pick<EndpointRecord, "id" | "sandbox">,
  bindings: readonly PortBinding[],
): Promise<PublishedPort[]> {
  if (mode === "off" && bindings.length > 0) throw notPublishing();
  if (mode !== "host") {
    const open = bindings.filter(({ hostAddress }) => !isLoopback(hostAddress));
    return uniquePorts(open.map(({ protocol, port }) => ({ protocol, port })));
  }
  const published: PublishedPort[] = [];
  for (const binding of bindings) published.push(...(await publishOne(context, endpoint, binding, published)));
  return uniquePorts(published);
}

export function notPublishing(): PluginError {
  return new PluginError(
    "Cannot publish ports (-p): the network was made with publish=off. Leave out -p, or use a network without that option",
  );
}

/** In the order of the ports: Docker's is none. */
function uniquePorts(ports: readonly PublishedPort[]): PublishedPort[] {
  const unique = new Map(ports.map((port) => [JSON.stringify(port), port]));
  return [...unique.values()].sort((a, b) => a.port - b.port || (a.host?.port ?? 0) - (b.host?.port ?? 0));
}

/** Nothing, where another interface of the container has the port of the host's loopback: nobody else is to reach this one. */
async function publishOne(
  context: PluginContext,
  endpoint: Pick<EndpointRecord, "id" | "sandbox">,
  binding: PortBinding,
  chosen: readonly PublishedPort[],
): Promise<PublishedPort[]> {
  const { protocol, port, hostAddress } = binding;
  const holders = new HostPorts(context.state, endpoint, chosen);
  if (binding.hostPort > 0 && holders.isOwn(binding)) return isLoopback(hostAddress) ? [] : [{ protocol, port }];
  let why = "";
  for (const candidate of candidates(binding)) {
    const holder = holders.of(protocol, hostAddress, candidate);
    const state = holder === undefined ? await context.probePort(protocol, hostAddress, candidate) : "taken";
    if (state === "free") return [{ protocol, port, host: { address: hostAddress, port: candidate } }];
    why = reason(protocol, hostAddress, candidate, state, holder);
    if (state === "not-ours") break;
  }
  const wanted = binding.hostPort === 0 ? "a free port" : portText(binding);
  throw new PluginError(`Cannot publish ${protocol} ${wanted} of the host: ${why}`);
}

function* candidates({ hostPort, hostPortEnd }: PortBinding): Generator<number> {
  const [first, last] = hostPort === 0 ? [FIRST_DYNAMIC, LAST_PORT] : [hostPort, hostPortEnd];
  for (let port = first; port <= last; port++) yield port;
}

function portText({ hostPort, hostPortEnd }: PortBinding): string {
  return hostPort === hostPortEnd ? `port ${hostPort}` : `port ${hostPort}-${hostPortEnd}`;
}

function reason(
  protocol: Protocol,
  address: string,
  port: number,
  state: PortState,
  holder: EndpointRecord | undefined,
): string {
  if (state === "not-ours") return `"${address}" is not an address of this host`;
  if (holder !== undefined) {
    const name = holder.container?.name ?? holder.id.slice(0, 12);
    return `container "${name}" has ${port}. Choose another port, or stop that container`;
  }
  const flag = protocol === "UDP" ? "u" : protocol === "TCP" ? "t" : "S";
  return `a program on this host listens on ${port}. Choose another port, or stop it: ss -${flag}lnp names it`;
}

/** Who has which port of the host at present. */
class HostPorts {
  readonly #state: LocalState;
  readonly #self: Pick<EndpointRecord, "id" | "sandbox">;
  readonly #chosen: readonly PublishedPort[];

  constructor(state: LocalState, self: Pick<EndpointRecord, "id" | "sandbox">, chosen: readonly PublishedPort[]) {
    this.#state = state;
    this.#self = self;
    this.#chosen = chosen;
  }

  /** The endpoint that has it: another container's, or this one under a binding before. */
  of(protocol: Protocol, address: string, port: number): EndpointRecord | undefined {
    for (const endpoint of this.#state.endpoints.values()) {
      if (!endpoint.joined || endpoint.id === this.#self.id) continue;
      if (endpoint.published.some((one) => collides(one, protocol, address, port))) return endpoint;
    }
    const own = this.#chosen.some((one) => collides(one, protocol, address, port));
    return own ? this.#state.endpoints.get(this.#self.id) : undefined;
  }

  /** Another interface of the same container has the port already and leads to the same place. */
  isOwn({ protocol, port, hostAddress, hostPort, hostPortEnd }: PortBinding): boolean {
    for (const endpoint of this.#state.endpoints.values()) {
      if (!endpoint.joined || endpoint.id === this.#self.id || endpoint.sandbox !== this.#self.sandbox) continue;
      const found = endpoint.published.some(({ protocol: p, port: inside, host }) => {
        const inRange = host !== undefined && host.port >= hostPort && host.port <= hostPortEnd;
        return p === protocol && inside === port && inRange && host.address === hostAddress;
      });
      if (found) return true;
    }
    return false;
  }
}

function collides({ protocol, host }: PublishedPort, wanted: Protocol, address: string, port: number): boolean {
  if (protocol !== wanted || host?.port !== port) return false;
  return host.address === address || host.address === "" || address === "";
}

/** Asks the kernel by taking the port for a moment. SCTP cannot be asked that way: only our own containers are compared. */
export async function probePort(protocol: Protocol, address: string, port: number): Promise<PortState> {
  if (protocol === "SCTP") return "free";
  const probe = protocol === "TCP" ? listenOnce : bindOnce;
  if (address !== "") return probe(address, port);
  const both = await probe("::", port);
  return both === "not-ours" ? probe("0.0.0.0", port) : both; // a host without IPv6
}

async function listenOnce(host: string, port: number): Promise<PortState> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true, backlog: 1 });
    await once(server, "listening");
    server.close();
    await once(server, "close");
    return "free";
  } catch (error) {
    return stateOf(error);
  }
}

async function bindOnce(host: string, port: number): Promise<PortState> {
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    socket.bind({ address: host, port, exclusive: true });
    await once(socket, "listening");
    return "free";
  } catch (error) {
    return stateOf(error);
  } finally {
    socket.close();
  }
}

function stateOf(error: unknown): PortState {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined;
  return code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT" || code === "EINVAL" ? "not-ours" : "taken";
}
