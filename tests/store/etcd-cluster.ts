/** Real etcd clusters on loopback ports, to be frozen, killed, compacted and replaced. Judged with etcdctl, not with our driver. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mustRun, run } from "../../src/drivers/exec.ts";
import { type EtcdStore, openEtcdStore, parseEndpoints, type Tls } from "../../src/drivers/store/etcd.ts";
import { type EtcdName, type EtcdProgram, findEtcd } from "../../src/lab/etcd.ts";

export interface ClusterOptions {
  readonly version: EtcdName;
  /** Default 1. */
  readonly members?: number;
  /** Further arguments of each member. */
  readonly args?: readonly string[];
  /** Files for TLS of clients. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  readonly env?: Readonly<Record<string, string>>;
}

export class EtcdMember {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly argv: readonly string[];
  #child: ChildProcess | undefined;

  constructor(name: string, clientUrl: string, peerUrl: string, argv: readonly string[]) {
    this.name = name;
    this.clientUrl = clientUrl;
    this.peerUrl = peerUrl;
    this.argv = argv;
  }

  start(env: Readonly<Record<string, string>> = {}): void {
    const [file = "", ...args] = this.argv;
    const stdio = process.env["MANX_TEST_LOG"] === undefined ? "ignore" : "inherit";
    this.#child = spawn(file, args, { stdio, env: { ...process.env, ...env } });
    this.#child.on("error", () => {});
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await ended;
  }
}

export class EtcdCluster implements AsyncDisposable {
  readonly program: EtcdProgram;
  readonly members: EtcdMember[];
  readonly #folder: string;
  readonly #options: ClusterOptions;

  private constructor(program: EtcdProgram, members: EtcdMember[], folder: string, options: ClusterOptions) {
    this.program = program;
    this.members = members;
    this.#folder = folder;
    this.#options = options;
  }

  static async start(options: ClusterOptions): Promise<EtcdCluster> {
    const program = await findEtcd(options.version, () => {});
    const folder = await mkdtemp(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "manx-etcd-"));
    const cluster = new EtcdCluster(program, [], folder, options);
    try {
      for (let i = 0; i < (options.members ?? 1); i++) cluster.members.push(await cluster.#make(`m${i}`));
      const initial = cluster.members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
      for (const [i, member] of cluster.members.entries()) {
        cluster.members[i] = cluster.#withState(member, initial, "new");
        cluster.members[i]?.start(options.env);
      }
      await cluster.healthy();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #make(name: string): Promise<EtcdMember> {
    const scheme = this.#options.tls === undefined ? "http" : "https";
    const [client, peer] = [`${scheme}://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    const { tls } = this.#options;
    const files = tls && [
      "--cert-file",
      tls.cert,
      "--key-file",
      tls.key,
      "--client-cert-auth",
      "--trusted-ca-file",
      tls.ca,
    ];
    const settings: Readonly<Record<string, string>> = {
      "--name": name,
      "--data-dir": join(this.#folder, name),
      "--listen-client-urls": client,
      "--advertise-client-urls": client,
      "--listen-peer-urls": peer,
      "--initial-advertise-peer-urls": peer,
    };
    const argv = [
      this.program.etcd,
      ...Object.entries(settings).flat(),
      ...(files ?? []),
      ...(this.#options.args ?? []),
    ];
    return new EtcdMember(name, client, peer, argv);
  }

  #withState(member: EtcdMember, initial: string, state: "new" | "existing"): EtcdMember {
    const argv = [...member.argv, "--initial-cluster", initial, "--initial-cluster-state", state];
    return new EtcdMember(member.name, member.clientUrl, member.peerUrl, argv);
  }

  /** A member in the place of one that is gone for good, with another address. */
  async replace(index: number): Promise<void> {
    const old = this.members[index] as EtcdMember;
    await old.kill();
    const others = this.members.filter((one) => one !== old);
    const list = await this.ctl(["member", "list"], others);
    const id =
      list
        .split("\n")
        .find((line) => line.includes(old.peerUrl))
        ?.split(",")[0] ?? "";
    // etcd wants to have seen the others well for 5 s before it changes its members.
    const patiently = async (args: readonly string[]): Promise<void> => {
      for (let left = 30; !(await this.ctl(args, others).then(Boolean, () => false)); await sleep(500))
        if (left-- === 0) throw new Error(`etcd does not let its members change: ${args.join(" ")}`);
    };
    await patiently(["member", "remove", id]);
    const fresh = await this.#make(`${old.name}n`);
    await patiently(["member", "add", fresh.name, "--peer-urls", fresh.peerUrl]);
    const initial = [...others, fresh].map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",");
    const member = this.#withState(fresh, initial, "existing");
    this.members[index] = member;
    member.start(this.#options.env);
    await this.healthy();
  }

  get endpoints(): string {
    return this.members.map(({ clientUrl }) => clientUrl).join(",");
  }

  member(index: number): EtcdMember {
    return this.members[index] as EtcdMember;
  }

  /** The one that leads. */
  async leader(): Promise<EtcdMember> {
    const text = await this.ctl(["endpoint", "status", "-w", "json"]);
    const all = JSON.parse(text) as { Endpoint: string; Status: { leader: number; header: { member_id: number } } }[];
    const found = all.find(({ Status }) => Status.leader === Status.header.member_id);
    return this.members.find(({ clientUrl }) => clientUrl === found?.Endpoint) as EtcdMember;
  }

  async healthy(): Promise<void> {
    for (const end = Date.now() + 30_000; ; await sleep(50)) {
      const { code, stderr } = await run(this.#ctlArgv(["endpoint", "health"]), this.#ctlOptions);
      if (code === 0) return;
      if (Date.now() > end) throw new Error(`etcd does not become healthy: ${stderr}`);
    }
  }

  async ctl(args: readonly string[], members: readonly EtcdMember[] = this.members): Promise<string> {
    return mustRun(this.#ctlArgv(args, members), this.#ctlOptions);
  }

  readonly #ctlOptions = { env: { ...process.env, ETCDCTL_API: "3" } };

  #ctlArgv(args: readonly string[], members: readonly EtcdMember[] = this.members): string[] {
    const { tls } = this.#options;
    const files = tls === undefined ? [] : ["--cacert", tls.ca, "--cert", tls.cert, "--key", tls.key];
    const endpoints = members.map(({ clientUrl }) => clientUrl).join(",");
    return [this.program.etcdctl, "--endpoints", endpoints, ...files, ...args];
  }

  open(more: { user?: { name: string; password: string }; tls?: Tls; pageSize?: number } = {}): Promise<EtcdStore> {
    return openEtcdStore({ endpoints: parseEndpoints(this.endpoints, false), ...more });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
