/** The agent's API from the browser: same origin, the cookie goes along. */
import type {
  BgpDifference,
  BgpRoutes,
  BgpView,
  ChangeReport,
  ChangeRequest,
  DoctorView,
  EndpointCounters,
  EndpointPolicies,
  EndpointView,
  FlowList,
  IpamView,
  NetworkView,
  NodeView,
  PoolView,
  ResourceFrame,
  StatusView,
  ValidateReport,
  WhyView,
} from "../../api/client.ts";

interface Problem {
  readonly path: string;
  readonly message: string;
}

/** What the agent says no with. */
export class Refusal extends Error {
  readonly status: number;
  readonly remedy: string | undefined;
  readonly problems: readonly Problem[];

  constructor(status: number, message: string, remedy?: string, problems: readonly Problem[] = []) {
    super(message);
    this.status = status;
    this.remedy = remedy;
    this.problems = problems;
  }
}

/** Called when the agent no longer knows us. */
let onLoggedOut = (): void => {};
export function whenLoggedOut(work: () => void): void {
  onLoggedOut = work;
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { "content-type": "application/json" };
  }
  const response = await fetch(path, init).catch(() => undefined);
  if (response === undefined) throw new Refusal(0, "Cannot reach the agent", "Does it run? systemctl status manx");
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer as T;
  if (response.status === 401) onLoggedOut();
  const said = (answer ?? {}) as { message?: string; remedy?: string; problems?: Problem[] };
  throw new Refusal(
    response.status,
    said.message ?? `The agent answers ${response.status}`,
    said.remedy,
    said.problems,
  );
}

const get = <T>(path: string): Promise<T> => ask("GET", path);
const post = <T>(path: string, body?: unknown): Promise<T> => ask("POST", path, body);
const part = encodeURIComponent;

export const api = {
  status: () => get<StatusView>("/v1/status"),
  endpoints: () => get<EndpointView[]>("/v1/endpoints"),
  networks: () => get<NetworkView[]>("/v1/networks"),
  nodes: () => get<NodeView[]>("/v1/nodes"),
  flows: (query: Record<string, string>) => get<FlowList>(`/v1/flows?${new URLSearchParams(query).toString()}`),
  policies: (id: string) => get<EndpointPolicies>(`/v1/endpoints/${part(id)}/policies`),
  counters: (id: string) => get<EndpointCounters>(`/v1/endpoints/${part(id)}/counters`),
  pools: () => get<PoolView[]>("/v1/pools"),
  ipam: () => get<IpamView>("/v1/ipam"),
  bgp: () => get<BgpView>("/v1/bgp"),
  bgpRoutes: () => get<BgpRoutes>("/v1/bgp/routes"),
  bgpDiff: () => get<BgpDifference[]>("/v1/bgp/diff"),
  doctor: () => get<DoctorView>("/v1/doctor"),
  resources: (kind: string) => get<{ items: ResourceFrame[] }>(`/v1/resources/${part(kind)}`),
  resourceText: (kind: string, name: string, namespace: string) =>
    get<{ text: string }>(
      `/v1/resources/${part(kind)}/${part(name)}/yaml${namespace === "" ? "" : `?namespace=${part(namespace)}`}`,
    ),
  validate: (text: string) => post<ValidateReport>("/v1/validate", { text }),
  change: (request: ChangeRequest) => post<ChangeReport>("/v1/change", request),
  why: (from: string, to: string, protocol: string, port: number | undefined) =>
    post<WhyView>("/v1/why", { from, to, protocol, ...(port !== undefined && { port }) }),
};
