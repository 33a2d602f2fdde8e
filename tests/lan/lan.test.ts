/**
 * LAN pools on real kernels: a phone and two hosts on one wire, a container with an address of the LAN on one of the hosts. What the
 * phone sees is asked of the phone.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HostNetwork } from "../../src/agent/host-network.ts";
import { LanWatch } from "../../src/agent/lan/lan-watch.ts";
import { type Lan, lanOf, lanSysctls, proxiesOf } from "../../src/core/calc/lan.ts";
import { makePool } from "../../src/core/ipam/pools.ts";
import { address } from "../../src/core/net/address.ts";
import { cidr } from "../../src/core/net/cidr.ts";
import { Reconciler } from "../../src/core/reconcile/reconciler.ts";
import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { ProxyTarget } from "../../src/drivers/netlink/proxy-target.ts";
import { LanPort } from "../../src/drivers/packet/lan-port.ts";
import { Namespace } from "../netlink/namespace.ts";

const V4 = "192.168.7.70";
const V6 = "2001:db8:7::6d61:6e78:0:70";
const signal = new AbortController().signal;
const lanPool = (name: string, range: string) => {
  const pool = makePool(name, cidr(range), { natOutgoing: false });
  return { ...pool, metadata: { name, annotations: { "manx/lan": "eth0" } } };
};
const POOLS = [lanPool("lan", "192.168.7.64/27"), lanPool("lan6", "2001:db8:7::6d61:6e78:0:0/112")];

class Wire implements Disposable {
  readonly #stack = new DisposableStack();
  readonly #ns = this.#stack.use(new Namespace());
  #ports = 0;

  constructor() {
    this.#ns.ip("link add br0 type bridge mcast_snooping 0");
    this.#ns.ip("link set br0 up");
  }

  machine(number: number): Namespace {
    const ns = this.#stack.use(new Namespace());
    const port = `p${this.#ports++}`;
    this.#ns.ip(`link add ${port} type veth peer name eth0 netns ${ns.name}`);
    this.#ns.ip(`link set ${port} master br0 up`);
    for (const args of ["-w net.ipv6.conf.all.accept_dad=0", "-w net.ipv6.conf.eth0.accept_dad=0"])
      ns.run("sysctl", ...args.split(" "));
    ns.ip("link set lo up");
    ns.ip("link set eth0 up");
    ns.ip(`addr add 192.168.7.${number}/24 dev eth0`);
    ns.ip(`addr add 2001:db8:7::${number}/64 dev eth0 nodad`);
    return ns;
  }

  use<T extends Disposable>(one: T): T {
    return this.#stack.use(one);
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }
}

/** A host as Manx sets it up, with what this is about real and the rest by hand. */
class Host {
  readonly ns: Namespace;
  readonly rtnetlink: KernelRtnetlink;
  readonly watch: LanWatch;
  readonly conflicts: string[] = [];
  readonly #proxies;
  readonly lan: Lan;

  constructor(wire: Wire, number: number) {
    this.ns = wire.machine(number);
    for (const path of ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]) this.ns.run("sysctl", "-w", path);
    this.rtnetlink = wire.use(new KernelRtnetlink(this.ns.path));
    const { interfaces } = new HostNetwork("h", this.rtnetlink);
    this.lan = lanOf(POOLS, interfaces);
    assert.equal(this.lan.parts.length, 2);
    for (const [path, value] of lanSysctls(this.lan)) this.ns.run("sysctl", "-w", `${path}=${value}`);
    this.#proxies = new Reconciler(new ProxyTarget(this.rtnetlink));
    this.watch = wire.use(
      new LanWatch({
        open: (name, news) => {
          const { index = 0, mac = "" } = this.rtnetlink.link(name) ?? {};
          const port = new LanPort({ name, index, news, netns: this.ns.path });
          return {
            mac,
            get listening() {
              return port.listening;
            },
            send: (frame) => port.send(frame),
            [Symbol.dispose]: () => port[Symbol.dispose](),
          };
        },
        onConflict: (why) => void (why !== undefined && this.conflicts.push(why)),
      }),
    );
  }

  container(wire: Wire): Namespace {
    const ns = wire.use(new Namespace());
    this.ns.ip(`link add manxweb type veth peer name eth0 netns ${ns.name}`);
    this.ns.ip("addr add 169.254.1.1/32 dev lo");
    this.ns.ip("addr add fe80::1/64 dev manxweb nodad");
    this.ns.ip("link set manxweb up");
    for (const text of [
      "link set lo up",
      "link set eth0 up",
      `addr add ${V4}/32 dev eth0`,
      `addr add ${V6}/128 dev eth0 nodad`,
    ])
      ns.ip(text);
    ns.ip("route add 169.254.1.1 dev eth0");
    ns.ip("route add default via 169.254.1.1");
    ns.ip("-6 route add default via fe80::1 dev eth0");
    this.ns.ip(`route add ${V4} dev manxweb`);
    this.ns.ip(`-6 route add ${V6} dev manxweb`);
    return ns;
  }

  async hold(...texts: string[]): Promise<void> {
    const held = new Map(proxiesOf(texts, this.lan).map((key) => [key, null] as const));
    await this.#proxies.step(held, signal);
    this.watch.follow(this.lan, held);
  }

  get mac(): string {
    return this.rtnetlink.link("eth0")?.mac ?? "";
  }
}

