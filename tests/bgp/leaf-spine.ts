/** Two spines that reflect routes, and four hosts, each on both of them, with a container each. */
import { BfdWaker } from "../../src/agent/bgp/bfd-waker.ts";
import { BirdRouter, KERNEL } from "./daemons.ts";
import type { Fabric, Machine } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { configuration, node, peer, pool } from "./resources.ts";

export const HOSTS = [1, 2, 3, 4];
const POOLS = [pool("10.65.0.0/16")];
const OFF = configuration({ nodeToNodeMeshEnabled: false });

interface LeafSpine {
  readonly hosts: readonly BgpHost[];
  readonly spines: readonly BirdRouter[];
  readonly machines: readonly Machine[];
  readonly spineMachines: readonly Machine[];
}

/** Wire between host H and spine S: 10.S.H.0/31, the spine at .0; the node's own address is on its loopback. */
export async function leafSpine(fabric: Fabric): Promise<LeafSpine> {
  const spines = [1, 2].map((s) => fabric.machine(`spine${s}`));
  const machines = HOSTS.map((h) => fabric.machine(`host${h}`));
  for (const [i, machine] of machines.entries()) {
    machine.ip(`address add 10.0.0.${i + 1}/32 dev lo`);
    for (const [s, spine] of spines.entries())
      fabric.wire(machine, spine, [`10.${s + 1}.${i + 1}.1/31`], [`10.${s + 1}.${i + 1}.0/31`]);
  }
  const birds = spines.map((machine, s) => {
    const bird = new BirdRouter(machine);
    const sessions = HOSTS.map(
      (
        h,
      ) => `protocol bgp host${h} { local 10.${s + 1}.${h}.0 as 64512; neighbor 10.${s + 1}.${h}.1 as 64512; direct; rr client; rr cluster id 1.0.0.${s + 1};
        bfd { interval 200 ms; multiplier 3; }; bfd graceful; graceful restart on; graceful restart time 0; long lived graceful restart on; long lived stale time 120;
        connect delay time 1; connect retry time 2; error wait time 1, 2;
        ipv4 { next hop self; gateway recursive; add paths on; import all; export where source = RTS_BGP; }; }`,
    );
    bird.start(`router id 10.${s + 1}.0.1;\n${KERNEL}\nprotocol bfd { interface "*" {}; }\n${sessions.join("\n")}`);
    return bird;
  });
  const cluster = {
    ...NO_CLUSTER,
    configurations: [OFF],
    nodes: HOSTS.map((h) => node(`host${h}`, { ipv4Address: `10.0.0.${h}/32` })),
    pools: POOLS,
    peers: HOSTS.flatMap((h) =>
      [1, 2].map((s) =>
        peer(
          `host${h}-spine${s}`,
          { node: `host${h}`, peerIP: `10.${s}.${h}.0`, asNumber: 64512, sourceAddress: "None" },
          { "manx/bgp-bfd": "200ms x 3" },
        ),
      ),
    ),
  };
  const hosts = HOSTS.map(
    (h) =>
      new BgpHost(fabric, machines[h - 1] as Machine, cluster, {
        blocks: [`10.65.${h}.0/26`],
        connected: [`10.0.0.${h}/32`, `10.1.${h}.1/31`, `10.2.${h}.1/31`],
      }),
  );
  // A container on each host.
  for (const [i, machine] of machines.entries()) {
    machine.ip(`address add 10.65.${i + 1}.5/32 dev lo`);
    machine.ip(`route add 10.65.${i + 1}.5/32 dev lo proto 109`);
  }
  await Promise.all(hosts.map((host) => host.apply()));
  for (const bird of [...hosts.map((host) => host.bird), ...birds]) {
    const waker = new BfdWaker({ running: true, ask: (command) => bird.ask(command) }, () => true);
    fabric.defer(() => waker[Symbol.dispose]());
  }
  return { hosts, spines: birds, machines, spineMachines: spines };
}
