/**
 * What a packet costs where 10,000 rules reach one of 1,000 endpoints, against 10 rules and 10 endpoints, and against the same
 * policy as linear iptables rules. Work per CPU second of both ends and of the kernel for them, on one core; rounds are
 * interleaved, medians told. Run as root: everything happens in network namespaces of its own.
 *
 *     node bench/policy-traffic.ts        ROUNDS=5 SECONDS=1
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { derive } from "../src/core/calc/derive.ts";
import type { Snapshot } from "../src/core/calc/snapshot.ts";
import type { GlobalNetworkPolicy, PolicyRule } from "../src/core/model/resources.ts";
import type { Ruleset } from "../src/core/rules/ir.ts";
import { Nftables } from "../src/drivers/nftables/nftables.ts";
import { localEndpoint, world } from "./policy-world.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 5);
const SECONDS = process.env["SECONDS"] ?? "1";
const MODES = ["udp", "bulk", "crr", "rr"] as const;
const PORT = "7000";
const CORE = "1";
const [CLIENT, SERVER] = [localEndpoint(1), localEndpoint(2)];
const prefix = `mxt${process.pid}`;
const [ROUTER, A, B] = [`${prefix}r`, `${prefix}a`, `${prefix}b`];

interface Case {
  readonly name: string;
  readonly load: (nftables: Nftables) => Promise<void>;
}

function run(...argv: readonly string[]): string {
  const [program = "", ...args] = argv;
  return execFileSync(program, args, { encoding: "utf8" });
}

/** `count` rules of which none but the last ones means the client, split over `policies`. */
function governed(endpoints: number, count: number, policies: number): Snapshot {
  const base = world({ policies: 0, local: endpoints, remote: 1000, rules: 0 });
  const others = Array.from(
    { length: count - 2 },
    (_, i): PolicyRule => ({
      action: "Allow",
      protocol: "TCP",
      source: { selector: `client == 'client-${i % 1000}'` },
      destination: { ports: [8000 + (i % 5000)] },
    }),
  );
  const last = (["TCP", "UDP"] as const).map(
    (protocol): PolicyRule => ({
      action: "Allow",
      protocol,
      source: { selector: "app == 'app-0'" },
      destination: { ports: [Number(PORT)] },
    }),
  );
  const rules = [...others, ...last];
  const each = Math.ceil(rules.length / policies);
  const all = Array.from(
    { length: policies },
    (_, i): GlobalNetworkPolicy => ({
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkPolicy",
      metadata: { name: `policy-${i}` },
      spec: {
        tier: "default",
        order: i,
        selector: "app == 'app-0'",
        types: ["Ingress"],
        ingress: rules.slice(i * each, (i + 1) * each),
      },
    }),
  );
  return { ...base, policies: all };
}

function ours(name: string, snapshot: Snapshot): Case {
  const { ruleset } = derive(snapshot);
  return { name, load: async (nftables) => void (await nftables.apply(ruleset)) };
}

/** As felix's iptables mode and ufw-docker write it: established first, then one rule after another. */
function linear(name: string, count: number): Case {
  const to = SERVER.local?.interface ?? "";
  const rules = Array.from(
    { length: count - 2 },
    (_, i) =>
      `-A FORWARD -o ${to} -s 10.65.${(i >> 8) & 255}.${i & 255}/32 -p tcp -m tcp --dport ${8000 + (i % 5000)} -j ACCEPT`,
  );
  const text = [
    "*filter",
    ":FORWARD DROP [0:0]",
    "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    ...rules,
    ...["tcp", "udp"].map(
      (protocol) => `-A FORWARD -o ${to} -s ${CLIENT.addresses[0]}/32 -p ${protocol} --dport ${PORT} -j ACCEPT`,
    ),
    `-A FORWARD -o ${CLIENT.local?.interface} -j ACCEPT`,
    "COMMIT",
    "",
  ].join("\n");
  return {
    name,
    load: async (nftables) => {
      await nftables.apply(new Map() satisfies Ruleset);
      execFileSync("ip", ["netns", "exec", ROUTER, "iptables-restore"], { input: text });
    },
  };
}

