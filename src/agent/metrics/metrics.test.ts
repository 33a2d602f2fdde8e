import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { Ruleset } from "../../core/rules/ir.ts";
import { METRICS } from "./catalogue.ts";
import type { MetricFacts } from "./facts.ts";
import { Metrics, MOST } from "./metrics.ts";
import { readinessOf } from "./readiness.ts";
import { RuleCounters } from "./rule-counters.ts";

const FACTS: MetricFacts = {
  version: "0.1.0",
  host: "h1",
  conditions: [{ code: "store-unavailable", severity: "error" }],
  rules: [
    {
      kind: "NetworkPolicy",
      tier: "default",
      policy: 'shop/"web"\n',
      direction: "ingress",
      rule: "0",
      action: "Deny",
      packets: 7,
      bytes: 700,
    },
  ],
  drops: new Map([["policy", 7]]),
  countersAge: 1.5,
  endpoints: new Map([["apps", 3]]),
  flows: { seen: new Map([["allow", 12]]), lost: 1, forgotten: 2, kept: 9 },
  store: { up: false, revision: 17 },
  resources: new Map([["IPPool", 2]]),
  pools: [{ name: "default-v4", size: 65_536, blocks: 1, blockAddresses: 64, used: 3, free: 61 }],
  sessions: [
    {
      name: "peer-1",
      peer: "192.0.2.1",
      state: "Established",
      routes: [{ family: 4, accepted: 5, refused: 1, announced: 2 }],
    },
  ],
};

const root = new URL("../../../", import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), "utf8");

async function exported(facts = FACTS): Promise<string[]> {
  const metrics = new Metrics();
  await metrics.step(async () => {}).catch(() => {});
  metrics.storeChanged();
  await metrics.step(async () => {});
  metrics.wrote({
    writes: {
      firewall: 3,
      sysctls: 0,
      links: 0,
      gatewayAddresses: 0,
      neighbours: 0,
      proxies: 0,
      routes: 1,
      services: 0,
    },
    failures: new Map([["sysctls", new Error("read only")]]),
  });
  metrics.pluginCall("NetworkDriver.Join", 25, false);
  return (await metrics.text(facts)).split("\n");
}

/** Names of our own that a query mentions. */
const mentioned = (query: string): string[] => query.match(/\bmanx_[a-z_]+/g) ?? [];

