/** Routers of other people's: real daemons in a machine, each asked for its own table in its own way. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Control } from "../../src/drivers/bird/control.ts";
import { parseSessions } from "../../src/drivers/bird/protocols.ts";
import { background, eventually, type Machine } from "./fabric.ts";

export interface Daemon {
  /** Prefixes that it has from BGP. */
  table(family?: 4 | 6): Promise<string[]>;
}

const HEAD = "timeformat protocol iso long; protocol device { scan time 2; }\n";

export class BirdRouter implements Daemon {
  readonly #machine: Machine;
  readonly #files: { readonly conf: string; readonly ctl: string; readonly pid: string };

  constructor(machine: Machine) {
    this.#machine = machine;
    const at = (name: string): string => join(machine.folder, name);
    this.#files = { conf: at("router.conf"), ctl: at("router.ctl"), pid: at("router.pid") };
  }

  /** `config` comes after the device protocol; it brings its own router ID and kernel protocols. */
  start(config: string): void {
    const { conf, ctl, pid } = this.#files;
    writeFileSync(conf, `log "${join(this.#machine.folder, "router.log")}" all;\n${HEAD}${config}\n`);
    this.#machine.run("bird", "-c", conf, "-s", ctl, "-P", pid);
  }

  get pid(): number {
    return Number(this.#machine.run("cat", this.#files.pid));
  }

  async ask(command: string) {
    using control = await Control.open(this.#files.ctl);
    if (control === undefined) throw new Error("the router's BIRD does not run");
    return await control.ask(command);
  }

  async table(family: 4 | 6 = 4): Promise<string[]> {
    const reply = await this.ask(`show route table master${family} where source = RTS_BGP`);
    const rows = reply.filter(({ code, text }) => code === 1007 && /^[0-9a-f]/.test(text));
    return rows.map(({ text }) => text.split(" ")[0] ?? "").sort();
  }

  async sessions() {
    return parseSessions(await this.ask("show protocols all"));
  }
}

/** Routes of the router go into its kernel, so that packets follow them. */
export const KERNEL = `
protocol kernel k4 { merge paths on; ipv4 { export filter { if source = RTS_BGP then accept; reject; }; }; }
protocol kernel k6 { merge paths on; ipv6 { export filter { if source = RTS_BGP then accept; reject; }; }; }
protocol direct { ipv4; ipv6; }
`;

export class FrrRouter implements Daemon {
  readonly #machine: Machine;
  readonly #folder: string;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#folder = join(machine.folder, "frr");
    mkdirSync(this.#folder, { recursive: true });
  }

  async start(lines: readonly string[], { bfd = false } = {}): Promise<void> {
    const conf = join(this.#folder, "frr.conf");
    writeFileSync(conf, `frr defaults datacenter\nlog file ${join(this.#folder, "frr.log")}\n${lines.join("\n")}\n`);
    // FRR runs as a user of its own.
    execFileSync("chown", ["-R", "frr:frr", this.#folder]);
    execFileSync("chmod", ["a+x", join(this.#machine.folder, ".."), this.#machine.folder]);
    const socket = join(this.#folder, "zserv.api");
    const common = ["-z", socket, "--vty_socket", this.#folder];
    for (const name of ["zebra", ...(bfd ? ["bfdd"] : []), "bgpd"]) {
      const args = [...common, "-f", conf, "-i", join(this.#folder, `${name}.pid`), "-d"];
      this.#machine.run(
        `/usr/lib/frr/${name}`,
        ...args,
        ...(name === "bfdd" ? ["--bfdctl", join(this.#folder, "bfdd.ctl")] : []),
      );
    }
    await eventually("FRR answers", () => this.vty("show version").includes("FRR"));
  }

  vty(command: string): string {
    return this.#machine.run("vtysh", "--vty_socket", this.#folder, "-c", command);
  }

  table(family: 4 | 6 = 4): Promise<string[]> {
    const { routes = {} } = JSON.parse(this.vty(`show bgp ipv${family} unicast json`)) as {
      routes?: Record<string, unknown>;
    };
    return Promise.resolve(Object.keys(routes).sort());
  }
}

export class GoBgpRouter implements Daemon {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  async start(lines: readonly string[]): Promise<void> {
    const conf = join(this.#machine.folder, "gobgpd.toml");
    writeFileSync(conf, `${lines.join("\n")}\n`);
    background(this.#machine, "gobgpd", "-f", conf, "--api-hosts", "127.0.0.1:50051");
    await eventually("GoBGP answers", () => this.#ask("global") !== "");
  }

  #ask(...words: readonly string[]): string {
    return this.#machine.run("gobgp", "-j", ...words);
  }

  announce(prefix: string): void {
    this.#ask("global", "rib", "add", prefix);
  }

  table(family: 4 | 6 = 4): Promise<string[]> {
    const rib = JSON.parse(this.#ask("global", "rib", "-a", `ipv${family}`)) as Record<
      string,
      readonly { "source-id"?: string; stale?: boolean }[]
    >;
    return Promise.resolve(Object.keys(rib).sort());
  }
}
