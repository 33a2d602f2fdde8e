/** One lab and the questions that the end-to-end tests ask of it: who reaches whom, with real packets. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineName } from "../../src/lab/engines.ts";
import type { Host, Machine } from "../../src/lab/host.ts";
import { type Lab, type LabOptions, up } from "../../src/lab/lab.ts";
import { type ContainerView, inspect } from "./inspect.ts";
import { fetches, inNetwork } from "./probe.ts";

/** Seconds that an answer which is to come may take. One that is not to come is waited for a second. */
const PATIENCE = 5;

/** Where a probe starts: a container of a host, or a machine itself. */
export type From = string | Machine;

export class World implements AsyncDisposable {
  readonly lab: Lab;
  readonly host: Host;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.host = lab.host(1);
  }

  static async start(name: string, options: Omit<LabOptions, "name"> = {}): Promise<World> {
    const lab = await up({ hosts: 1, ...options, name: `${name}-${process.pid}` });
    return new World(lab);
  }

  /** `manx ARGS -o json` on the host. */
  async manx(...args: readonly string[]): Promise<unknown> {
    return JSON.parse(await this.host.mustExec(["manx", ...args, "-o", "json"]));
  }

  async network(name: string, ...args: readonly string[]): Promise<void> {
    await this.host.docker("network", "create", "-d", "manx", "--ipam-driver", "manx", ...args, name);
  }

  /** Starts a container that answers ping, and HTTP on port 80 with its name. */
  async run(name: string, network: string, ...args: readonly string[]): Promise<ContainerView> {
    const page = `mkdir -p /www && echo ${name} > /www/index.html && exec httpd -f -p 80 -h /www`;
    await this.host.docker("run", "-d", "--name", name, "--network", network, ...args, "busybox", "sh", "-c", page);
    const view = await this.inspect(name);
    await this.eventually(() => listens(this.host, view.pid, 80));
    return view;
  }

  inspect(name: string): Promise<ContainerView> {
    return inspect(this.host, name);
  }

  /** The address of a container; on its only network, or on the named one. */
  async address(name: string, family: 4 | 6, network?: string): Promise<string> {
    const { networks } = await this.inspect(name);
    const found = network === undefined ? [...networks.values()][0] : networks.get(network);
    const address = family === 4 ? found?.ipv4 : found?.ipv6;
    assert.ok(address !== undefined && address !== "", `${name} has no IPv${family} address`);
    return address;
  }

  /** Runs a command where the probe starts: in a container's network only, or on a machine. */
  async at(from: From, argv: readonly string[]): Promise<{ ok: boolean; out: string }> {
    const { code, stdout, stderr } =
      typeof from === "string" ? await inNetwork(await this.#start(from), argv) : await from.exec(argv);
    return { ok: code === 0, out: `${stdout}${stderr}` };
  }

  async #start(from: From): Promise<{ readonly machine: Machine; readonly pid?: number }> {
    return typeof from === "string" ? { machine: this.host, pid: (await this.inspect(from)).pid } : { machine: from };
  }

  /** One echo request, answered in time. */
  async pings(from: From, address: string, seconds = 1): Promise<boolean> {
    const ping = ["ping", "-n", "-c", "1", "-W", String(seconds), address];
    return (await inNetwork(await this.#start(from), ping)).code === 0;
  }

  /** A page of the address's web server, in time. */
  async fetches(from: From, address: string, port = 80, seconds = 1): Promise<boolean> {
    return fetches(await this.#start(from), address, port, seconds);
  }

  /** As `pings`, for what is to come: it may take its time on a busy machine. */
  canPing(from: From, address: string): Promise<boolean> {
    return this.pings(from, address, PATIENCE);
  }

  /** As `fetches`, for what is to come. */
  canFetch(from: From, address: string, port = 80): Promise<boolean> {
    return this.fetches(from, address, port, PATIENCE);
  }

  /** Ping and TCP in both families; each must come out as wanted. What is to come may take its time on a busy machine. */
  async expectReach(from: From, to: string, wanted: boolean, network?: string): Promise<void> {
    const { networks } = await this.inspect(to);
    const found = network === undefined ? [...networks.values()] : [networks.get(network)];
    const addresses = found.flatMap((on) => [on?.ipv4 ?? "", on?.ipv6 ?? ""]).filter((address) => address !== "");
    assert.ok(addresses.length > 0, `${to} has no address`);
    const seconds = wanted ? PATIENCE : 1;
    const got = await Promise.all(
      addresses.flatMap((address) => [
        this.pings(from, address, seconds).then((ok) => `ping ${address} ${ok}`),
        this.fetches(from, address, 80, seconds).then((ok) => `tcp ${address} ${ok}`),
      ]),
    );
    const label = typeof from === "string" ? from : from.name;
    const want = addresses.flatMap((address) => [`ping ${address} ${wanted}`, `tcp ${address} ${wanted}`]);
    assert.deepEqual(got, want, `${label} -> ${to}`);
  }

  /** Waits until the check holds; fails with its last error after `seconds`. */
  async eventually(check: () => Promise<void>, seconds = 10): Promise<void> {
    for (const end = Date.now() + seconds * 1000; ; await sleep(100)) {
      try {
        return await check();
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** Fails until a process of the host, or of a container on it, has the TCP port open (proc_pid_net(5), tcp; 0A is LISTEN). */
export async function listens(host: Host, pid: number, port: number): Promise<void> {
  const files = ["tcp", "tcp6"].map((name) => readFile(host.path(`/proc/${pid}/net/${name}`), "utf8"));
  const wanted = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, "0")} \\S+ 0A `);
  assert.match((await Promise.all(files)).join(""), wanted, `nothing listens on port ${port}`);
}

/** The engines that everything is tried with; ENGINE names one of them. */
export const ENGINES: readonly EngineName[] =
  process.env["ENGINE"] === undefined ? ["20.10", "26.1"] : [process.env["ENGINE"] as EngineName];
