/**
 * Many endpoints on a lab host, without as many containers: the plugin hears from us what Docker would say of them, and the agent
 * hears of them from an engine socket that adds them to what the real engine answers. Interfaces, routes, addresses and firewall
 * are real; the containers' ends of the links lie in one namespace, silent.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { Host } from "../src/lab/host.ts";
import { post } from "../tests/plugin/plugin-fixture.ts";

const ENGINE = "/run/docker.sock";
const PLUGIN = "/run/docker/plugins/manx.sock";
/** Where the agent is told to look for Docker. */
const CROWDED = "/run/crowded.sock";
const NAMESPACE = "crowd";
/** Starts that are under way at a time while the crowd grows. */
const AT_ONCE = 8;

interface Member {
  readonly container: string;
  readonly endpoint: string;
  readonly name: string;
  /** With its prefix length. */
  readonly ipv4: string;
  readonly ipv6: string;
}

interface Started extends Member {
  /** Milliseconds of each of its calls, and of them those in which the agent waited for the engine. */
  readonly calls: ReadonlyMap<string, number>;
  readonly engine: number;
}

type Json = Readonly<Record<string, unknown>>;

export class Crowd implements AsyncDisposable {
  readonly #host: Host;
  readonly #network: string;
  readonly #pools: { readonly v4: string; readonly v6: string };
  readonly #members = new Map<string, Member>();
  readonly #server: Server;
  /** Containers that are just joining: the engine lists them in another way. */
  readonly #joining = new Set<string>();
  #next = 1;
  /** Milliseconds in which questions of the agent were answered. */
  #answering = 0;

  private constructor(host: Host, network: string, pools: { v4: string; v6: string }) {
    this.#host = host;
    this.#network = network;
    this.#pools = pools;
    this.#server = createServer((incoming, response) => {
      const begun = performance.now();
      // An answer without an end, as of events, is none that anybody waits for.
      response.on("finish", () => void (this.#answering += performance.now() - begun));
      this.#take(incoming, response).catch(() => response.destroy());
    });
  }

