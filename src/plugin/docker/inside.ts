/**
 * What Docker does not set inside a container: addresses of `addresses=`, and the way out of a network without IPv4. It can be done
 * from the moment on that the sandbox has the interface, which is between Docker's last call and the start of the process
 * (engines before 28; nobody tells when), so it is tried until then.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { EndpointRecord } from "../../agent/records.ts";
import type { PluginContext } from "./context.ts";
import { extraAddresses } from "./endpoint-options.ts";
import { gateways } from "./names.ts";

export interface InsideWork {
  readonly addresses: readonly string[];
  /**
   * Next hop of an IPv6 default route that yields to any other: engines before 28 set an IPv6 gateway only together with an IPv4
   * one. The metric is larger than that of any engine's, and differs between the interfaces of a container.
   */
  readonly defaultRoute?: { readonly gateway: string; readonly metric: number };
  /** The container has several interfaces: what it sends from these addresses leaves by this one, by a routing table of its own. */
  readonly sourceRoutes?: {
    readonly table: number;
    readonly routes: readonly { readonly source: string; readonly gateway: string }[];
  };
}

/** Does the work in the container's network namespace; may be repeated. Throws as long as it cannot be done. */
export type ApplyInside = (endpoint: EndpointRecord, work: InsideWork) => Promise<void>;

const SOON = 15;
const LATER = 250;
/** Milliseconds after which the attempts become fewer, and end. */
const HURRY = 3000;
const LIMIT = 60_000;
const YIELDING_METRIC = 4096;
/** Number of the routing table of a container's first interface. */
const FIRST_TABLE = 2_802_400;

/** undefined if Docker sets all that there is. */
export function insideWork({ state }: Pick<PluginContext, "state">, endpoint: EndpointRecord): InsideWork | undefined {
  const addresses = extraAddresses(endpoint);
  const index = endpoint.gatewayIndex;
  const alone = state.networks.get(endpoint.networkId)?.dummyIpv4 === true && index !== undefined;
  const several = index !== undefined && sandboxEndpoints(state, endpoint).length > 1;
  if (!endpoint.joined || (addresses.length === 0 && !alone && !several)) return undefined;
  return {
    addresses,
    ...(several ? { sourceRoutes: sourceRoutes(endpoint, index) } : {}),
    ...(alone ? { defaultRoute: { gateway: gateways(index).ipv6, metric: YIELDING_METRIC + index } } : {}),
  };
}

/** The routing table of the endpoint's own in its container; undefined: it is the only one there, and needs none. */
export function sourceTable(state: PluginContext["state"], endpoint: EndpointRecord): number | undefined {
  const several = sandboxEndpoints(state, endpoint).length > 1;
  return several && endpoint.gatewayIndex !== undefined ? FIRST_TABLE + endpoint.gatewayIndex : undefined;
}

function sourceRoutes({ addresses }: EndpointRecord, index: number): NonNullable<InsideWork["sourceRoutes"]> {
  const { ipv4, ipv6 } = gateways(index);
  const routes = addresses.map((source) => ({ source, gateway: source.includes(":") ? ipv6 : ipv4 }));
  return { table: FIRST_TABLE + index, routes };
}

/** The endpoints of the same container, with this one. */
function sandboxEndpoints(state: PluginContext["state"], { sandbox }: EndpointRecord): EndpointRecord[] {
  return [...state.endpoints.values()].filter((other) => other.joined && other.sandbox === sandbox);
}

export class Inside implements AsyncDisposable {
  readonly #context: Pick<PluginContext, "state" | "log">;
  readonly #apply: ApplyInside;
  readonly #stop = new AbortController();
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(context: Pick<PluginContext, "state" | "log">, apply: ApplyInside) {
    this.#context = context;
    this.#apply = apply;
  }

  /** The endpoint was joined, or its container has started: see to the container's inside, if there is anything to do. */
  readonly wake = (endpointId: string): void => {
    const { state } = this.#context;
    const endpoint = state.endpoints.get(endpointId);
    if (endpoint === undefined) return;
    // A second interface gives the first one something to do as well.
    for (const { id } of sandboxEndpoints(state, endpoint)) this.#begin(id);
  };

  #begin(endpointId: string): void {
    const endpoint = this.#context.state.endpoints.get(endpointId);
    if (endpoint === undefined || insideWork(this.#context, endpoint) === undefined) return;
    if (this.#underWay.has(endpointId) || this.#stop.signal.aborted) return;
    const work = this.#persist(endpointId).finally(() => this.#underWay.delete(endpointId));
    this.#underWay.set(endpointId, work);
  }

  async #persist(endpointId: string): Promise<void> {
    const begun = performance.now();
    for (;;) {
      const endpoint = this.#context.state.endpoints.get(endpointId);
      const work = endpoint === undefined ? undefined : insideWork(this.#context, endpoint);
      if (endpoint === undefined || work === undefined || this.#stop.signal.aborted) return;
      const failure = await this.#apply(endpoint, work).then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (failure === undefined) return;
      const passed = performance.now() - begun;
      if (passed > LIMIT) return this.#context.log("error", failure, { endpoint: endpointId });
      await sleep(passed < HURRY ? SOON : LATER, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {});
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#underWay.values());
  }
}
