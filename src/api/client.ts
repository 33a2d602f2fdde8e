/**
 * Typed client of the agent's API over its unix socket.
 *
 * A request that the agent refuses throws `ApiError`, with the agent's code and text. An agent that cannot be asked throws
 * `UnreachableError`, whose message says why and whose remedy says what to type. Requests are not repeated.
 */
import { existsSync } from "node:fs";
import type { AnyResource } from "../core/model/resources.ts";
import { ApiError } from "./error.ts";
import type {
  BgpDifference,
  BgpOtherSide,
  BgpReset,
  BgpResetReport,
  BgpRouteQuery,
  BgpRoutes,
  BgpView,
} from "./schema/bgp.ts";
import type { DoctorView, FixReport } from "./schema/doctor.ts";
import type { EndpointView } from "./schema/endpoint.ts";
import type { EndpointCounters, EndpointPolicies } from "./schema/endpoint-policies.ts";
import type { ErrorBody } from "./schema/error.ts";
import type { FlowList, FlowQuery, FlowView } from "./schema/flow.ts";
import type { IpamExplanation, IpamProblemView, IpamRelease, IpamView } from "./schema/ipam.ts";
import type { LanRequest, LanView } from "./schema/lan.ts";
import type { LiveEvent, LiveQuery } from "./schema/live.ts";
import type { Readiness } from "./schema/metrics.ts";
import type { NetworkDetail, NetworkView } from "./schema/network.ts";
import type { NodeRemoval, NodeView } from "./schema/node.ts";
import type { PoolRequest, PoolView } from "./schema/pool.ts";
import type { ChangeReport, ChangeRequest, ConfirmReport } from "./schema/resource.ts";
import type { DrainReport, DrainRequest, ServiceList, ServiceView } from "./schema/service.ts";
import type { StatusView, VersionView } from "./schema/status.ts";
import type { NewToken, TokenRequest, TokenView } from "./schema/token.ts";
import type { TrafficView } from "./schema/traffic.ts";
import type { UiView } from "./schema/ui.ts";
import type { ValidateReport } from "./schema/validate.ts";
import type { AgentEvent } from "./schema/watch.ts";
import type { WhyQuery, WhyView } from "./schema/why.ts";
import { SOCKET_PATH } from "./socket.ts";
import { startCommand } from "./start.ts";
import { type HttpResponse, request } from "./transport.ts";

export { ApiError } from "./error.ts";
export type * from "./schema/bgp.ts";
export type * from "./schema/doctor.ts";
export type * from "./schema/endpoint.ts";
export type * from "./schema/endpoint-policies.ts";
export type * from "./schema/flow.ts";
export type * from "./schema/ipam.ts";
export type * from "./schema/lan.ts";
export type * from "./schema/live.ts";
export type * from "./schema/metrics.ts";
export type * from "./schema/network.ts";
export type * from "./schema/node.ts";
export type * from "./schema/pool.ts";
export type * from "./schema/resource.ts";
export type * from "./schema/service.ts";
export type * from "./schema/status.ts";
export type * from "./schema/token.ts";
export type * from "./schema/traffic.ts";
export type * from "./schema/ui.ts";
export type * from "./schema/validate.ts";
export type * from "./schema/watch.ts";
export type * from "./schema/why.ts";

export interface ClientOptions {
  readonly socket?: string | undefined;
  /** Milliseconds until an answer must have begun; 30,000 by default. Does not hold for `watch`. */
  readonly timeout?: number | undefined;
}

