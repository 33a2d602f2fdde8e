/** Several hosts on one etcd, which runs on the LAN: the questions that the cluster tests ask of them, with real packets. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, kill, waitGone } from "../../src/drivers/system/processes.ts";
import { findEtcd } from "../../src/lab/etcd.ts";
import type { AgentOptions, Host } from "../../src/lab/host.ts";
import { type Lab, type LabOptions, up } from "../../src/lab/lab.ts";
import { inspect } from "../e2e/inspect.ts";
import { fetches } from "../e2e/probe.ts";
import { listens } from "../e2e/world.ts";

/** `host/container`, as in `h1/web`. */
export type Place = `${string}/${string}`;

export class ClusterWorld implements AsyncDisposable {
  readonly lab: Lab;
  readonly #folder: string;
  readonly #etcd: string;
  #etcdPid = 0;

  private constructor(lab: Lab, etcd: string, folder: string) {
    this.lab = lab;
    this.#etcd = etcd;
    this.#folder = folder;
  }

  static async start(
    name: string,
    hosts: number,
    options: Pick<LabOptions, "engine" | "docker"> = {},
  ): Promise<ClusterWorld> {
    const { etcd } = await findEtcd("installed", () => undefined);
    const lab = await up({ name: `${name}-${process.pid}`, hosts, agent: false, ...options });
    const world = new ClusterWorld(lab, etcd, await mkdtemp(join(tmpdir(), "manx-cluster-")));
    try {
      await world.startEtcd();
      await Promise.all(lab.hosts.map((host) => world.startAgent(host)));
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
    return world;
  }

  get store(): string {
    return `http://${this.lab.lan.addresses.ipv4}:2379`;
  }

  async startEtcd(): Promise<void> {
    const peer = "http://127.0.0.1:2380";
    const flags = [
      ["--data-dir", this.#folder],
      ["--listen-client-urls", this.store],
      ["--advertise-client-urls", this.store],
      ["--listen-peer-urls", peer],
      ["--initial-advertise-peer-urls", peer],
      ["--initial-cluster", `default=${peer}`],
      ["--log-level", "error"],
    ].flat();
    const [file = "", ...args] = this.lab.lan.commandLine([this.#etcd, ...flags]);
    const child = spawn(file, args, { stdio: "ignore" });
    await this.eventually(async () => {
      await this.lab.lan.mustExec(["etcdctl", "--endpoints", this.store, "endpoint", "health"], {
        env: { ETCDCTL_API: "3" },
      });
    }, 30);
    this.#etcdPid = this.lab.lan.pids(([program = ""]) => program === this.#etcd)[0] ?? child.pid ?? 0;
  }

  async stopEtcd(): Promise<void> {
    if (isAlive(this.#etcdPid)) kill(this.#etcdPid, "SIGKILL");
    await waitGone([this.#etcdPid], 10_000);
  }

  startAgent(host: Host, env: AgentOptions["env"] = {}): Promise<void> {
    return host.startAgent({ env: { MANX_STORE: this.store, ...env } });
  }

  host(name: string): Host {
    const found = this.lab.hosts.find((host) => host.name === name);
    assert.ok(found !== undefined, name);
    return found;
  }

  #split(place: Place): [Host, string] {
    const [host = "", container = ""] = place.split("/");
    return [this.host(host), container];
  }

  /** `docker network create` on the host. */
  async network(host: string, name: string, ...args: readonly string[]): Promise<void> {
    await this.host(host).docker("network", "create", "-d", "manx", "--ipam-driver", "manx", ...args, name);
  }

  async hasNetwork(host: string, name: string): Promise<boolean> {
    return (await this.host(host).docker("network", "ls", "-q", "--filter", `name=^${name}$`)) !== "";
  }

  /** Starts a container that answers ping, and HTTP on port 80. @returns its IPv4 address */
  async run(place: Place, network: string, ...args: readonly string[]): Promise<string> {
    const [host, container] = this.#split(place);
    const page = "mkdir -p /www && echo yes > /www/index.html && exec httpd -f -p 80 -h /www";
    await host.docker("run", "-d", "--name", container, "--network", network, ...args, "busybox", "sh", "-c", page);
    const { pid, ipv4 } = await this.#inspect(place);
    await this.eventually(() => listens(host, pid, 80));
    return ipv4;
  }

  async #inspect(place: Place): Promise<{ pid: number; ipv4: string }> {
    const [host, container] = this.#split(place);
    const { pid, networks } = await inspect(host, container);
    return { pid, ipv4: [...networks.values()][0]?.ipv4 ?? "" };
  }

  async address(place: Place): Promise<string> {
    const { ipv4 } = await this.#inspect(place);
    assert.notEqual(ipv4, "", `${place} has no address`);
    return ipv4;
  }

  /** A page of the address's web server, within a second. */
  async fetches(from: Place, address: string, port = 80): Promise<boolean> {
    return this.#fetch(from, (await this.#inspect(from)).pid, address, port);
  }

  /** As `fetches`, for what is to come: it may take its time on a busy machine. */
  async canFetch(from: Place, address: string, port = 80): Promise<boolean> {
    return this.#fetch(from, (await this.#inspect(from)).pid, address, port, 5);
  }

  #fetch(from: Place, pid: number, address: string, port = 80, seconds = 1): Promise<boolean> {
    return fetches({ machine: this.#split(from)[0], pid }, address, port, seconds);
  }

  /** Every cell of the table: rows reach columns or not, on port 80. What is to come may take its time on a busy machine. */
  async expectTable(rows: Readonly<Record<Place, string>>): Promise<void> {
    const places = Object.keys(rows) as Place[];
    const all = await Promise.all(places.map(async (place) => ({ place, ...(await this.#inspect(place)) })));
    const table: Record<string, string> = {};
    for (const from of all) {
      const wanted = rows[from.place]?.split(" ") ?? [];
      const cells = all.map(async (to, i) => {
        if (to === from) return "-";
        return (await this.#fetch(from.place, from.pid, to.ipv4, 80, wanted[i] === "y" ? 5 : 1)) ? "y" : "n";
      });
      table[from.place] = (await Promise.all(cells)).join(" ");
    }
    assert.deepEqual(table, rows);
  }

  /** `manx ARGS -o json` on the host. */
  async manx(host: string, ...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.host(host).mustExec(["manx", ...args, "-o", "json"]));
  }

  async eventually(check: () => Promise<void>, seconds = 15): Promise<void> {
    for (const end = Date.now() + seconds * 1000; ; await sleep(100)) {
      try {
        return await check();
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopEtcd();
    await this.lab[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
