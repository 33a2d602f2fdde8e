/**
 * Brings together what Docker knows and what we know. Docker forgets errors of Leave, DeleteEndpoint and ReleaseAddress, does not
 * repeat what it said while we were away, and tells of a network only once.
 *
 * Nothing is concluded from an engine that does not answer, from one look alone, or about what a call is just being answered
 * for: whatever is out of step must be so at two looks, `SPACING` apart.
 */
import type { ReconcileReport } from "../../agent/addresses.ts";
import type { EndpointRecord } from "../../agent/records.ts";
import type { Inspect } from "../../drivers/docker/inspect.ts";
import type { EngineEndpoint, EngineNetwork } from "../../drivers/docker/values.ts";
import { DriverError } from "../../drivers/error.ts";
import { adoptEndpoint, adoptNetwork } from "./adopt.ts";
import type { PluginContext } from "./context.ts";
import { refreshIdentities } from "./follow.ts";
import { NO_IPV4 } from "./names.ts";
import { deleteNetwork, dropEndpoint } from "./networks.ts";

export interface EngineReport {
  /** Docker had forgotten them: their addresses are free again. Container or endpoint names. */
  readonly removed: readonly string[];
  /** We had forgotten them: taken over as Docker has them. */
  readonly adopted: readonly string[];
  /** Endpoints whose container had another name, or none. */
  readonly corrected: readonly string[];
  readonly addresses: ReconcileReport;
  /** What could not be put right, one sentence each. */
  readonly problems: readonly string[];
  /** Something is out of step still, or too young to tell: another look is to come. */
  readonly open: boolean;
  /** Docker and we have the same networks and endpoints. */
  readonly agrees: boolean;
}

/** Milliseconds between two looks that agree. */
const SPACING = 5000;
/** Milliseconds: an endpoint or network that young may be on its way between two of Docker's calls. */
const GRACE = 60_000;

interface View {
  /** All networks of ours that Docker has. */
  readonly networks: ReadonlyMap<string, EngineNetwork>;
  /** Their endpoints by ID. */
  readonly endpoints: ReadonlyMap<string, { readonly network: EngineNetwork; readonly endpoint: EngineEndpoint }>;
}

interface Findings {
  readonly removed: string[];
  readonly adopted: string[];
  readonly corrected: string[];
  readonly problems: string[];
}

export class EngineReconcile {
  readonly #context: PluginContext;
  readonly #inspect: Inspect;
  readonly #driver: string;
  /** What was out of step at earlier looks, since when (ms). */
  #doubts = new Map<string, number>();

  constructor(context: PluginContext, inspect: Inspect, driver = "manx") {
    this.#context = context;
    this.#inspect = inspect;
    this.#driver = driver;
  }

  /** Never from inside an answer to Docker. @throws DriverError where the engine does not answer: nothing was changed then */
  async run(signal: AbortSignal): Promise<EngineReport> {
    const { state, addresses } = this.#context;
    const mark = addresses.mark();
    const known = { networks: new Set(state.networks.keys()), endpoints: new Map(state.endpoints) };
    const view = await this.#look(signal);
    const doubts = new Map<string, number>();
    const findings: Findings = { removed: [], adopted: [], corrected: [], problems: [] };
    this.#dropNetworks(view, known.networks, doubts, findings);
    this.#dropEndpoints(view, known.endpoints, doubts, findings);
    await this.#adoptNetworks(view, known.networks, doubts, findings, signal);
    await this.#adoptEndpoints(view, known.endpoints, doubts, findings, signal);
    this.#doubts = doubts;
    for (const network of view.networks.values())
      findings.corrected.push(...(await refreshIdentities(this.#context, network, signal)));
    const report = await addresses.reconcile(liveAddresses(view), mark, signal);
    const agrees = this.#agrees(view);
    return { ...findings, addresses: report, open: report.open || !agrees, agrees };
  }

  async #look(signal: AbortSignal): Promise<View> {
    const { engine } = this.#context;
    const networks = new Map<string, EngineNetwork>();
    const endpoints = new Map<string, { network: EngineNetwork; endpoint: EngineEndpoint }>();
    for (const { id } of await engine.networks(this.#driver, signal)) {
      const network = await engine.network(id, signal).catch((error: unknown) => {
        if (error instanceof DriverError && error.code === "not-found") return undefined; // removed since the list
        throw error;
      });
      if (network === undefined) continue;
      networks.set(id, network);
      for (const endpoint of network.endpoints) endpoints.set(endpoint.endpointId, { network, endpoint });
    }
    return { networks, endpoints };
  }

  /** True at the second of two looks that agree. */
  #sure(key: string, doubts: Map<string, number>): boolean {
    const now = this.#context.now().getTime();
    const since = this.#doubts.get(key) ?? now;
    doubts.set(key, since);
    return now - since >= SPACING;
  }

  #isYoung(createdAt: string): boolean {
    const age = this.#context.now().getTime() - Date.parse(createdAt);
    return age >= 0 && age < GRACE; // a clock that was set back must not make it young for ever
  }

  /** Both have the same networks and endpoints. */
  #agrees({ networks, endpoints }: View): boolean {
    const { state } = this.#context;
    const same = (ours: ReadonlyMap<string, unknown>, theirs: ReadonlyMap<string, unknown>): boolean =>
      ours.size === theirs.size && ours.keys().every((id) => theirs.has(id));
    return same(state.networks, networks) && same(state.endpoints, endpoints);
  }

