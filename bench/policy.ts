/**
 * How long a change takes from the snapshot to the kernel: 1,000 policies, 1,000 local and 10,000 remote endpoints. Run as
 * root: the kernel's part happens in a network namespace of its own. Memory is what an agent's would be with the agent's own
 * options (bin/manx) and compiled code from the last run:
 *
 *   export NODE_COMPILE_CACHE=/var/cache/manx/node MALLOC_ARENA_MAX=1
 *   node --expose-gc --min-semi-space-size=4 --max-semi-space-size=4 --heap-growing-percent=25 bench/policy.ts
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Deriver } from "../src/core/calc/deriver.ts";
import type { Endpoint, Snapshot } from "../src/core/calc/snapshot.ts";
import type { Ruleset } from "../src/core/rules/ir.ts";
import { printRuleset } from "../src/core/rules/print.ts";
import { Nftables } from "../src/drivers/nftables/nftables.ts";
import { policy, remoteEndpoint, world } from "./policy-world.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 100);
const counts = { policies: 1000, local: 1000, remote: 10_000, rules: 10 };

interface Sample {
  readonly derive: number;
  readonly apply: number;
  readonly cpu: number;
}

async function main(): Promise<void> {
  const name = `mxb${process.pid}`;
  execFileSync("ip", ["netns", "add", name]);
  try {
    await measure(`/var/run/netns/${name}`);
  } finally {
    execFileSync("ip", ["netns", "del", name]);
  }
}

/** Milliseconds of this thread's own work, the kernel's part for it included: what a busy machine does not disturb much. */
function cpu(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** From nothing, in a namespace of its own each time: ours against `nft -f`, interleaved. */
async function compareLoading(ruleset: Ruleset): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "manx-bench-"));
  const file = join(folder, "rules.nft");
  writeFileSync(file, printRuleset(ruleset, { withoutTargetAddress: true }));
  const times: Record<"ours" | "nft", number[]> = { ours: [], nft: [] };
  const name = `mxl${process.pid}`;
  for (let round = 0; round < 5; round++)
    for (const who of ["ours", "nft"] as const) {
      execFileSync("ip", ["netns", "add", name]);
      const start = performance.now();
      if (who === "nft") {
        execFileSync("ip", ["netns", "exec", name, "nft", "-f", file]);
      } else {
        using nftables = Nftables.open({ netns: `/var/run/netns/${name}` });
        await nftables.apply(ruleset);
      }
      times[who].push(performance.now() - start);
      execFileSync("ip", ["netns", "del", name]);
    }
  rmSync(folder, { recursive: true });
  const [ours, nft] = [median(times.ours), median(times.nft)];
  console.log(
    `loading from nothing: ours ${ours.toFixed(0)} ms, nft -f ${nft.toFixed(0)} ms: ${(ours / nft).toFixed(2)} times`,
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

async function measure(netns: string): Promise<void> {
  using nftables = Nftables.open({ netns });
  const deriver = new Deriver();
  const base = world(counts);
  const step = async (next: Snapshot): Promise<Sample> => {
    const start = performance.now();
    const c = cpu();
    const { ruleset } = deriver.derive(next);
    const derived = performance.now();
    await nftables.apply(ruleset);
    return { derive: derived - start, apply: performance.now() - derived, cpu: cpu() - c };
  };
  const first = await step(base);
  console.log(
    `from nothing: derive ${first.derive.toFixed(0)} ms, apply ${first.apply.toFixed(0)} ms; CPU ${first.cpu.toFixed(0)} ms`,
  );
  const repeat = async (what: string, change: (round: number) => Snapshot): Promise<void> => {
    const samples: Sample[] = [];
    for (let i = 0; i < ROUNDS; i++) {
      samples.push(await step(change(i)));
      await step(base);
    }
    report(what, samples);
  };
  const apps = counts.local / 10;
  await repeat("a policy's rules", (i) => {
    const index = (i * 7) % counts.policies;
    return { ...base, policies: base.policies.with(index, policy(index, counts.rules, apps, 9000 + i)) };
  });
  await repeat("a new policy", (i) => ({
    ...base,
    policies: [...base.policies, policy(counts.policies + i, counts.rules, apps)],
  }));
  await repeat("a local endpoint's label", (i) =>
    withEndpoint(base, (i * 13) % counts.local, (one) => relabel(one, "app", `app-${(i * 31 + 1) % apps}`)),
  );
  await repeat("a remote endpoint's label", (i) =>
    withEndpoint(base, counts.local + ((i * 13) % counts.remote), (one) =>
      relabel(one, "client", `client-${(i * 31 + 1) % 1000}`),
    ),
  );
  await repeat("a new remote endpoint", (i) => ({
    ...base,
    endpoints: [...base.endpoints, remoteEndpoint(counts.remote + i)],
  }));
  await repeat("nothing", () => ({ ...base }));
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  console.log(
    `memory: ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB resident, ${(process.memoryUsage().heapUsed / 1e6).toFixed(0)} heap`,
  );
  await compareLoading(deriver.derive(base).ruleset);
}

function withEndpoint(snapshot: Snapshot, index: number, change: (one: Endpoint) => Endpoint): Snapshot {
  const one = snapshot.endpoints[index];
  return one === undefined ? snapshot : { ...snapshot, endpoints: snapshot.endpoints.with(index, change(one)) };
}

function relabel(one: Endpoint, label: string, value: string): Endpoint {
  return { ...one, labels: new Map([...one.labels, [label, value]]) };
}

function report(what: string, samples: readonly Sample[]): void {
  const of = (pick: (one: Sample) => number): string => {
    const sorted = samples.map(pick).sort((a, b) => a - b);
    const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(2);
    return `${at(0.5)} (99%: ${at(0.99)})`;
  };
  const total = of(({ derive, apply }) => derive + apply);
  console.log(
    `${what.padEnd(28)} ${total} ms: derive ${of((one) => one.derive)}, apply ${of((one) => one.apply)}; CPU ${of((one) => one.cpu)}`,
  );
}

await main();