  /** On a network that Docker has already. Starts the host's agent anew. */
  static async start(host: Host, network: string): Promise<Crowd> {
    const id = await host.docker("network", "inspect", "-f", "{{.Id}}", network);
    const pool = async (V6: boolean): Promise<string> => {
      const ask = { AddressSpace: "manx-local", Pool: "", SubPool: "", Options: {}, V6 };
      return String((await call(host, "IpamDriver.RequestPool", ask))["PoolID"]);
    };
    const crowd = new Crowd(host, id, { v4: await pool(false), v6: await pool(true) });
    crowd.#server.listen(host.path(CROWDED));
    await once(crowd.#server, "listening");
    await host.mustExec(["ip", "netns", "add", NAMESPACE]);
    await host.stopAgent();
    await crowd.startAgent();
    return crowd;
  }

  startAgent(): Promise<void> {
    return this.#host.startAgent({ env: { MANX_DOCKER_SOCKET: CROWDED } });
  }

  async grow(count: number): Promise<void> {
    const workers = Array.from({ length: AT_ONCE }, async (_, worker) => {
      for (let i = worker; i < count; i += AT_ONCE) await this.add();
    });
    await Promise.all(workers);
    await this.#moveAway();
  }

  /** All that Docker says when a container starts. @returns milliseconds until each call was answered */
  async add(): Promise<Started> {
    const [container, endpoint] = [makeId(this.#next++), makeId(this.#next++)];
    const calls = new Map<string, number>();
    const before = this.#answering;
    const timed = async (name: string, message: Json, key = name): Promise<Json> => {
      const begun = performance.now();
      const answer = await call(this.#host, name, message);
      calls.set(key, performance.now() - begun);
      return answer;
    };
    const ask = (PoolID: string): Json => ({ PoolID, Address: "", Options: {} });
    const ipv4 = String((await timed("IpamDriver.RequestAddress", ask(this.#pools.v4), "RequestAddress 4"))["Address"]);
    const ipv6 = String((await timed("IpamDriver.RequestAddress", ask(this.#pools.v6), "RequestAddress 6"))["Address"]);
    const both = { NetworkID: this.#network, EndpointID: endpoint };
    const Interface = { Address: ipv4, AddressIPv6: ipv6, MacAddress: "" };
    await timed("NetworkDriver.CreateEndpoint", { ...both, Options: {}, Interface });
    const member = { container, endpoint, name: `crowd-${container.slice(0, 8)}`, ipv4, ipv6 };
    this.#members.set(container, member);
    this.#joining.add(container);
    const SandboxKey = `/var/run/docker/netns/${container.slice(0, 12)}`;
    await timed("NetworkDriver.Join", { ...both, SandboxKey, Options: {} });
    this.#joining.delete(container);
    await timed("NetworkDriver.ProgramExternalConnectivity", { ...both, Options: {} });
    for (const time of ["1", "2"]) await timed("NetworkDriver.EndpointOperInfo", both, `EndpointOperInfo ${time}`);
    return { ...member, calls, engine: this.#answering - before };
  }

  /** All that Docker says when it stops. */
  async remove({ container, endpoint, ipv4, ipv6 }: Member): Promise<void> {
    const both = { NetworkID: this.#network, EndpointID: endpoint };
    this.#members.delete(container);
    for (const name of ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint"])
      await call(this.#host, `NetworkDriver.${name}`, both);
    await call(this.#host, "IpamDriver.ReleaseAddress", { PoolID: this.#pools.v4, Address: ipv4.split("/")[0] });
    await call(this.#host, "IpamDriver.ReleaseAddress", { PoolID: this.#pools.v6, Address: ipv6.split("/")[0] });
  }

  /** As Docker moves the container's end of a link into the container. */
  async #moveAway(): Promise<void> {
    const listed = JSON.parse(await this.#host.mustExec(["ip", "-j", "link"])) as { ifname: string }[];
    const peers = listed.map(({ ifname }) => ifname).filter((name) => name.startsWith("mxp"));
    const batch = (lines: readonly string[], ...args: readonly string[]): Promise<string> =>
      this.#host.mustExec(["ip", ...args, "-batch", "-"], { input: `${lines.join("\n")}\n`, timeoutMs: 600_000 });
    await batch(peers.map((name) => `link set dev ${name} netns ${NAMESPACE}`));
    await batch(
      peers.map((name) => `link set dev ${name} up`),
      "-n",
      NAMESPACE,
    );
  }

  async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? "/";
    const { pathname, searchParams } = new URL(path, "http://docker");
    const asked = this.#members.get(/^\/containers\/([0-9a-f]+)\/json$/.exec(pathname)?.[1] ?? "");
    if (asked !== undefined) {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(details(asked, this.#network)));
      return;
    }
    const upstream = request({ socketPath: this.#host.path(ENGINE), path, method: incoming.method ?? "GET" });
    incoming.pipe(upstream);
    const [answer] = (await once(upstream, "response")) as [IncomingMessage];
    const add = this.#addition(pathname, searchParams);
    if (add === undefined || answer.statusCode !== 200) {
      response.writeHead(answer.statusCode ?? 500, { "content-type": "application/json" });
      response.flushHeaders();
      response.on("close", () => upstream.destroy());
      answer.pipe(response);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(add(JSON.parse(Buffer.concat(chunks).toString()))));
  }

  /** What the crowd changes in an answer of the engine; undefined: nothing. */
  #addition(path: string, query: URLSearchParams): ((answer: unknown) => unknown) | undefined {
    if (path === `/networks/${this.#network}`)
      return (answer) => {
        const { Containers, ...network } = answer as { Containers: Json };
        return { ...network, Containers: { ...Containers, ...Object.fromEntries(this.#endpoints()) } };
      };
    if (path !== "/containers/json") return undefined;
    const filters = JSON.parse(query.get("filters") ?? "{}") as { name?: readonly string[]; id?: readonly string[] };
    const wanted = [...this.#members.values()].filter(
      ({ name, container }) =>
        filters.name?.some((pattern) => new RegExp(pattern).test(`/${name}`)) !== false &&
        filters.id?.some((start) => container.startsWith(start)) !== false,
    );
    return (answer) => [...(answer as unknown[]), ...wanted.map(listing)];
  }

  *#endpoints(): Generator<[string, Json]> {
    for (const { container, endpoint, name, ipv4, ipv6 } of this.#members.values()) {
      const key = this.#joining.has(container) ? `ep-${endpoint}` : container;
      yield [key, { Name: name, EndpointID: endpoint, MacAddress: "", IPv4Address: ipv4, IPv6Address: ipv6 }];
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function details({ container, name, endpoint }: Member, network: string): Json {
  return {
    Id: container,
    Name: `/${name}`,
    State: { Status: "running" },
    Config: { Image: "busybox", Labels: {} },
    NetworkSettings: { Networks: { apps: { NetworkID: network, EndpointID: endpoint, Aliases: [] } } },
  };
}

function listing({ container, name }: Member): Json {
  return {
    Id: container,
    Names: [`/${name}`],
    Image: "busybox",
    Labels: { app: name },
    State: "running",
    Created: 1,
    NetworkSettings: { Networks: {} },
  };
}

async function call(host: Host, name: string, message: Json): Promise<Json> {
  const { status, body } = await post(host.path(PLUGIN), name, JSON.stringify(message));
  if (status !== 200 || typeof body["Err"] === "string") throw new Error(`${name}: ${JSON.stringify(body)}`);
  return body;
}

/** Differs in its first digits, as random ones do: interfaces are named after those. */
function makeId(number: number): string {
  return (0xc000000 + number).toString(16).padEnd(64, "0");
}
