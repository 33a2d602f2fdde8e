/**
 * The Docker engine on this host, as far as Manx asks it: who is there, what is connected, what happens.
 *
 * Everything here may be called while the engine waits for an answer of our plugin. One question may not, because the engine
 * holds the container's lock meanwhile and would wait for us as we for it: the details of one container. That one is in
 * `inspect.ts`, and nothing that answers the engine may import it. Every call ends within its time limit.
 */
import { type EngineEvent, type EventOptions, engineEvents } from "./events.ts";
import { EngineHttp, type EngineHttpOptions } from "./http.ts";
import {
  type EngineContainer,
  type EngineInfo,
  type EngineNetwork,
  type EngineVersion,
  readContainers,
  readInfo,
  readNetwork,
  readNetworks,
  readVersion,
  withOne,
} from "./values.ts";

export interface CreateNetwork {
  readonly name: string;
  readonly driver: string;
  readonly ipamDriver?: string;
  readonly ipamOptions?: Readonly<Record<string, string>>;
  readonly subnets?: readonly string[];
  /** Subnets with more said of them. */
  readonly pools?: readonly {
    readonly subnet: string;
    readonly ipRange?: string;
    readonly gateway?: string;
    readonly auxAddresses?: Readonly<Record<string, string>>;
  }[];
  /** False: only engines from 28 on can do without. */
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly internal?: boolean;
  readonly options?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Which {
  readonly names?: readonly string[];
  /** Whole ones. */
  readonly ids?: readonly string[];
}

/** All calls throw DriverError, or the signal's reason where the caller aborted. */
export interface Engine {
  ping(signal?: AbortSignal): Promise<void>;
  version(signal?: AbortSignal): Promise<EngineVersion>;
  info(signal?: AbortSignal): Promise<EngineInfo>;
  /**
   * All containers, the stopped ones too; or those of the given names or IDs that exist. With 500 containers an ID costs the
   * engine 0.6 ms, a name 6 (it compares every name), all of them 33.
   */
  containers(which?: Which, signal?: AbortSignal): Promise<readonly EngineContainer[]>;
  /** IDs of the containers that run, are not paused, and whose health check (if they have one) says that they are well. */
  well(signal?: AbortSignal): Promise<ReadonlySet<string>>;
  /** Networks, of one driver or of all; without their endpoints. */
  networks(driver?: string, signal?: AbortSignal): Promise<readonly EngineNetwork[]>;
  /** One network by ID, with its endpoints; or with the one that is named and no other: thousands take long to read. */
  network(id: string, signal?: AbortSignal, endpoint?: string): Promise<EngineNetwork>;
  /** Until the signal aborts; survives the engine's absence. */
  events(signal: AbortSignal): AsyncIterable<EngineEvent>;
  /** @returns the network's ID */
  createNetwork(network: CreateNetwork, signal?: AbortSignal): Promise<string>;
  /** By ID or name. Not found: nothing to do. */
  removeNetwork(id: string, signal?: AbortSignal): Promise<void>;
}

export class EngineClient implements Engine, AsyncDisposable {
  readonly #http: EngineHttp;
  readonly #events: EventOptions;

  constructor(options: EngineHttpOptions & EventOptions = {}) {
    this.#http = new EngineHttp(options);
    this.#events = options;
  }

  async ping(signal?: AbortSignal): Promise<void> {
    await this.#http.text({ method: "GET", path: "/_ping", what: "reach Docker" }, signal);
  }