describe("metrics", () => {
  it("tell what the facts say, with labels that break no line", async () => {
    const lines = await exported();
    const expected = [
      'manx_policy_rule_packets_total{kind="NetworkPolicy",tier="default",policy="shop/\\"web\\"\\n",direction="ingress",rule="0",action="Deny"} 7',
      'manx_dropped_packets_total{reason="policy"} 7',
      'manx_endpoints{network="apps"} 3',
      'manx_flows_seen_total{verdict="allow"} 12',
      "manx_store_up 0",
      'manx_ipam_free_addresses{pool="default-v4"} 61',
      'manx_bgp_session_up{session="peer-1",peer="192.0.2.1"} 1',
      'manx_bgp_routes{session="peer-1",peer="192.0.2.1",family="ipv4",direction="refused"} 1',
      'manx_kernel_writes_total{part="firewall"} 3',
      'manx_kernel_failures_total{part="sysctls"} 1',
      'manx_kernel_failures_total{part="firewall"} 0',
      'manx_step_duration_seconds_count{result="ok"} 2',
      "manx_store_to_kernel_seconds_count 1",
      'manx_plugin_call_duration_seconds_bucket{le="0.025",call="NetworkDriver.Join",result="ok"} 1',
      'manx_condition{code="store-unavailable",severity="error"} 1',
    ];
    for (const line of expected)
      assert.ok(
        lines.includes(line),
        `${line}\n${lines.filter((l) => l.startsWith(line.split("{")[0] ?? "")).join("\n")}`,
      );
    assert.ok(lines.some((line) => line.startsWith("process_cpu_seconds_total ")));
  });

  it("have a series for every name of the catalogue, each with HELP and TYPE", async () => {
    const lines = await exported();
    for (const [name, { help, type }] of Object.entries(METRICS)) {
      assert.ok(lines.includes(`# HELP ${name} ${help}`), name);
      assert.ok(lines.includes(`# TYPE ${name} ${type}`), name);
      assert.ok(
        lines.some((line) => line.startsWith(name)),
        name,
      );
    }
  });

  it("are named as the conventions want", async () => {
    for (const line of await exported()) {
      const [, name = "", type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
      if (type !== undefined) assert.equal(name.endsWith("_total"), type === "counter", line);
    }
    for (const [name, { type, help }] of Object.entries(METRICS)) {
      assert.match(name, /^manx_[a-z]+(_[a-z]+)*$/);
      assert.equal(name.endsWith("_total"), type === "counter", name);
      if (type === "histogram") assert.match(name, /_seconds$/);
      assert.match(help, /\.$/);
    }
  });

  it("forget the series of what is gone", async () => {
    const metrics = new Metrics();
    await metrics.text(FACTS);
    const after = await metrics.text({ ...FACTS, sessions: [], endpoints: new Map() });
    assert.doesNotMatch(after, /^manx_bgp_session_up\{/m);
    assert.doesNotMatch(after, /^manx_endpoints\{/m);
  });

  it("bound what a label can have, and lose nothing of the sum", async () => {
    const endpoints = new Map(Array.from({ length: MOST + 100 }, (_, i) => [`net${String(i).padStart(4, "0")}`, 1]));
    const lines = (await exported({ ...FACTS, endpoints })).filter((line) => line.startsWith("manx_endpoints{"));
    assert.equal(lines.length, MOST + 1);
    assert.ok(lines.includes('manx_endpoints{network="other"} 100'));
  });

  it("take a change of the store as done only by a step that succeeds", async () => {
    const metrics = new Metrics();
    metrics.storeChanged();
    await assert.rejects(metrics.step(() => Promise.reject(new Error("no"))));
    assert.doesNotMatch(await metrics.text(FACTS), /^manx_store_to_kernel_seconds_count [1-9]/m);
    await metrics.step(async () => {});
    assert.match(await metrics.text(FACTS), /^manx_store_to_kernel_seconds_count 1$/m);
  });

  it("are all in docs/metrics.md, with their type and labels", () => {
    const docs = text("docs/metrics.md");
    for (const [name, { type, labels, help }] of Object.entries(METRICS)) {
      const shown = labels.map((label) => `\`${label}\``).join(", ");
      assert.ok(docs.includes(`| \`${name}\` | ${type} | ${shown} | ${help} |`), name);
    }
  });

  it("are what the dashboard and the alerts ask for", async () => {
    const known = new Set((await exported()).flatMap((line) => /^[a-z_]+/.exec(line)?.[0] ?? []));
    const alerts = text("share/prometheus/alerts.yaml");
    const dashboard = JSON.parse(text("share/grafana/manx.json")) as { panels: unknown[] };
    assert.ok(dashboard.panels.length >= 10);
    for (const source of [alerts, JSON.stringify(dashboard)]) {
      const names = mentioned(source).filter((name) => !name.endsWith("_"));
      assert.ok(names.length > 5);
      for (const name of names) assert.ok(known.has(name), name);
    }
  });
});

describe("counters of rules", () => {
  it("are read once for all who ask within some seconds, and not lost where they cannot be read", async () => {
    let now = 0;
    let readings = 0;
    let fails = false;
    const counters = new RuleCounters(
      async () => {
        readings++;
        if (fails) throw new Error("too restless");
        const one = { table: "inet manx", chain: "c", handle: 1n, comment: "spoofed-source", packets: 4n, bytes: 400n };
        return { rules: [one] };
      },
      () => now,
    );
    const drop = { kind: "verdict", verdict: { kind: "drop" } } as const;
    const chain = { rules: [{ steps: [drop], comment: "spoofed-source" }] };
    const ruleset: Ruleset = new Map([
      ["inet manx", { family: "inet", name: "manx", sets: new Map(), chains: new Map([["c", chain]]) }],
    ]);
    const origins = new Map([["spoofed-source", { kind: "fixed", rule: "spoofed-source" } as const]]);
    const state = { ruleset, origins };
    const { signal } = new AbortController();
    await Promise.all([counters.refresh(state, signal), counters.refresh(state, signal)]);
    now = 4_000;
    await counters.refresh(state, signal);
    assert.equal(readings, 1);
    now = 6_000;
    fails = true;
    await counters.refresh(state, signal);
    assert.equal(readings, 2);
    assert.equal(counters.totals.drops.get("spoofed-source"), 4);
    assert.equal(counters.age, 6);
  });
});

describe("readiness", () => {
  const trouble = (code: "firewall-not-applied" | "store-unavailable") => ({ code, title: "t", why: "w" });
  for (const [sentence, conditions, applied, ready] of [
    ["a host that has done its first step is ready", [], true, true],
    ["one that has just started is not", [], false, false],
    ["one whose firewall is not what is wanted is not", [trouble("firewall-not-applied")], true, false],
    ["one that has lost its store is", [trouble("store-unavailable")], true, true],
  ] as const)
    it(sentence, () => assert.equal(readinessOf(conditions, applied).ready, ready));
});
