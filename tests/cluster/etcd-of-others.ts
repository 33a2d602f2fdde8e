/** An etcd with TLS, client certificates and users, as somebody else runs it, on a lab's LAN machine; and files to open it with. */
import { spawn } from "node:child_process";
import { createPrivateKey } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, kill, waitGone } from "../../src/drivers/system/processes.ts";
import { Authority, writeCredentials } from "../../src/install/pki/authority.ts";
import { newKeyPair, writeCertificate } from "../../src/install/pki/certificate.ts";
import { findEtcd } from "../../src/lab/etcd.ts";
import type { Host, Machine } from "../../src/lab/host.ts";

export const PASSWORD = "cat&mouse-7302";
/** Where `give` puts the files on a host. */
export const FILES = "/root/etcd";
const EXPIRED_PORT = 2390;
/** The key that shows that a watch has begun. */
const MARK = "/watches";

export class EtcdOfOthers implements AsyncDisposable {
  readonly #machine: Machine;
  readonly #folder: string;
  #pids: number[] = [];

  private constructor(machine: Machine, folder: string) {
    this.#machine = machine;
    this.#folder = folder;
  }

  static async start(machine: Machine): Promise<EtcdOfOthers> {
    const etcd = new EtcdOfOthers(machine, await mkdtemp(join(tmpdir(), "manx-others-")));
    try {
      await etcd.#writeFiles();
      await etcd.#run();
      await etcd.#makeUsers();
      return etcd;
    } catch (error) {
      await etcd[Symbol.asyncDispose]();
      throw error;
    }
  }

  get endpoints(): string {
    return `${this.#machine.addresses.ipv4}:2379,[${this.#machine.addresses.ipv6}]:2379`;
  }

  /** Somebody who shows a certificate of yesterday. */
  get expired(): string {
    return `https://${this.#machine.addresses.ipv4}:${EXPIRED_PORT}`;
  }

  async #writeFiles(): Promise<void> {
    const authority = await Authority.ensure(this.#folder);
    const names = [this.#machine.addresses.ipv4, this.#machine.addresses.ipv6, "127.0.0.1"];
    await writeCredentials(this.#folder, "server", authority.issue("etcd", ["server", "client"], names));
    for (const name of ["client", "root"])
      await writeCredentials(this.#folder, name, authority.issue(name, ["client"]));
    await Authority.ensure(join(this.#folder, "other"));
    const { key } = authority.export();
    const issuer = { name: "Manx cluster CA", key: createPrivateKey(key) };
    const { publicKey, privateKey } = newKeyPair();
    const certificate = writeCertificate({
      subject: "old",
      publicKey,
      issuer,
      days: 1,
      use: ["client", "server"],
      names,
      now: new Date(Date.now() - 3 * 86_400_000),
    });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    await writeCredentials(this.#folder, "old", { certificate, key: pem });
    await writeFile(join(this.#folder, "password"), `${PASSWORD}\n`);
    await writeFile(join(this.#folder, "wrong"), "dog\n");
  }

  async #run(): Promise<void> {
    const { etcd } = await findEtcd("installed", () => undefined);
    const clients = this.endpoints
      .split(",")
      .map((one) => `https://${one}`)
      .join(",");
    const peer = "http://127.0.0.1:2380";
    const flags = Object.entries({
      "data-dir": join(this.#folder, "data"),
      "listen-client-urls": clients,
      "advertise-client-urls": clients,
      "listen-peer-urls": peer,
      "initial-advertise-peer-urls": peer,
      "initial-cluster": `default=${peer}`,
      "log-level": "error",
      "cert-file": join(this.#folder, "server.crt"),
      "key-file": join(this.#folder, "server.key"),
      "trusted-ca-file": join(this.#folder, "ca.crt"),
    }).flatMap(([name, value]) => [`--${name}`, value]);
    this.#spawn([etcd, "--client-cert-auth", ...flags]);
    const old = ["-cert", join(this.#folder, "old.crt"), "-key", join(this.#folder, "old.key")];
    this.#spawn(["openssl", "s_server", "-quiet", "-alpn", "h2", "-port", String(EXPIRED_PORT), ...old]);
    for (let left = 150; ; left--) {
      if (
        await this.ctl("endpoint", "health").then(
          () => true,
          () => false,
        )
      )
        break;
      if (left === 0) throw new Error("etcd does not become healthy");
      await sleep(200);
    }
    this.#pids = this.#machine.pids(([program = ""]) => program === etcd || program === "openssl");
  }

  #spawn(argv: readonly string[]): void {
    const [file = "", ...args] = this.#machine.commandLine(argv);
    spawn(file, args, { stdio: "ignore" });
  }

  async #makeUsers(): Promise<void> {
    await this.ctl("role", "add", "manx");
    await this.ctl("role", "grant-permission", "manx", "readwrite", "/manx/", "--prefix");
    for (const user of ["root", "manx", "nobody"]) await this.ctl("user", "add", `${user}:${PASSWORD}`);
    await this.ctl("user", "grant-role", "root", "root");
    await this.ctl("user", "grant-role", "manx", "manx");
    await this.ctl("auth", "enable");
  }

  /** `etcdctl`, as root by its certificate. */
  ctl(...args: readonly string[]): Promise<string> {
    return this.#machine.mustExec(this.#ctlArgv(args), { env: { ETCDCTL_API: "3" } });
  }

  #ctlArgv(args: readonly string[]): string[] {
    const file = (name: string): string => join(this.#folder, name);
    const tls = ["--cacert", file("ca.crt"), "--cert", file("root.crt"), "--key", file("root.key")];
    return ["etcdctl", "--endpoints", `https://${this.#machine.addresses.ipv4}:2379`, ...tls, ...args];
  }

  async keys(prefix = "/manx/"): Promise<string[]> {
    const text = await this.ctl("get", "--prefix", "--keys-only", prefix);
    return text.split("\n").filter((line) => line !== "");
  }

  /** Calls back for each key that is written from now on, until the signal. */
  async watch(prefix: string, onPut: (key: string) => void, signal: AbortSignal): Promise<void> {
    const argv = this.#machine.commandLine(this.#ctlArgv(["watch", "--prefix", ""]), { ETCDCTL_API: "3" });
    const [file = "", ...args] = argv;
    const child = spawn(file, args, { stdio: ["ignore", "pipe", "ignore"], signal });
    child.on("error", () => {});
    const lines = createInterface(child.stdout);
    const seen = new Promise<boolean>((resolve) => lines.on("line", (line) => line === MARK && resolve(true)));
    for (let begun = false; !begun; ) begun = await Promise.race([seen, this.ctl("put", MARK, "").then(() => false)]);
    lines.on("line", (line) => line.startsWith(prefix) && onPut(line));
  }

  /** Puts what opens it, and what does not, below FILES. */
  async give(host: Host): Promise<void> {
    await host.mustExec(["mkdir", "-p", FILES]);
    const names = ["ca.crt", "client.crt", "client.key", "old.crt", "old.key", "password", "wrong", "other/ca.crt"];
    for (const name of names) {
      const path = `${FILES}/${name.replace("/", "-")}`;
      await host.mustExec(["tee", path], { input: await readFile(join(this.#folder, name), "utf8") });
      await host.mustExec(["chmod", "600", path]);
    }
    await host.mustExec(["sh", "-c", `cp ${FILES}/password ${FILES}/open && chmod 644 ${FILES}/open`]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pid of this.#pids) if (isAlive(pid)) kill(pid, "SIGKILL");
    await waitGone(this.#pids, 10_000);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
