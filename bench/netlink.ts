/**
 * What links, routes and connections cost, in network namespaces of its own (root): medians and 99th percentiles, in
 * milliseconds. `loop` is the longest that the event loop stood still meanwhile.
 *
 *     node bench/netlink.ts
 */
import { execFileSync } from "node:child_process";
import type { LinkState, RouteState } from "../src/core/calc/host-state.ts";
import type { Tuple } from "../src/drivers/conntrack/conntrack.ts";
import { KernelConntrack } from "../src/drivers/conntrack/kernel-conntrack.ts";
import { KernelRtnetlink } from "../src/drivers/netlink/kernel-rtnetlink.ts";
import { LinkTarget } from "../src/drivers/netlink/link-target.ts";
import { RouteTarget } from "../src/drivers/netlink/route-target.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "../src/drivers/syscall/netlink-socket.ts";
import { fill } from "../tests/conntrack/table.ts";

const LINKS = 100;
const ROUTES = 10_000;
const CONNECTIONS = 50_000;
const { signal } = new AbortController();

class Namespace implements Disposable {
  readonly name = `manx-bench-${process.pid}-${process.hrtime.bigint()}`;
  readonly path = `/run/netns/${this.name}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    execFileSync("ip", ["-n", this.name, "link", "set", "lo", "up"]);
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}

interface Measured {
  readonly time: number;
  readonly loop: number;
}

/** Time of the work, and the longest pause of the event loop in it. */
async function measure(work: () => Promise<unknown> | void): Promise<Measured> {
  let loop = 0;
  let last = performance.now();
  const tick = (): void => {
    loop = Math.max(loop, performance.now() - last);
    last = performance.now();
  };
  const timer = setInterval(tick, 1);
  const began = performance.now();
  await work();
  const time = performance.now() - began;
  tick();
  clearInterval(timer);
  return { time, loop };
}

function row(what: string, ...columns: readonly string[]): void {
  console.log(what.padEnd(60) + columns.map((column) => column.padStart(10)).join(""));
}

function report(what: string, measured: readonly Measured[]): void {
  const times = measured.map(({ time }) => time).sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(3);
  const loop = Math.max(...measured.map(({ loop }) => loop)).toFixed(1);
  row(what, at(0.5), times.length >= 50 ? at(0.99) : "", loop);
}

async function rounds(count: number, work: (round: number) => Promise<unknown> | void): Promise<Measured[]> {
  const out: Measured[] = [];
  for (let round = 0; round < count; round++) out.push(await measure(() => work(round)));
  return out;
}

const linkState = (i: number): LinkState => ({
  peer: `mxp${i}`,
  peerMac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`,
  mtu: 1500,
  gateway6: "fe80::1",
});

async function benchLinks(): Promise<void> {
  using netns = new Namespace();
  using rtnetlink = new KernelRtnetlink(netns.path);
  const target = new LinkTarget(rtnetlink, { reapDelayMs: 1 });
  const names = Array.from({ length: LINKS }, (_, i) => `manx${i}`);
  const make = (i: number): Promise<void> =>
    target.apply({ upserts: new Map([[`manx${i}`, linkState(i)]]), deletes: new Set() }, signal);

  report(
    "open a socket in another namespace",
    await rounds(100, () => NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path }).close()),
  );
  report("make a veth pair, addresses and up", await rounds(LINKS, make));
  report("the same again, nothing to do", await rounds(LINKS, make));
  report(`read back ${LINKS} pairs`, await rounds(10, () => target.list()));
  report(
    `delete ${LINKS} pairs: until answered`,
    await rounds(1, () => target.apply({ upserts: new Map(), deletes: new Set(names) }, signal)),
  );
  report(`delete ${LINKS} pairs: until gone`, await rounds(1, () => target.settled()));
  await make(0);
  const one = { upserts: new Map<string, LinkState>(), deletes: new Set(["manx0"]) };
  report("delete one pair: until answered", await rounds(1, () => target.apply(one, signal)));
  report("delete one pair: until gone", await rounds(1, () => target.settled()));
  await make(0);
  report("delete one pair, by name, waiting for it", await rounds(1, () => rtnetlink.deleteLink("manx0")));
}

async function benchRoutes(): Promise<void> {
  using netns = new Namespace();
  using rtnetlink = new KernelRtnetlink(netns.path);
  await new LinkTarget(rtnetlink).apply({ upserts: new Map([["manx0", linkState(0)]]), deletes: new Set() }, signal);
  const target = new RouteTarget(rtnetlink);
  const state: RouteState = { kind: "link", interface: "manx0" };
  const single = (i: number): Promise<void> =>
    target.apply({ upserts: new Map([[`4 10.99.0.${i}/32`, state]]), deletes: new Set() }, signal);
  report("add a route to an endpoint", await rounds(200, single));
  for (const family of [4, 6] as const) {
    const destination = (i: number): string =>
      family === 4 ? `4 10.${i >> 8}.${i & 255}.0/24` : `6 fd65:0:${i.toString(16)}::/64`;
    const all = new Map(Array.from({ length: ROUTES }, (_, i) => [destination(i + 1), state]));
    report(
      `add ${ROUTES} IPv${family} routes`,
      await rounds(1, () => target.apply({ upserts: all, deletes: new Set() }, signal)),
    );
    report(
      `read back ${ROUTES} IPv${family} routes`,
      await rounds(5, () => void rtnetlink.routes({ family, protocol: 109 })),
    );
    const none = { upserts: new Map<string, RouteState>(), deletes: new Set(all.keys()) };
    report(`delete ${ROUTES} IPv${family} routes`, await rounds(1, () => target.apply(none, signal)));
  }
}

function* tuples(): Generator<{ readonly tuple: Tuple }> {
  for (let i = 0; i < CONNECTIONS; i++) {
    const source = `10.${i >> 14}.${(i >> 6) & 255}.${1 + (i & 63)}`;
    yield {
      tuple: { source, destination: "10.65.0.2", protocol: 6, sourcePort: 40_000, destinationPort: 80 + (i % 10) },
    };
  }
}

async function benchConntrack(): Promise<void> {
  using netns = new Namespace();
  const conntrack = new KernelConntrack(netns.path);
  fill(netns.path, tuples());
  report(`list ${CONNECTIONS} connections`, await rounds(3, () => conntrack.list(() => true)));
  const forbidden = await conntrack.list(({ original }) => original.destinationPort === 80);
  report(`cut ${forbidden.length} of them`, await rounds(1, () => conntrack.cut(forbidden)));
}

row("", "median", "p99", "loop");
await benchLinks();
await benchRoutes();
await benchConntrack();
