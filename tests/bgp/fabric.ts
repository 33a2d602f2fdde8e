/** Machines as network namespaces with wires between them, and routing daemons in them. All is gone when the test ends. */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freshSettings } from "../../src/lab/fresh.ts";

let made = 0;

export class Machine {
  readonly name: string;
  readonly folder: string;
  readonly namespace: string;

  constructor(name: string, folder: string, namespace: string) {
    this.name = name;
    this.folder = folder;
    this.namespace = namespace;
    mkdirSync(folder, { recursive: true });
  }

  get within(): readonly [string, ...string[]] {
    return ["ip", "netns", "exec", this.namespace];
  }

  run(...argv: readonly string[]): string {
    const [file, ...args] = [...this.within, ...argv];
    return execFileSync(file, args, { encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "pipe"] });
  }

  ip(command: string): string {
    return this.run("ip", ...command.split(" "));
  }

  /** Destinations of the kernel's routes that BIRD or another daemon has put there, with their next hops. */
  fib(family: 4 | 6 = 4, protocol = "bird"): string[] {
    const lines = this.ip(`-${family} route show proto ${protocol}`).split("\n");
    return lines.map((line) => line.trim()).filter((line) => line !== "");
  }
}

/** Ends what it started, the last first. */
export class Fabric implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "manx-bgp-"));
  readonly #end = new AsyncDisposableStack();
  readonly #id = `${process.pid}-${made++}`;
  #wires = 0;

  defer(work: () => void | Promise<void>): void {
    this.#end.defer(work);
  }

  machine(name: string): Machine {
    const namespace = `bgp-${this.#id}-${name}`;
    execFileSync("ip", ["netns", "add", namespace]);
    this.#end.defer(() => {
      for (const pid of execFileSync("ip", ["netns", "pids", namespace], { encoding: "utf8" }).split("\n"))
        if (pid !== "") kill(Number(pid));
      execFileSync("ip", ["netns", "delete", namespace]);
    });
    const machine = new Machine(name, join(this.folder, name), namespace);
    machine.ip("link set lo up");
    machine.run(
      "sysctl",
      "-qw",
      ...freshSettings(),
      "net.ipv4.ip_forward=1",
      "net.ipv6.conf.all.forwarding=1",
      "net.ipv4.fib_multipath_hash_policy=1",
    );
    return machine;
  }

  /** A wire with an interface at each end, named after the other machine. */
  wire(a: Machine, b: Machine, addressesA: readonly string[], addressesB: readonly string[]): void {
    const [left, right] = [`w${this.#wires}a`, `w${this.#wires++}b`];
    const temporary = `${left}-${this.#id}`.slice(-15);
    a.ip(`link add ${temporary} type veth peer name ${right} netns ${b.namespace}`);
    a.ip(`link set ${temporary} name to-${b.name}`);
    b.ip(`link set ${right} name to-${a.name}`);
    for (const [machine, other, addresses] of [
      [a, b, addressesA],
      [b, a, addressesB],
    ] as const) {
      machine.run("sysctl", "-qw", `net.ipv6.conf.to-${other.name}.accept_dad=0`);
      for (const address of addresses) machine.ip(`address add ${address} dev to-${other.name}`);
      machine.ip(`link set to-${other.name} up`);
    }
  }

  /** Several machines on one segment: a bridge in a machine of its own. `addresses` by machine. */
  segment(name: string, ends: readonly (readonly [Machine, readonly string[]])[]): void {
    const hub = this.machine(name);
    hub.ip("link add br0 type bridge");
    hub.ip("link set br0 up");
    for (const [machine, addresses] of ends) {
      const port = `p${this.#wires++}`;
      machine.ip(`link add eth0 type veth peer name ${port} netns ${hub.namespace}`);
      machine.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0");
      hub.ip(`link set ${port} master br0 up`);
      for (const address of addresses) machine.ip(`address add ${address} dev eth0`);
      machine.ip("link set eth0 up");
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end.disposeAsync();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export function kill(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // gone
  }
}

/** Something that runs in a machine until the fabric ends. */
export function background(machine: Machine, ...argv: readonly string[]): number {
  const [file, ...args] = [...machine.within, ...argv];
  const child = spawn(file, args, { stdio: "ignore" });
  child.unref();
  return child.pid ?? 0;
}

/** Waits until `look` gives a truthy value; its last words when it never does. */
export async function eventually<T>(what: string, look: () => T | Promise<T>, timeoutMs = 20_000): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const value = await look();
      if (value) return value;
      last = value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`never: ${what}`, { cause: last });
    await sleep(50);
  }
}
