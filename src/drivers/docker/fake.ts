/**
 * A Docker engine for tests: the real wire format over a real unix socket, as 20.10 answers it, with the engine's own traps.
 * A container under work (`lock`) does not answer for its details; a frozen engine accepts connections and answers nothing.
 */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

export interface FakeContainer {
  readonly id: string;
  readonly name: string;
  readonly image?: string;
  readonly state?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** By the name that the user gave. */
  readonly networks?: Readonly<Record<string, FakeAttachment>>;
  readonly sandboxKey?: string;
  readonly portBindings?: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[]>>;
}

interface FakeAttachment {
  readonly networkId?: string;
  readonly endpointId?: string;
  readonly gateway?: string;
  readonly gateway6?: string;
}

export interface FakeNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver?: string;
  readonly internal?: boolean;
  readonly ipv6?: boolean;
  readonly options?: Readonly<Record<string, string>>;
  readonly ipamDriver?: string;
  readonly subnets?: readonly { readonly Subnet: string; readonly IPRange?: string }[];
  /** By container ID, or `ep-<endpoint ID>` while it joins. */
  readonly endpoints?: Readonly<Record<string, FakeEndpoint>>;
}

interface FakeEndpoint {
  readonly Name: string;
  readonly EndpointID: string;
  readonly MacAddress?: string;
  readonly IPv4Address?: string;
  readonly IPv6Address?: string;
}

export class FakeEngine implements AsyncDisposable {
  readonly containers = new Map<string, FakeContainer>();
  readonly networks = new Map<string, FakeNetwork>();
  /** Containers whose lock the engine holds. */
  readonly locked = new Set<string>();
  /** `GET /containers/json?all=1`, in order. */
  readonly requests: string[] = [];
  /** Answers nothing any more; connections stay open. */
  frozen = false;
  /** Status and message for everything, once set. */
  failure: { readonly status: number; readonly message: string } | undefined;
  readonly socketPath: string;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #listeners = new Set<ServerResponse>();

  private constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#server = createServer((request, response) => this.#take(request, response));
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(socketPath: string): Promise<FakeEngine> {
    const engine = new FakeEngine(socketPath);
    await rm(socketPath, { force: true });
    engine.#server.listen(socketPath);
    await once(engine.#server, "listening");
    return engine;
  }

  /** Number of open event streams. */
  get listening(): number {
    return this.#listeners.size;
  }

  /** An event as the engine sends it. */
  emit(type: "container" | "network", action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    const event = { Type: type, Action: action, Actor: { ID: id, Attributes: attributes }, scope: "local" };
    for (const response of this.#listeners) response.write(`${JSON.stringify(event)}\n`);
  }

  /** Bytes into the event streams, as they are. */
  emitRaw(bytes: string | Uint8Array): void {
    for (const response of this.#listeners) response.write(bytes);
  }

  /** Cuts all connections, as a crash does; the socket stays open for new ones. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://docker");
    this.requests.push(`${request.method} ${request.url}`);
    request.resume();
    if (this.frozen) return;
    if (this.failure !== undefined) return answer(response, this.failure.status, { message: this.failure.message });
    if (url.pathname === "/events") return this.#listen(response);
    if (url.pathname === "/_ping") return void response.end("OK");
    this.#answer(url, response);
  }

  #listen(response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    this.#listeners.add(response);
    response.on("close", () => this.#listeners.delete(response));
  }

  #answer(url: URL, response: ServerResponse): void {
    const [, kind, id] = url.pathname.split("/");
    if (url.pathname === "/version")
      return answer(response, 200, { Version: "20.10.24", ApiVersion: "1.41", MinAPIVersion: "1.12" });
    if (url.pathname === "/info") return answer(response, 200, { ID: "fake", Name: "fake", Swarm: {} });
    if (url.pathname === "/containers/json") return answer(response, 200, this.#listContainers(url));
    if (url.pathname === "/networks") return answer(response, 200, this.#listNetworks(url));
    if (kind === "networks" && id !== undefined) return this.#network(decodeURIComponent(id), response);
    if (kind === "containers" && id !== undefined) return this.#container(decodeURIComponent(id), response);
    answer(response, 404, { message: "page not found" });
  }

  #listContainers(url: URL): unknown {
    const names = filter(url, "name");
    const ids = filter(url, "id");
    const shown = [...this.containers.values()].filter(
      ({ id, name }) =>
        (names.length === 0 || names.some((pattern) => new RegExp(pattern).test(`/${name}`))) &&
        (ids.length === 0 || ids.some((prefix) => id.startsWith(prefix))),
    );
    return shown.map((container) => ({
      Id: container.id,
      Names: [`/${container.name}`],
      Image: container.image ?? "busybox",
      Labels: container.labels ?? {},
      State: container.state ?? "running",
      Created: 1,
      NetworkSettings: { Networks: attachments(container) },
    }));
  }

  #listNetworks(url: URL): unknown {
    const drivers = filter(url, "driver");
    const shown = [...this.networks.values()].filter(
      ({ driver }) => drivers.length === 0 || drivers.includes(driver ?? "manx"),
    );
    return shown.map((network) => ({ ...networkBody(network), Containers: {} }));
  }

  #network(id: string, response: ServerResponse): void {
    const network = this.networks.get(id);
    if (network === undefined) return answer(response, 404, { message: `network ${id} not found` });
    answer(response, 200, networkBody(network));
  }

  /** By ID or name, as the engine takes either. */
  #container(idOrName: string, response: ServerResponse): void {
    const byName = [...this.containers.values()].find(({ name }) => name === idOrName);
    const container = this.containers.get(idOrName) ?? byName;
    if (container === undefined) return answer(response, 404, { message: `No such container: ${idOrName}` });
    const { id } = container;
    if (this.locked.has(id)) return;
    answer(response, 200, {
      Id: id,
      Name: `/${container.name}`,
      State: { Running: (container.state ?? "running") === "running", Pid: 1 },
      Config: { ExposedPorts: null },
      HostConfig: { PortBindings: container.portBindings ?? null },
      NetworkSettings: { SandboxKey: container.sandboxKey ?? "", Networks: attachments(container) },
    });
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

function filter(url: URL, key: string): readonly string[] {
  const parsed = JSON.parse(url.searchParams.get("filters") ?? "{}") as Readonly<Record<string, readonly string[]>>;
  return parsed[key] ?? [];
}

function attachments(container: FakeContainer): unknown {
  const all = Object.entries(container.networks ?? {}).map(([name, a]) => [
    name,
    {
      NetworkID: a.networkId ?? "",
      EndpointID: a.endpointId ?? "",
      Gateway: a.gateway ?? "",
      IPv6Gateway: a.gateway6 ?? "",
      DriverOpts: null,
    },
  ]);
  return Object.fromEntries(all) as unknown;
}

function networkBody(network: FakeNetwork): Readonly<Record<string, unknown>> {
  return {
    Id: network.id,
    Name: network.name,
    Driver: network.driver ?? "manx",
    Scope: "local",
    Created: "2026-01-01T00:00:00Z",
    Internal: network.internal ?? false,
    EnableIPv6: network.ipv6 ?? false,
    Options: network.options ?? {},
    Labels: {},
    IPAM: { Driver: network.ipamDriver ?? "manx", Options: null, Config: network.subnets ?? [] },
    Containers: network.endpoints ?? {},
  };
}
