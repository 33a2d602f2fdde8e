/**
 * A wire that goes silent between a host and one of its two spines, both ends with their carrier (root): `node bench/bgp-cut.ts`. How long
 * do packets stay out that another host sends, 100 a second in several flows, with BFD at 200 ms x 3?
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, Fabric, type Machine } from "../tests/bgp/fabric.ts";
import { leafSpine } from "../tests/bgp/leaf-spine.ts";

const ROUNDS = 8;
const FLOWS = 3;

/** Longest time between two answers, milliseconds. */
class Flow {
  readonly #child;
  readonly #end;
  #out = "";

  constructor(from: Machine) {
    const [file, ...args] = [...from.within, "ping", "-n", "-D", "-i", "0.01", "-I", "10.65.1.5", "10.65.3.5"];
    this.#child = spawn(file, args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#child.stdout.on("data", (piece: Buffer) => void (this.#out += piece.toString()));
    this.#end = once(this.#child, "close");
  }

  async longestGap(): Promise<number> {
    this.#child.kill("SIGINT");
    await this.#end;
    const times = [...this.#out.matchAll(/^\[([\d.]+)\]/gm)].map(([, at]) => Number(at) * 1000);
    return Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)));
  }
}

await using fabric = new Fabric();
const { spines, machines, spineMachines } = await leafSpine(fabric);
const [first, , third] = machines as [Machine, Machine, Machine];
const spine = spineMachines[0] as Machine;
const ways = (at: Machine, to: number, from: number): boolean =>
  [1, 2].every((s) => at.ip(`route show 10.65.${to}.0/26`).includes(`nexthop via 10.${s}.${from}.0 `));
const gaps: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  await eventually("two ways, BFD on all", async () => {
    const all = await Promise.all(spines.map((one) => one.ask("show bfd sessions")));
    const up = all.flat().filter(({ text }) => / Up /.test(text)).length;
    return up === 8 && ways(first, 3, 1) && ways(third, 1, 3);
  });
  await sleep(500);
  const flows = Array.from({ length: FLOWS }, () => new Flow(first));
  await sleep(500);
  for (const [machine, at] of [
    [third, "to-spine1"],
    [spine, "to-host3"],
  ] as const)
    machine.run(
      "nft",
      `table netdev cut { chain cut { type filter hook ingress device "${at}" priority 0; policy drop; }; }`,
    );
  await sleep(2500);
  gaps.push(Math.max(...(await Promise.all(flows.map((flow) => flow.longestGap())))));
  for (const machine of [third, spine]) machine.run("nft", "delete table netdev cut");
}
gaps.sort((a, b) => a - b);
const [median, most] = [gaps[gaps.length >> 1] ?? 0, gaps.at(-1) ?? 0];
process.stdout.write(
  `traffic moves to the other spine, BFD 200 ms x 3: ${median.toFixed(0)} ms (most ${most.toFixed(0)})\n`,
);
