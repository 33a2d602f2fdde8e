/**
 * BGP against a router in another namespace (root): `node bench/bgp.ts`. Medians over rounds; what is timed ends when the router's own
 * kernel has the route, not when we believe so.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { deriveBgp } from "../src/core/bgp/derive.ts";
import { KernelRtnetlink } from "../src/drivers/netlink/kernel-rtnetlink.ts";
import { BirdRouter, KERNEL } from "../tests/bgp/daemons.ts";
import { eventually, Fabric, type Machine } from "../tests/bgp/fabric.ts";
import { BgpHost, NO_CLUSTER } from "../tests/bgp/host.ts";
import { node, peer, pool } from "../tests/bgp/resources.ts";

const ROUNDS = 30;
const MANY = 10_000;

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
const p99 = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.min(numbers.length - 1, Math.floor(numbers.length * 0.99))] ?? Number.NaN;
const say = (what: string, value: string): void => void process.stdout.write(`${what.padEnd(72)} ${value}\n`);

/** Our route appears in the machine's kernel: asked by netlink, without a process, as often as it goes. */
async function untilThere(
  kernel: KernelRtnetlink,
  wanted: (destinations: readonly string[]) => boolean,
): Promise<void> {
  for (;;) {
    if (wanted(kernel.routes({ family: 4 }).map(({ destination }) => destination))) return;
    await new Promise(setImmediate);
  }
}

const blackhole = (destination: string) =>
  ({ kind: "add-route", route: { destination, type: "blackhole", protocol: 109 } }) as const;

await using fabric = new Fabric();
const [machine, router] = [fabric.machine("host"), fabric.machine("router")] as [Machine, Machine];
fabric.wire(machine, router, ["192.0.2.1/24"], ["192.0.2.2/24"]);
const bird = new BirdRouter(router);
bird.start(`router id 192.0.2.2;\n${KERNEL.replaceAll("merge paths on;", "merge paths on; netlink rx buffer 33554432;")}
protocol bgp host { local as 65001; neighbor 192.0.2.1 as 64512; ipv4 { import all; export none; }; }`);
const cluster = {
  ...NO_CLUSTER,
  nodes: [node("host", { ipv4Address: "192.0.2.1/24" })],
  pools: [pool("10.64.0.0/10")],
  peers: [peer("tor", { peerIP: "192.0.2.2", asNumber: 65001 })],
};
const host = new BgpHost(fabric, machine, cluster, { blocks: ["10.65.0.0/26"], connected: ["192.0.2.1/24"] });
await host.apply();
await eventually("the session is up", () => router.fib().length === 1);

using hostKernel = new KernelRtnetlink(`/run/netns/${machine.namespace}`);
using routerKernel = new KernelRtnetlink(`/run/netns/${router.namespace}`);

// A container that gets an address out of a block that was just claimed: from the route in our kernel to the router's.
const one: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const block = `10.66.${round}.0/26`;
  const at = performance.now();
  hostKernel.apply([blackhole(block)]);
  await untilThere(routerKernel, (all) => all.includes(block));
  one.push(performance.now() - at);
}
say(
  "a new block reachable from the router, after it is in our kernel",
  `${median(one).toFixed(2)} ms (p99 ${p99(one).toFixed(2)})`,
);

// A container inside an announced block.
const before = await bird.ask("show protocols all host");
machine.ip("route add 10.65.0.9/32 dev to-router proto 109");
await sleep(200);
const after = await bird.ask("show protocols all host");
const updates = (reply: typeof before): string => reply.find(({ text }) => text.includes("Import updates"))?.text ?? "";
say(
  "updates that the router receives when a container starts in a block",
  updates(before) === updates(after) ? "none" : "SOME",
);

const bulk: number[] = [];
for (let round = 0; round < 3; round++) {
  const blocks = Array.from({ length: MANY }, (_, i) => `10.${100 + round}.${i >> 6}.${(i & 63) * 4}/30`);
  const at = performance.now();
  hostKernel.apply(blocks.map(blackhole));
  const programmed = performance.now();
  const last = blocks.at(-1) ?? "";
  for (;;) {
    const found = routerKernel.routes({ family: 4 });
    if (found.length >= MANY && found.some(({ destination }) => destination === last)) break;
    await sleep(50); // reading 10,000 routes back costs 75 ms of a core that the two BIRDs need
  }
  bulk.push(performance.now() - at);
  if (round === 0) say("  of which writing them into our own kernel", `${(programmed - at).toFixed(0)} ms`);
  hostKernel.apply(blocks.map((destination) => ({ kind: "delete-route", destination, protocol: 109 }) as const));
  await eventually("they are gone", () => router.fib().length < 100, 60_000);
}
say(`${MANY} routes in the router's kernel`, `${median(bulk).toFixed(0)} ms`);

const nodes = Array.from({ length: 1000 }, (_, i) => node(`n${i}`, { ipv4Address: `10.1.${i >> 8}.${i & 255}` }));
const derive: number[] = [];
for (let round = 0; round < 5; round++) {
  const at = performance.now();
  deriveBgp({ ...cluster, host: "n0", nodes, blocks: [], lent: [], services: [], connected: [] });
  derive.push(performance.now() - at);
}
say("sessions of a host among 1,000", `${median(derive).toFixed(1)} ms`);
