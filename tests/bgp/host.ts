/** A host as BGP sees it: the real derivation, the real BIRD, and kernel routes as the agent would make them. */
import { join } from "node:path";
import { deriveBgp } from "../../src/core/bgp/derive.ts";
import { renderBird } from "../../src/core/bgp/render.ts";
import type { BgpInput } from "../../src/core/bgp/state.ts";
import { BirdDaemon } from "../../src/drivers/bird/daemon.ts";
import { ROUTE_PROTOCOL } from "../../src/drivers/netlink/ownership.ts";
import type { Fabric, Machine } from "./fabric.ts";

export type Cluster = Omit<BgpInput, "host" | "blocks" | "lent" | "services" | "connected">;

export const NO_CLUSTER: Cluster = { nodes: [], configurations: [], peers: [], filters: [], pools: [] };

export class BgpHost {
  readonly machine: Machine;
  readonly bird: BirdDaemon;
  deaths = 0;
  #input: BgpInput;
  secrets: ReadonlyMap<string, string> = new Map();

  constructor(fabric: Fabric, machine: Machine, cluster: Cluster, own: Partial<BgpInput> = {}) {
    this.machine = machine;
    this.#input = { host: machine.name, blocks: [], lent: [], services: [], connected: [], ...cluster, ...own };
    this.bird = new BirdDaemon({
      folder: join(machine.folder, "bird"),
      within: machine.within,
      onDeath: () => void this.deaths++,
    });
    fabric.defer(() => this.bird[Symbol.dispose]());
  }

  get controlSocket(): string {
    return join(this.machine.folder, "bird/bird.ctl");
  }

  get pid(): number {
    return Number(this.machine.run("cat", join(this.machine.folder, "bird/bird.pid")));
  }

  get state() {
    return deriveBgp(this.#input);
  }

  /** The kernel first, then BGP, as the agent does it. */
  async apply(change: Partial<BgpInput> = {}): Promise<void> {
    this.#input = { ...this.#input, ...change };
    for (const block of this.#input.blocks) this.machine.ip(`route replace blackhole ${block} proto ${ROUTE_PROTOCOL}`);
    const text = renderBird(this.state, {
      logFile: join(this.machine.folder, "bird/bird.log"),
      secrets: this.secrets,
      routeProtocol: ROUTE_PROTOCOL,
      persist: true,
    });
    await this.bird.apply(text, { ports: [] });
  }

  async ask(command: string): Promise<string> {
    return (await this.bird.ask(command)).map(({ text }) => text).join("\n");
  }
}