/** The agent could not be asked. `reason` tells a missing agent from a missing permission. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";
  readonly reason: "not-running" | "denied" | "timeout" | "broken";
  readonly remedy: string;

  constructor(reason: UnreachableError["reason"], message: string, remedy: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.remedy = remedy;
  }
}

export interface AgentClient {
  version(): Promise<VersionView>;
  status(): Promise<StatusView>;
  endpoints(filter?: {
    readonly network?: string;
    readonly container?: string;
    readonly host?: string;
  }): Promise<EndpointView[]>;
  /** What decides about an endpoint, in order; the ID is that of `endpoints()`. */
  endpointPolicies(id: string): Promise<EndpointPolicies>;
  endpointCounters(id: string): Promise<EndpointCounters>;
  networks(): Promise<NetworkView[]>;
  network(name: string): Promise<NetworkDetail>;
  pools(): Promise<PoolView[]>;
  addPool(pool: PoolRequest): Promise<PoolView>;
  /** By name or CIDR. */
  removePool(name: string): Promise<PoolView>;
  nodes(): Promise<NodeView[]>;
  node(name: string): Promise<NodeView>;
  removeNode(name: string, force: boolean): Promise<NodeRemoval>;
  ipam(): Promise<IpamView>;
  ipamCheck(): Promise<IpamProblemView[]>;
  ipamExplain(address: string): Promise<IpamExplanation>;
  /** An address, or the CIDR of a block. */
  ipamRelease(subject: string): Promise<IpamRelease>;
  doctor(): Promise<DoctorView>;
  doctorFix(): Promise<FixReport>;
  resources(kind: AnyResource["kind"], namespace?: string): Promise<{ revision: number; items: AnyResource[] }>;
  resource(kind: AnyResource["kind"], name: string, namespace?: string): Promise<AnyResource>;
  change(request: ChangeRequest): Promise<ChangeReport>;
  confirm(): Promise<ConfirmReport>;
  why(query: WhyQuery): Promise<WhyView>;
  /** The next real packet of a flow; the last event is the result. */
  live(query: LiveQuery, signal: AbortSignal): AsyncIterable<LiveEvent>;
  bgp(options?: { readonly probe?: boolean }): Promise<BgpView>;
  bgpRoutes(query: BgpRouteQuery): Promise<BgpRoutes>;
  bgpDiff(): Promise<BgpDifference[]>;
  bgpReset(request: BgpReset): Promise<BgpResetReport>;
  bgpOtherSide(peer: string): Promise<BgpOtherSide>;
  services(): Promise<readonly ServiceView[]>;
  /** Takes a container of this host out of its services, or back. */
  drain(request: DrainRequest): Promise<DrainReport>;
  lan(): Promise<LanView>;
  enableLan(request: LanRequest): Promise<LanView>;
  /** What there was. */
  disableLan(): Promise<LanView>;
  createToken(request: TokenRequest): Promise<NewToken>;
  tokens(): Promise<TokenView[]>;
  removeToken(id: string): Promise<{ readonly id: string }>;
  /** Counters of the host's endpoints; ask twice for rates. */
  traffic(): Promise<TrafficView>;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  /** Also where the answer is no. */
  readiness(): Promise<Readiness>;
  /** The resources of a text, and every problem with its line and column. */
  validate(text: string): Promise<ValidateReport>;
  /** Where the dashboard is, with what lets in. */
  ui(options?: { readonly renew?: boolean }): Promise<UiView>;
  /** What was seen of packets, seen last first. */
  flows(query?: FlowQuery): Promise<FlowList>;
  /** Flows as they are seen, until the signal aborts. */
  followFlows(query: FlowQuery, signal: AbortSignal): AsyncIterable<readonly FlowView[]>;
  /** Changes as they happen, until the signal aborts. */
  watch(topics: readonly AgentEvent["topic"][], signal: AbortSignal): AsyncIterable<AgentEvent>;
}

export function createClient(options: ClientOptions = {}): AgentClient {
  const wire = new Wire(options);
  const get = <T>(path: string, query: Query = {}): Promise<T> => wire.request("GET", path + search(query));
  const post = <T>(path: string, body?: unknown): Promise<T> => wire.request("POST", path, body);
  const part = encodeURIComponent;
  return {
    version: () => get("/v1/version"),
    status: () => get("/v1/status"),
    endpoints: (filter = {}) => get("/v1/endpoints", filter),
    endpointPolicies: (id) => get(`/v1/endpoints/${part(id)}/policies`),
    endpointCounters: (id) => get(`/v1/endpoints/${part(id)}/counters`),
    networks: () => get("/v1/networks"),
    network: (name) => get(`/v1/networks/${part(name)}`),
    pools: () => get("/v1/pools"),
    addPool: (pool) => post("/v1/pools", pool),
    removePool: (name) => wire.request("DELETE", `/v1/pools/${part(name)}`),
    nodes: () => get("/v1/nodes"),
    node: (name) => get(`/v1/nodes/${part(name)}`),
    removeNode: (name, force) => wire.request("DELETE", `/v1/nodes/${part(name)}${force ? "?force=true" : ""}`),
    ipam: () => get("/v1/ipam"),
    ipamCheck: () => get("/v1/ipam/check"),
    ipamExplain: (address) => get("/v1/ipam/explain", { address }),
    ipamRelease: (subject) => post(`/v1/ipam/release${search({ subject })}`),
    doctor: () => get("/v1/doctor"),
    doctorFix: () => post("/v1/doctor/fix"),
    resources: (kind, namespace) => get(`/v1/resources/${kind}`, { namespace }),
    resource: (kind, name, namespace) => get(`/v1/resources/${kind}/${part(name)}`, { namespace }),
    change: (request) => post("/v1/change", request),
    confirm: () => post("/v1/confirm"),
    why: (query) => post("/v1/why", query),
    live: (query, signal) => wire.events("/v1/why/live", signal, query),
    bgp: ({ probe } = {}) => get("/v1/bgp", { probe: probe === true ? "true" : undefined }),
    bgpRoutes: (query) => get("/v1/bgp/routes", query),
    bgpDiff: () => get("/v1/bgp/diff"),
    bgpReset: (request) => post("/v1/bgp/reset", request),
    services: async () => (await get<ServiceList>("/v1/services")).services,
    drain: (request) => post("/v1/services/drain", request),
    lan: () => get("/v1/lan"),
    enableLan: (request) => post("/v1/lan", request),
    disableLan: () => wire.request("DELETE", "/v1/lan"),
    bgpOtherSide: (peer) => get(`/v1/bgp/other-side/${part(peer)}`),
    createToken: (request) => post("/v1/tokens", request),
    tokens: () => get("/v1/tokens"),
    removeToken: (id) => wire.request("DELETE", `/v1/tokens/${part(id)}`),
    traffic: () => get("/v1/traffic"),
    metrics: () => wire.text("/metrics"),
    readiness: () => wire.request("GET", "/readyz", undefined, [200, 503]),
    validate: (text) => post("/v1/validate", { text }),
    ui: ({ renew = false } = {}) => (renew ? post("/v1/ui/renew") : get("/v1/ui")),
    flows: (query = {}) => get("/v1/flows", texts(query)),
    followFlows: (query, signal) => wire.events(`/v1/flows/follow${search(texts(query))}`, signal),
    watch: (topics, signal) => wire.events(`/v1/watch${search({ topics: topics.join(",") })}`, signal),
  };
}

