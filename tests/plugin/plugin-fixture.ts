/** The plugin on a fake engine: its socket, a Docker that speaks to it as the real ones do, and a kernel that only counts. */
import { request } from "node:http";
import { join } from "node:path";
import { EngineClient as Client, type EngineClient } from "../../src/drivers/docker/engine.ts";
import { FakeEngine } from "../../src/drivers/docker/fake.ts";
import { LockProbe } from "../../src/drivers/docker/locks.ts";
import { pluginCalls } from "../../src/plugin/docker/calls.ts";
import { ContainerIndex } from "../../src/plugin/docker/container-index.ts";
import { InFlight, type PluginContext, type PortState } from "../../src/plugin/docker/context.ts";
import { PluginServer } from "../../src/plugin/docker/server.ts";
import { DEFAULTS, Host } from "../store/address-fixture.ts";

/** A made-up ID: 64 hexadecimal digits that begin with the number. */
export function id(number: number): string {
  return number.toString(16).padStart(8, "0").padEnd(64, "0");
}

export interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export class PluginHost implements AsyncDisposable {
  readonly host: Host;
  readonly engine: FakeEngine;
  readonly client: EngineClient;
  readonly probe: LockProbe;
  readonly logged: string[] = [];
  /** What `settle` does; by default all is well at once. */
  settle: (signal: AbortSignal) => Promise<void> = () => Promise.resolve();
  /** Ports of the host that a program listens on. */
  readonly takenPorts = new Set<number>();
  readonly joined: string[] = [];
  clock = Date.parse("2026-01-01T00:00:00Z");
  context: PluginContext;
  server: PluginServer | undefined;

  private constructor(host: Host, engine: FakeEngine) {
    this.host = host;
    this.engine = engine;
    this.client = new Client({ socketPath: engine.socketPath, timeout: 300, minDelay: 5, maxDelay: 20 });
    this.probe = new LockProbe({ socketPath: engine.socketPath });
    this.context = this.#context();
  }

  static async start(pools = DEFAULTS): Promise<PluginHost> {
    const host = await Host.with(pools);
    const plugin = new PluginHost(host, await FakeEngine.start(join(host.directory, "docker.sock")));
    await plugin.listen();
    return plugin;
  }

  get socketPath(): string {
    return join(this.host.directory, "plugins", "manx.sock");
  }

  #context(): PluginContext {
    return {
      state: this.host.state,
      addresses: this.host.addresses,
      engine: this.client,
      locked: (ids, limit, signal) => this.probe.locked(ids, limit, signal),
      settle: (signal) => this.settle(signal),
      onJoined: (endpointId) => this.joined.push(endpointId),
      probePort: (_, __, port) => Promise.resolve<PortState>(this.takenPorts.has(port) ? "taken" : "free"),
      log: (level, message, fields) => this.logged.push(`${level}: ${message} ${JSON.stringify(fields ?? {})}`),
      now: () => new Date(this.clock),
      index: new ContainerIndex(),
      inFlight: new InFlight(),
    };
  }

  async listen(): Promise<void> {
    this.server = await PluginServer.start({
      socketPath: this.socketPath,
      calls: pluginCalls(this.context),
      log: this.context.log,
      bodyLimit: 200,
      maxBody: 1024 * 1024,
    });
  }

  /** As a kill -9 and a new start: nothing but the state file is left. */
  async restart(): Promise<void> {
    await this.server?.[Symbol.asyncDispose]();
    await this.host.restart();
    this.context = this.#context();
    await this.listen();
  }

  /** One call with its JSON; a text is sent as it is. */
  call(name: string, message: unknown = ""): Promise<Reply> {
    const body = typeof message === "string" ? message : JSON.stringify(message);
    return post(this.socketPath, name, body);
  }

  /** As `call`, for what must succeed. */
  async ok(name: string, message: unknown = ""): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.call(name, message);
    if (status !== 200 || "Err" in body)
      throw new Error(`${name}: ${status} ${typeof body["Err"] === "string" ? body["Err"] : JSON.stringify(body)}`);
    return body;
  }

  /** As `call`, for what must be refused. @returns the sentence */
  async refused(name: string, message: unknown = ""): Promise<string> {
    const { status, body } = await this.call(name, message);
    if (status !== 200 || typeof body["Err"] !== "string" || body["Err"] !== body["Error"])
      throw new Error(`${name} was not refused: ${status} ${JSON.stringify(body)}`);
    return body["Err"];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server?.[Symbol.asyncDispose]();
    await this.client[Symbol.asyncDispose]();
    await this.probe[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
    await this.host[Symbol.asyncDispose]();
  }
}

