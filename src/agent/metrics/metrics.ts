/**
 * The agent's numbers for Prometheus. What happens (a step, a call of Docker's) is told as it happens; everything else is asked
 * when somebody scrapes. No label has more values than `MOST`: the rest share the value `other`.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Outcome } from "../dataplane.ts";
import { METRICS, type MetricName, type MetricSpec } from "./catalogue.ts";
import type { MetricFacts, PoolFacts, SessionFacts } from "./facts.ts";

/** Networks, pools, sessions, ... that have series of their own. */
export const MOST = 500;

/** Seconds: from a step that writes nothing to one that waits for the kernel. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Labels = Readonly<Record<string, string>>;

export class Metrics {
  readonly #registry = new Registry();
  readonly #metrics = new Map<string, Counter | Gauge | Histogram>();
  /** When the oldest change of the store came that no step has begun to carry out. */
  #changedAt: number | undefined;

  constructor() {
    this.#addDefaults();
    for (const [name, spec] of Object.entries<MetricSpec>(METRICS)) {
      const { help, type, labels } = spec;
      const common = { name, help, labelNames: [...labels], registers: [this.#registry] };
      const made =
        type === "counter"
          ? new Counter(common)
          : type === "gauge"
            ? new Gauge(common)
            : new Histogram({ ...common, buckets: BUCKETS });
      this.#metrics.set(name, made);
    }
  }

  /**
   * Those of the process; without those of the event loop's monitor, for which the process would wake up a hundred times a second, and
   * without gauges whose names say that they are counters (`promtool check metrics`).
   */
  #addDefaults(): void {
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 2 ** 31 - 1 });
    for (const { name } of this.#registry.getMetricsAsArray())
      if (/^nodejs_(eventloop_lag_\w+_seconds|active_\w+_total)$/.test(name)) this.#registry.removeSingleMetric(name);
  }

  /** Prometheus' text format, version 0.0.4. */
  async text(facts: MetricFacts): Promise<string> {
    this.#take(facts);
    return this.#registry.metrics();
  }

  /** The store has changed: the next step carries it out. */
  storeChanged(): void {
    this.#changedAt ??= performance.now();
  }

  /** One step of the loop: how long it took, and how long its news have waited. */
  async step<T>(work: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const changedAt = this.#changedAt;
    this.#changedAt = undefined;
    try {
      const result = await work();
      this.#observe("manx_step_duration_seconds", { result: "ok" }, begun);
      if (changedAt !== undefined) this.#observe("manx_store_to_kernel_seconds", {}, changedAt);
      return result;
    } catch (error) {
      this.#observe("manx_step_duration_seconds", { result: "failed" }, begun);
      this.#changedAt = changedAt ?? this.#changedAt; // it is not in the kernel yet
      throw error;
    }
  }

  wrote({ writes, failures }: Outcome): void {
    for (const [part, count] of Object.entries(writes)) {
      this.#counter("manx_kernel_writes_total").inc({ part }, count);
      this.#counter("manx_kernel_failures_total").inc({ part }, 0); // rate() sees no first one that comes from nowhere
    }
    for (const part of failures.keys()) this.#counter("manx_kernel_failures_total").inc({ part });
  }

  /** `call`: a name that the plugin knows. */
  pluginCall(call: string, milliseconds: number, failed: boolean): void {
    const result = failed ? "failed" : "ok";
    this.#histogram("manx_plugin_call_duration_seconds").observe({ call, result }, milliseconds / 1000);
  }

  #take(facts: MetricFacts): void {
    const { version, host, conditions, rules, drops, countersAge, endpoints, flows, store, resources } = facts;
    this.#set("manx_build_info", [[{ version, host }, 1]]);
    this.#set(
      "manx_condition",
      conditions.map(({ code, severity }) => [{ code, severity }, 1]),
    );
    const labelled = rules.map(({ packets, bytes, ...labels }) => ({ packets, bytes, labels }));
    this.#count(
      "manx_policy_rule_packets_total",
      labelled.map(({ labels, packets }) => [labels, packets]),
    );
    this.#count(
      "manx_policy_rule_bytes_total",
      labelled.map(({ labels, bytes }) => [labels, bytes]),
    );
    this.#count("manx_dropped_packets_total", byLabel("reason", drops));
    this.#set("manx_rule_counters_age_seconds", countersAge === undefined ? [] : [[{}, countersAge]]);
    this.#set("manx_endpoints", byLabel("network", limited(endpoints)));
    this.#count("manx_flows_seen_total", byLabel("verdict", flows.seen));
    this.#count("manx_flows_lost_total", [[{}, flows.lost]]);
    this.#count("manx_flows_forgotten_total", [[{}, flows.forgotten]]);
    this.#set("manx_flows_kept", [[{}, flows.kept]]);
    this.#set("manx_store_up", [[{}, store.up ? 1 : 0]]);
    this.#set("manx_store_revision", [[{}, store.revision]]);
    this.#set("manx_resources", byLabel("kind", resources));
    this.#takePools(facts.pools);
    this.#takeSessions(facts.sessions.slice(0, MOST));
  }

  #takePools(pools: readonly PoolFacts[]): void {
    const each = (value: (pool: PoolFacts) => number) =>
      byLabel("pool", limited(new Map(pools.map((pool) => [pool.name, value(pool)]))));
    this.#set(
      "manx_ipam_blocks",
      each(({ blocks }) => blocks),
    );
    this.#set(
      "manx_ipam_block_addresses",
      each(({ blockAddresses }) => blockAddresses),
    );
    this.#set(
      "manx_ipam_addresses_in_use",
      each(({ used }) => used),
    );
    this.#set(
      "manx_ipam_free_addresses",
      each(({ free }) => free),
    );
    this.#set(
      "manx_ipam_pool_addresses",
      each(({ size }) => size),
    );
  }

  #takeSessions(sessions: readonly SessionFacts[]): void {
    const each = (value: (one: SessionFacts) => readonly (readonly [Labels, number])[]) =>
      sessions.flatMap((one) =>
        value(one).map(([labels, number]) => [{ session: one.name, peer: one.peer, ...labels }, number] as const),
      );
    this.#set(
      "manx_bgp_session_up",
      each(({ state }) => [[{}, state === "Established" ? 1 : 0]]),
    );
    this.#set(
      "manx_bgp_session_state",
      each(({ state }) => [[{ state }, 1]]),
    );
    this.#set(
      "manx_bgp_routes",
      each(({ routes }) =>
        routes.flatMap(({ family, ...counts }) =>
          Object.entries(counts).map(
            ([direction, count]) => [{ family: family === 4 ? "ipv4" : "ipv6", direction }, count] as const,
          ),
        ),
      ),
    );
  }

  #set(name: MetricName, series: readonly (readonly [Labels, number])[]): void {
    const gauge = this.#metrics.get(name) as Gauge;
    gauge.reset();
    for (const [labels, value] of series) gauge.set({ ...labels }, value);
  }

  /** A counter whose value is counted elsewhere. */
  #count(name: MetricName, series: readonly (readonly [Labels, number])[]): void {
    const counter = this.#counter(name);
    counter.reset();
    for (const [labels, value] of series) counter.inc({ ...labels }, value);
  }

  #observe(name: MetricName, labels: Labels, since: number): void {
    this.#histogram(name).observe({ ...labels }, (performance.now() - since) / 1000);
  }

  #counter(name: MetricName): Counter {
    return this.#metrics.get(name) as Counter;
  }

  #histogram(name: MetricName): Histogram {
    return this.#metrics.get(name) as Histogram;
  }
}

function byLabel(label: string, values: ReadonlyMap<string, number>): [Labels, number][] {
  return [...values].map(([name, value]) => [{ [label]: name }, value]);
}

/** The first names in their order, the same in each scrape; what the others have is added up as `other`. */
function limited(values: ReadonlyMap<string, number>): Map<string, number> {
  if (values.size <= MOST) return new Map(values);
  const sorted = [...values].sort(([a], [b]) => (a < b ? -1 : 1));
  const rest = sorted.slice(MOST).reduce((sum, [, value]) => sum + value, 0);
  return new Map([...sorted.slice(0, MOST), ["other", rest]]);
}