function texts(query: FlowQuery): Query {
  return Object.fromEntries(
    Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
  );
}

type Query = Readonly<Record<string, string | undefined>>;

function search(query: Query): string {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
}

/** One request, one connection. */
class Wire {
  readonly #socket: string;
  readonly #timeout: number;

  constructor(options: ClientOptions) {
    this.#socket = options.socket ?? SOCKET_PATH;
    this.#timeout = options.timeout ?? 30_000;
  }

  async text(path: string): Promise<string> {
    const { status, text } = await this.#exchange("GET", path, undefined);
    if (status !== 200) throw this.#refusal(this.#parse(text), status);
    return text;
  }

  /** `good`: statuses whose content is the answer. */
  async request<T>(method: string, path: string, body?: unknown, good: readonly number[] = [200]): Promise<T> {
    const { status, text } = await this.#exchange(method, path, body);
    const parsed = this.#parse(text);
    if (!good.includes(status)) throw this.#refusal(parsed, status);
    return parsed as T;
  }

  async *events<T>(path: string, signal: AbortSignal, query?: unknown): AsyncIterable<T> {
    const asked = query === undefined ? { method: "GET" } : { method: "POST", body: JSON.stringify(query) };
    try {
      const response = await request({ socketPath: this.#socket, ...asked, path, signal });
      if (response.status !== 200) throw this.#refusal(this.#parse(await readAll(response)), response.status);
      yield* readEvents<T>(response);
    } catch (error) {
      if (signal.aborted) return;
      throw this.#explain(error);
    }
  }

  async #exchange(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const timeout = this.#timeout;
    try {
      const response = await request({ socketPath: this.#socket, method, path, body: text, timeout });
      return { status: response.status, text: await readAll(response) };
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw this.#broken("its answer is not JSON", error);
    }
  }

  #refusal(body: unknown, status: number): Error {
    if (!isErrorBody(body)) return this.#broken(`it answers with status ${status}`);
    return new ApiError(body.code, body.message, { problems: body.problems, remedy: body.remedy });
  }

  #explain(error: unknown): Error {
    if (error instanceof UnreachableError || error instanceof ApiError) return error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    const begin = `Cannot reach the agent at ${this.#socket}`;
    if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTDIR") {
      const why = code === "ECONNREFUSED" ? "nobody listens there" : "there is no such socket";
      return new UnreachableError("not-running", `${begin}: ${why}. The agent does not run.`, startRemedy(), error);
    }
    if (code === "EACCES" || code === "EPERM")
      return new UnreachableError("denied", `${begin}: permission denied.`, "Run it as root: sudo manx ...", error);
    if (code === "ETIMEDOUT") {
      const message = `${begin}: no answer within ${Math.round(this.#timeout / 1000)} s.`;
      return new UnreachableError("timeout", message, `See what it does: ${logPlace()}`, error);
    }
    return this.#broken(error instanceof Error ? error.message : String(error), error);
  }

  #broken(why: string, cause?: unknown): UnreachableError {
    const message = `Cannot talk to the agent at ${this.#socket}: ${why}.`;
    return new UnreachableError("broken", message, `See what it does: ${logPlace()}`, cause);
  }
}

const hasSystemd = (): boolean => existsSync("/run/systemd/system");

function startRemedy(): string {
  return `Start it: ${startCommand(hasSystemd())}. Why it ended: manx doctor, ${logPlace()}`;
}

function logPlace(): string {
  return hasSystemd() ? "journalctl -u manx" : "/var/log/manx/agent.log";
}

function isErrorBody(body: unknown): body is ErrorBody {
  return typeof body === "object" && body !== null && "code" in body && "message" in body;
}

async function readAll({ body }: HttpResponse): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Server-sent events (WHATWG HTML, 9.2): `data:` lines up to an empty line; `:` begins a comment. */
async function* readEvents<T>({ body }: HttpResponse): AsyncIterable<T> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart());
      if (data.length > 0) yield JSON.parse(data.join("\n")) as T;
    }
  }
}