function reaches(from: Namespace, to: string): boolean {
  try {
    from.run("ping", "-n", "-c", "1", "-W", "2", to);
    return true;
  } catch {
    return false;
  }
}

function macOf(machine: Namespace): string {
  return /link\/ether ([0-9a-f:]+)/.exec(machine.ip("link show eth0"))?.[1] ?? "none";
}

/** The MAC under which the machine would send to the address. */
function known(machine: Namespace, to: string): string {
  return /lladdr ([0-9a-f:]+)/.exec(machine.ip(`neigh show ${to} dev eth0`))?.[1] ?? "";
}

async function eventually(what: string, check: () => boolean): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (check()) return;
    await new Promise((resolve) => void setTimeout(resolve, 50));
  }
  assert.fail(what);
}

void describe("LAN mode on the kernel", { timeout: 600_000 }, () => {
  void it("lets a phone and the host reach a container, and answers for nothing else; then leaves nothing", async () => {
    using wire = new Wire();
    const phone = wire.machine(20);
    const host = new Host(wire, 2);
    const before = host.ns.ip("neigh show proxy");
    const container = host.container(wire);
    assert.equal(reaches(phone, V4), false, "nobody answers yet");
    await host.hold(V4, V6);
    for (const to of [V4, V6]) {
      assert.ok(reaches(phone, to), `phone to ${to}`);
      assert.ok(reaches(host.ns, to), `host to ${to}`);
      assert.equal(known(phone, to), host.mac);
    }
    for (const to of ["192.168.7.20", "2001:db8:7::20"]) assert.ok(reaches(container, to), `container to ${to}`);
    assert.equal(reaches(phone, "192.168.7.71"), false);
    assert.equal(known(phone, "192.168.7.71"), "");
    assert.equal(reaches(phone, "2001:db8:7::6d61:6e78:0:71"), false);
    await host.hold();
    assert.equal(host.ns.ip("neigh show proxy"), before);
    phone.ip("neigh flush dev eth0");
    assert.equal(reaches(phone, V4), false, "nobody answers any more");
  });

  void it("takes what is on the LAN along at once when a container moves to another host", async () => {
    using wire = new Wire();
    const phone = wire.machine(20);
    const [one, two] = [new Host(wire, 2), new Host(wire, 3)];
    one.container(wire);
    await one.hold(V4, V6);
    for (const to of [V4, V6]) assert.ok(reaches(phone, to));
    two.container(wire);
    await one.hold();
    await two.hold(V4, V6);
    for (const to of [V4, V6]) {
      await eventually(`the phone knows where ${to} is now`, () => known(phone, to) === two.mac);
      assert.ok(reaches(phone, to));
    }
  });

  void it("finds out that a machine has an address, and which are free", async () => {
    using wire = new Wire();
    const printer = wire.machine(20);
    const host = new Host(wire, 2);
    printer.ip("addr add 192.168.7.75/32 dev eth0");
    printer.ip("addr add 2001:db8:7::6d61:6e78:0:75/128 dev eth0 nodad");
    await host.hold();
    for (const text of ["192.168.7.75", "2001:db8:7::6d61:6e78:0:75"]) {
      assert.equal(await host.watch.isFree(address(text)), false, text);
      assert.equal(host.watch.isTaken(address(text)), true);
      assert.ok(host.watch.userOf(address(text)).includes(macOf(printer)));
    }
    for (const text of ["192.168.7.76", "2001:db8:7::6d61:6e78:0:76"])
      assert.equal(await host.watch.isFree(address(text)), true, text);
  });

  void it("answers a probe for a container's address, so that nobody takes it, and says when somebody did", async () => {
    using wire = new Wire();
    const phone = wire.machine(20);
    const [host, other] = [new Host(wire, 2), new Host(wire, 3)];
    host.container(wire);
    await host.hold(V4, V6);
    await other.hold();
    for (const text of [V4, V6]) assert.equal(await other.watch.isFree(address(text)), false, text);
    phone.ip(`addr add ${V4}/32 dev eth0`);
    // It is the ARP request that tells; the answer goes to whoever of the two is asked for.
    phone.run("sh", "-c", `ping -n -c 1 -I ${V4} -W 1 192.168.7.3 || :`);
    await eventually("the conflict is told", () => host.conflicts.some((why) => why.includes(V4)));
  });
});
