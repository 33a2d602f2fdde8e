/** A host with one router at the other end of its wire, and what both are asked. */
import type { BgpInput } from "../../src/core/bgp/state.ts";
import { FrrRouter } from "./daemons.ts";
import { eventually, Fabric, type Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { configuration, node, peer, pool } from "./resources.ts";

export const POOLS = [pool("10.65.0.0/16"), pool("fd65::/64")];
export const HOST = node("host", { ipv4Address: "192.0.2.1/24", ipv6Address: "2001:db8::1/64" });
export const OWN = { blocks: ["10.65.0.0/26", "fd65::/122"], connected: ["192.0.2.1/24", "2001:db8::1/64"] };
export const BLOCK = "10.65.0.0/26";
export const NO_MESH = [configuration({ nodeToNodeMeshEnabled: false })];

export type Spec = Parameters<typeof peer>[1];
export type Notes = Parameters<typeof peer>[2];
export const tor = (spec: Spec, notes: Notes = {}) =>
  peer("tor", { peerIP: "192.0.2.2", asNumber: 65001, ...spec }, notes);

/** A host and a router on one wire. */
export function pair(fabric: Fabric, input: Partial<BgpInput>): { host: BgpHost; router: Machine } {
  const [left, router] = [fabric.machine("host"), fabric.machine("router")];
  fabric.wire(left, router, ["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]);
  const cluster = { ...NO_CLUSTER, nodes: [HOST], pools: POOLS, configurations: NO_MESH };
  return { host: new BgpHost(fabric, left, cluster, { ...OWN, ...input }), router };
}

/** FRR with a network of its own (10.99.0.0/16), and one neighbour. */
export async function frr(
  machine: Machine,
  lines: readonly string[],
  asNumber: number | string = 65001,
): Promise<FrrRouter> {
  const router = new FrrRouter(machine);
  await router.start([
    `router bgp ${asNumber}`,
    " bgp router-id 192.0.2.99",
    " no bgp ebgp-requires-policy",
    " no bgp network import-check",
    " timers bgp connect 2",
    ...lines.map((line) => ` ${line}`),
    " address-family ipv4 unicast",
    "  network 10.99.0.0/16",
  ]);
  return router;
}

export const has = (
  what: string,
  daemon: { table(family?: 4 | 6): Promise<string[]> },
  prefix: string,
  family: 4 | 6 = 4,
) => eventually(what, async () => (await daemon.table(family)).includes(prefix), 30_000);

export const hostHas = (host: BgpHost, prefix: string, family: 4 | 6 = 4) =>
  eventually(`the host has ${prefix}`, () => host.machine.fib(family).some((line) => line.startsWith(prefix)), 30_000);
