/** Every metric of Manx's own, in the order of docs/metrics.md. Prometheus' conventions: base units, `_total` for what only grows. */
export interface MetricSpec {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
}

const counter = (help: string, ...labels: string[]): MetricSpec => ({ type: "counter", help, labels });
const gauge = (help: string, ...labels: string[]): MetricSpec => ({ type: "gauge", help, labels });
const histogram = (help: string, ...labels: string[]): MetricSpec => ({ type: "histogram", help, labels });

const RULE = ["kind", "tier", "policy", "direction", "rule", "action"] as const;

export const METRICS = {
  manx_build_info: gauge("Always 1; the version is a label.", "version", "host"),
  manx_condition: gauge("1 for each trouble that manx status shows now.", "code", "severity"),
  manx_policy_rule_packets_total: counter(
    "Packets that the rule decided: first packets of connections, and those that were dropped.",
    ...RULE,
  ),
  manx_policy_rule_bytes_total: counter("Bytes of the packets that the rule decided.", ...RULE),
  manx_dropped_packets_total: counter("Packets that rules of Manx dropped.", "reason"),
  manx_rule_counters_age_seconds: gauge("Time since the rules' counters were read."),
  manx_endpoints: gauge("Endpoints on this host.", "network"),
  manx_flows_seen_total: counter("Connections and logged packets that were seen.", "verdict"),
  manx_flows_lost_total: counter(
    "Connections and logged packets that came faster than they could be taken, or were too many to keep apart.",
  ),
  manx_flows_forgotten_total: counter("Flows that went before their time for want of room."),
  manx_flows_kept: gauge("Flows that manx flows and manx drops can show."),
  manx_step_duration_seconds: histogram("Time to bring the kernel up to date.", "result"),
  manx_store_to_kernel_seconds: histogram("Time from a change of the store to the kernel that does it."),
  manx_kernel_writes_total: counter("What was written to the kernel because it differed.", "part"),
  manx_kernel_failures_total: counter("Attempts to write to the kernel that failed.", "part"),
  manx_store_up: gauge("1 while the store answers."),
  manx_store_revision: gauge("Revision of the store that this host acts on."),
  manx_resources: gauge("Resources of the store.", "kind"),
  manx_ipam_blocks: gauge("Address blocks of this host.", "pool"),
  manx_ipam_block_addresses: gauge("Addresses in this host's blocks.", "pool"),
  manx_ipam_addresses_in_use: gauge("Addresses that this host has given out.", "pool"),
  manx_ipam_free_addresses: gauge("Addresses in this host's blocks that nobody has.", "pool"),
  manx_ipam_pool_addresses: gauge("Addresses of the whole pool.", "pool"),
  manx_bgp_session_up: gauge("1 while the session is established.", "session", "peer"),
  manx_bgp_session_state: gauge("1 for the state that the session is in.", "session", "peer", "state"),
  manx_bgp_routes: gauge("Routes of the session.", "session", "peer", "family", "direction"),
  manx_plugin_call_duration_seconds: histogram("Time to answer a call of Docker's.", "call", "result"),
} as const satisfies Record<string, MetricSpec>;

export type MetricName = keyof typeof METRICS;