  async version(signal?: AbortSignal): Promise<EngineVersion> {
    return readVersion(...(await this.#get("read Docker's version", "/version", signal)));
  }

  async info(signal?: AbortSignal): Promise<EngineInfo> {
    return readInfo(...(await this.#get("read Docker's settings", "/info", signal)));
  }

  async containers(which: Which = {}, signal?: AbortSignal): Promise<readonly EngineContainer[]> {
    const { names, ids } = which;
    if (names?.length === 0 || ids?.length === 0) return [];
    const filter = {
      ...(names !== undefined && { name: names.map((name) => `^/${escapeRegExp(name)}$`) }),
      ...(ids !== undefined && { id: ids }),
    };
    const answer = await this.#get("list containers", `/containers/json?all=1&filters=${filters(filter)}`, signal);
    return readContainers(...answer).filter(
      ({ name, id }) => names?.includes(name) !== false && ids?.includes(id) !== false,
    );
  }

  async well(signal?: AbortSignal): Promise<ReadonlySet<string>> {
    const filter = filters({ status: ["running"], health: ["healthy", "none"] });
    const answer = await this.#get("list healthy containers", `/containers/json?filters=${filter}`, signal);
    return new Set(readContainers(...answer).map(({ id }) => id));
  }

  async networks(driver?: string, signal?: AbortSignal): Promise<readonly EngineNetwork[]> {
    const query = driver === undefined ? "" : `?filters=${filters({ driver: [driver] })}`;
    return readNetworks(...(await this.#get("list networks", `/networks${query}`, signal)));
  }

  async network(id: string, signal?: AbortSignal, endpoint?: string): Promise<EngineNetwork> {
    const path = `/networks/${encodeURIComponent(id)}`;
    const [what, answer] = await this.#get(`read network "${id}"`, path, signal);
    return readNetwork(what, endpoint === undefined ? answer : withOne(answer, endpoint));
  }

  events(signal: AbortSignal): AsyncIterable<EngineEvent> {
    return engineEvents(this.#http, this.#events, signal);
  }

  async createNetwork(network: CreateNetwork, signal?: AbortSignal): Promise<string> {
    const what = `create network "${network.name}"`;
    const call = {
      method: "POST",
      path: "/networks/create",
      body: createBody(network),
      what,
      timeout: 60_000,
    } as const;
    const answer = await this.#http.json(call, signal);
    const id = typeof answer === "object" && answer !== null && "Id" in answer ? answer.Id : undefined;
    return typeof id === "string" ? id : "";
  }

  async removeNetwork(id: string, signal?: AbortSignal): Promise<void> {
    const path = `/networks/${encodeURIComponent(id)}`;
    try {
      await this.#http.text({ method: "DELETE", path, what: `remove network "${id}"`, timeout: 60_000 }, signal);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "not-found")) throw error;
    }
  }

  async #get(what: string, path: string, signal: AbortSignal | undefined): Promise<[string, unknown]> {
    return [what, await this.#http.json({ method: "GET", path, what }, signal)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http[Symbol.asyncDispose]();
  }
}

function filters(value: Readonly<Record<string, readonly string[]>>): string {
  return encodeURIComponent(JSON.stringify(value));
}

/** For Go's RE2, in which Docker's name filter is written. */
function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

function createBody(network: CreateNetwork): unknown {
  return {
    Name: network.name,
    CheckDuplicate: true,
    Driver: network.driver,
    Internal: network.internal ?? false,
    ...(network.ipv4 === false && network.ipamOptions?.["ipv4"] !== "off" && { EnableIPv4: false }),
    EnableIPv6: network.ipv6 ?? false,
    Options: network.options ?? {},
    Labels: network.labels ?? {},
    IPAM: {
      Driver: network.ipamDriver ?? "default",
      Options: network.ipamOptions ?? {},
      Config: [...(network.subnets ?? []).map((subnet) => ({ subnet })), ...(network.pools ?? [])].map(poolBody),
    },
  };
}

function poolBody(pool: NonNullable<CreateNetwork["pools"]>[number]): unknown {
  const { subnet, ipRange, gateway, auxAddresses } = pool;
  return {
    Subnet: subnet,
    ...(ipRange !== undefined && { IPRange: ipRange }),
    ...(gateway !== undefined && { Gateway: gateway }),
    ...(auxAddresses !== undefined && { AuxiliaryAddresses: auxAddresses }),
  };
}