export function post(socketPath: string, name: string, body: string | Buffer, method = "POST"): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = { "content-length": Buffer.byteLength(body), host: "" };
    const call = request({ socketPath, path: `/${name}`, method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Reply["body"] }));
    });
    call.on("error", reject);
    call.end(body);
  });
}

export interface NetworkAsk {
  readonly subnet?: string;
  readonly subnet6?: string;
  readonly ipv6?: boolean;
  readonly ipv4?: boolean;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly ipamOptions?: Readonly<Record<string, string>>;
  readonly internal?: boolean;
}

export interface Pool {
  readonly PoolID: string;
  readonly Pool: string;
  readonly Data: Readonly<Record<string, string>>;
}

export interface Started {
  readonly endpoint: string;
  readonly addresses: readonly { readonly PoolID: string; readonly Address: string }[];
  readonly join: Readonly<Record<string, unknown>>;
}

/** Speaks to the plugin in Docker's order, and keeps the fake engine's lists as Docker would. */
export class Docker {
  readonly plugin: PluginHost;
  readonly pools = new Map<string, readonly Pool[]>();
  #next = 0x1000;

  constructor(plugin: PluginHost) {
    this.plugin = plugin;
  }

  async createNetwork(number: number, name: string, ask: NetworkAsk = {}): Promise<string> {
    const networkId = id(number);
    const options = { ...(ask.ipamOptions !== undefined && { Options: ask.ipamOptions }) };
    const request = async (V6: boolean, subnet: string | undefined): Promise<Pool> =>
      (await this.plugin.ok("IpamDriver.RequestPool", {
        AddressSpace: "manx-local",
        Pool: subnet ?? "",
        SubPool: "",
        Options: null,
        V6,
        ...options,
      })) as unknown as Pool;
    const v4 = ask.ipv4 === false ? [] : [await request(false, ask.subnet)];
    const v6 = ask.ipv6 === true ? [await request(true, ask.subnet6)] : [];
    const data = (pools: readonly Pool[]): unknown =>
      pools.map(({ Pool, Data }) => {
        return { AddressSpace: "manx-local", Pool, Gateway: Data["com.docker.network.gateway"], AuxAddresses: null };
      });
    try {
      await this.plugin.ok("NetworkDriver.CreateNetwork", {
        NetworkID: networkId,
        Options: {
          "com.docker.network.enable_ipv6": ask.ipv6 === true,
          "com.docker.network.generic": ask.options ?? {},
          ...(ask.internal === true && { "com.docker.network.internal": true }),
        },
        IPv4Data: data(v4),
        IPv6Data: data(v6),
      });
    } catch (error) {
      for (const { PoolID } of [...v4, ...v6]) await this.plugin.ok("IpamDriver.ReleasePool", { PoolID });
      throw error;
    }
    this.pools.set(networkId, [...v4, ...v6]);
    this.plugin.engine.networks.set(networkId, {
      id: networkId,
      name,
      options: (ask.options ?? {}) as Record<string, string>,
      ...(ask.internal === true && { internal: true }),
      ...(ask.ipv6 === true && { ipv6: true }),
      subnets: [...v4, ...v6].map(({ Pool }) => ({ Subnet: Pool })),
    });
    return networkId;
  }

  async removeNetwork(networkId: string): Promise<void> {
    for (const { PoolID } of this.pools.get(networkId) ?? []) {
      await this.plugin.ok("IpamDriver.ReleaseAddress", { PoolID, Address: "0.0.0.0" });
      await this.plugin.ok("IpamDriver.ReleasePool", { PoolID });
    }
    await this.plugin.ok("NetworkDriver.DeleteNetwork", { NetworkID: networkId });
    this.plugin.engine.networks.delete(networkId);
  }