  #dropNetworks(view: View, known: ReadonlySet<string>, doubts: Map<string, number>, findings: Findings): void {
    const { state, inFlight } = this.#context;
    for (const network of state.networks.values()) {
      const { id } = network;
      if (view.networks.has(id) || !known.has(id) || inFlight.has(id) || this.#isYoung(network.createdAt)) continue;
      if (!this.#sure(`no network ${id}`, doubts)) continue;
      deleteNetwork(this.#context, id);
      findings.removed.push(network.name ?? id);
    }
  }

  #dropEndpoints(
    view: View,
    known: ReadonlyMap<string, EndpointRecord>,
    doubts: Map<string, number>,
    findings: Findings,
  ): void {
    const { state, inFlight } = this.#context;
    for (const endpoint of state.endpoints.values()) {
      const { id } = endpoint;
      const network = state.networks.get(endpoint.networkId);
      // Unchanged since before the look, and its network was looked at: only then does its absence mean something.
      if (known.get(id) !== endpoint || network === undefined || !view.networks.has(network.id)) continue;
      if (view.endpoints.has(id) || inFlight.has(id) || this.#isYoung(endpoint.createdAt)) continue;
      if (!this.#sure(`no endpoint ${id}`, doubts)) continue;
      state.change(() => dropEndpoint(this.#context, network, endpoint));
      findings.removed.push(endpoint.container?.name ?? id);
    }
  }

  async #adoptNetworks(
    view: View,
    known: ReadonlySet<string>,
    doubts: Map<string, number>,
    findings: Findings,
    signal: AbortSignal,
  ): Promise<void> {
    const { state, inFlight } = this.#context;
    for (const network of view.networks.values()) {
      const { id } = network;
      if (known.has(id) || state.networks.has(id) || inFlight.has(id)) continue;
      if (!this.#sure(`unknown network ${id}`, doubts)) continue;
      await this.#attempt(`adopt the network "${network.name}"`, findings, async () => {
        await adoptNetwork(this.#context, network, signal);
        findings.adopted.push(network.name);
      });
    }
  }

  async #adoptEndpoints(
    view: View,
    known: ReadonlyMap<string, EndpointRecord>,
    doubts: Map<string, number>,
    findings: Findings,
    signal: AbortSignal,
  ): Promise<void> {
    const { state, inFlight } = this.#context;
    for (const [id, { network, endpoint }] of view.endpoints) {
      const joining = endpoint.container.startsWith("ep-");
      if (joining || known.has(id) || state.endpoints.has(id) || inFlight.has(id)) continue;
      if (!this.#sure(`unknown endpoint ${id}`, doubts) || !state.networks.has(network.id)) continue;
      await this.#attempt(`adopt the container "${endpoint.name}" on "${network.name}"`, findings, async () => {
        await adoptEndpoint(this.#context, this.#inspect, network, endpoint, signal);
        findings.adopted.push(endpoint.name);
      });
    }
  }

  async #attempt(what: string, findings: Findings, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      findings.problems.push(`Cannot ${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function liveAddresses(view: View): Map<string, { networkId: string; endpointId: string }> {
  const live = new Map<string, { networkId: string; endpointId: string }>();
  for (const { network, endpoint } of view.endpoints.values()) {
    for (const text of [endpoint.ipv4, endpoint.ipv6]) {
      if (text === "" || text === NO_IPV4.address) continue;
      live.set(text.split("/")[0] ?? "", { networkId: network.id, endpointId: endpoint.endpointId });
    }
  }
  return live;
}