function topology(): void {
  for (const name of [ROUTER, A, B]) run("ip", "netns", "add", name);
  run("ip", "-n", ROUTER, "link", "set", "lo", "up");
  run("ip", "-n", ROUTER, "address", "add", "169.254.1.1/32", "dev", "lo");
  for (const setting of ["ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"])
    run("ip", "netns", "exec", ROUTER, "sysctl", "-qw", `net.ipv4.${setting}`);
  for (const [netns, { local, addresses }] of [
    [A, CLIENT],
    [B, SERVER],
  ] as const) {
    const [name = "", address = ""] = [local?.interface, addresses[0]];
    run(..."ip -n".split(" "), ROUTER, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", netns);
    run("ip", "-n", netns, "link", "set", "eth0", "address", local?.mac ?? "", "up");
    run("ip", "-n", ROUTER, "link", "set", name, "up");
    run("ip", "-n", netns, "address", "add", `${address}/32`, "dev", "eth0");
    run("ip", "-n", netns, "route", "add", "169.254.1.1", "dev", "eth0");
    run("ip", "-n", netns, "route", "add", "default", "via", "169.254.1.1", "dev", "eth0");
    run("ip", "-n", ROUTER, "route", "add", address, "dev", name);
  }
}

/** CPU seconds of a process, and of soft interrupts on the core. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const line =
    readFileSync("/proc/stat", "utf8")
      .match(new RegExp(`^cpu${CORE} (.*)$`, "m"))?.[1]
      ?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12]) + Number(line[6])) / 100;
}

function rate(program: string, mode: string, server: number): number {
  const before = cpuSeconds(server);
  const script = `TIMEFORMAT='%U %S'; time taskset -c ${CORE} ${program} ${mode} ${SERVER.addresses[0]} ${PORT} ${SECONDS}`;
  const out = run("ip", "netns", "exec", A, "bash", "-c", `{ ${script}; } 2>&1`);
  const [work = 0, user = 0, system = 0] = out.trim().split(/\s+/).map(Number);
  return work / (user + system + cpuSeconds(server) - before);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

async function measure(program: string): Promise<void> {
  const cases = [
    ours("10 endpoints, 10 rules", governed(10, 10, 1)),
    ours("1,000 endpoints, one policy of 10,000 rules", governed(1000, 10_000, 1)),
    ours("1,000 endpoints, 1,000 policies of 10 rules", governed(1000, 10_000, 1000)),
    linear("the 10,000 rules as iptables", 10_000),
  ];
  using nftables = Nftables.open({ netns: `/var/run/netns/${ROUTER}` });
  const server = spawn("ip", ["netns", "exec", B, "taskset", "-c", CORE, program, "serve", PORT], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    for await (const _ of server.stdout) break;
    const rates = new Map(cases.map(({ name }) => [name, MODES.map((): number[] => [])]));
    for (let round = 0; round < ROUNDS; round++)
      for (const { name, load } of cases) {
        run("ip", "netns", "exec", ROUTER, "iptables", "-P", "FORWARD", "ACCEPT");
        run("ip", "netns", "exec", ROUTER, "iptables", "-F", "FORWARD");
        await load(nftables);
        for (const [i, mode] of MODES.entries()) rates.get(name)?.[i]?.push(rate(program, mode, server.pid ?? 0));
      }
    const [first = []] = rates.values();
    console.log(`${"work per CPU second, medians".padEnd(48)}${MODES.map((mode) => mode.padStart(20)).join("")}`);
    for (const [name, all] of rates) {
      const figures = all.map((one, i) => {
        const ratio = median(one) / median(first[i] ?? []);
        return `${median(one).toExponential(3)} (${ratio.toFixed(2)})`.padStart(20);
      });
      console.log(`${name.padEnd(48)}${figures.join("")}`);
    }
  } finally {
    server.kill();
  }
}

const folder = mkdtempSync(join(tmpdir(), "manx-bench-"));
try {
  const program = join(folder, "traffic");
  run("cc", "-O2", "-o", program, join(import.meta.dirname, "traffic.c"));
  topology();
  await measure(program);
} finally {
  for (const name of [A, B, ROUTER]) execFileSync("ip", ["netns", "del", name], { stdio: "ignore" });
  rmSync(folder, { recursive: true });
}
