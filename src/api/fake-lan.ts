/** LAN mode of the fake agent: it has what was asked for. */
import type { LanAgentView } from "./agent.ts";
import type { LanPoolView, LanRequest, LanView } from "./schema/lan.ts";

export class FakeLan implements LanAgentView {
  #pools: readonly LanPoolView[] = [];

  async status(): Promise<LanView> {
    return { pools: this.#pools };
  }

  async enable({ interface: name = "eth0", cidr = "192.168.7.192/27" }: LanRequest): Promise<LanView> {
    const pool = { name: "lan", cidr, interface: name, disabled: false, follows: false, network: "192.168.7.0/24" };
    const answers = [{ address: "192.168.7.193", container: "web" }];
    this.#pools = [{ ...pool, answers, taken: [{ address: "192.168.7.200", mac: "02:00:00:00:00:09" }] }];
    return this.status();
  }

  async disable(): Promise<LanView> {
    const before = await this.status();
    this.#pools = [];
    return before;
  }
}