  /** Makes the container, without starting it. */
  createContainer(name: string, network: string, labels: Readonly<Record<string, string>> = {}): string {
    const containerId = id(this.#next++);
    this.plugin.engine.containers.set(containerId, {
      id: containerId,
      name,
      labels,
      state: "created",
      networks: { [this.plugin.engine.networks.get(network)?.name ?? network]: {} },
    });
    return containerId;
  }

  /** Everything of a start up to the process; throws what was refused, after Docker's own clearing up. */
  async start(
    containerId: string,
    networkId: string,
    ask: { ip?: string; mac?: string; sandbox?: string; options?: Readonly<Record<string, unknown>> } = {},
  ): Promise<Started> {
    const { plugin } = this;
    plugin.engine.locked.add(containerId);
    const addresses: { PoolID: string; Address: string }[] = [];
    const endpoint = id(this.#next++);
    const both = { NetworkID: networkId, EndpointID: endpoint };
    try {
      for (const { PoolID } of this.pools.get(networkId) ?? []) {
        const Address = PoolID.startsWith("4") ? (ask.ip ?? "") : "";
        const got = await plugin.ok("IpamDriver.RequestAddress", { PoolID, Address, Options: {} });
        addresses.push({ PoolID, Address: String(got["Address"]) });
      }
      const of = (v6: boolean): string => addresses.find((a) => a.Address.includes(":") === v6)?.Address ?? "";
      await plugin.ok("NetworkDriver.CreateEndpoint", {
        ...both,
        Options: ask.options ?? {},
        Interface: { Address: of(false), AddressIPv6: of(true), MacAddress: ask.mac ?? "" },
      });
      this.#list(networkId, `ep-${endpoint}`, containerId, endpoint, of(false), of(true));
      const join = await plugin.ok("NetworkDriver.Join", {
        ...both,
        SandboxKey: ask.sandbox ?? `/var/run/docker/netns/${endpoint.slice(0, 12)}`,
        Options: ask.options ?? {},
      });
      this.#list(networkId, `ep-${endpoint}`);
      this.#list(networkId, containerId, containerId, endpoint, of(false), of(true));
      await plugin.ok("NetworkDriver.ProgramExternalConnectivity", { ...both, Options: {} });
      await plugin.ok("NetworkDriver.EndpointOperInfo", both);
      const container = plugin.engine.containers.get(containerId);
      if (container !== undefined) plugin.engine.containers.set(containerId, { ...container, state: "running" });
      return { endpoint, addresses, join };
    } catch (error) {
      this.#list(networkId, `ep-${endpoint}`);
      await plugin.call("NetworkDriver.DeleteEndpoint", both);
      for (const a of addresses) await plugin.call("IpamDriver.ReleaseAddress", a);
      throw error;
    } finally {
      plugin.engine.locked.delete(containerId);
    }
  }

  async stop(containerId: string, networkId: string, { endpoint, addresses }: Started): Promise<void> {
    const both = { NetworkID: networkId, EndpointID: endpoint };
    await this.plugin.ok("NetworkDriver.RevokeExternalConnectivity", both);
    await this.plugin.ok("NetworkDriver.Leave", both);
    await this.plugin.ok("NetworkDriver.DeleteEndpoint", both);
    for (const { PoolID, Address } of addresses)
      await this.plugin.ok("IpamDriver.ReleaseAddress", { PoolID, Address: Address.split("/")[0] });
    this.forget(containerId, networkId);
  }

  /** Docker's own side of a stop alone: what is left when the plugin was away. */
  forget(containerId: string, networkId: string): void {
    this.#list(networkId, containerId);
    const container = this.plugin.engine.containers.get(containerId);
    if (container !== undefined) this.plugin.engine.containers.set(containerId, { ...container, state: "exited" });
  }

  #list(networkId: string, key: string, containerId = "", endpoint = "", ipv4 = "", ipv6 = ""): void {
    const network = this.plugin.engine.networks.get(networkId);
    if (network === undefined) return;
    const endpoints = { ...network.endpoints };
    delete endpoints[key];
    if (containerId !== "")
      endpoints[key] = {
        Name: this.plugin.engine.containers.get(containerId)?.name ?? "",
        EndpointID: endpoint,
        IPv4Address: ipv4,
        IPv6Address: ipv6,
      };
    this.plugin.engine.networks.set(networkId, { ...network, endpoints });
  }
}
