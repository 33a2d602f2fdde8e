/**
 * The real kernel as a judge of policies, with real packets: for `manx test --kernel` and our own tests. One namespace is the
 * host; all containers' ends of its veth pairs are in another, without addresses, so that nobody answers and a packet's
 * arrival is the only thing that happens.
 */
import { execFileSync } from "node:child_process";
import { closeSync } from "node:fs";
import type { HostState } from "../core/calc/host-state.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import type { Ruleset } from "../core/rules/ir.ts";
import { DriverError } from "../drivers/error.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import {
  AF_NETLINK,
  bind,
  recvfrom,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  sendto,
  socket,
} from "../drivers/syscall/libc.ts";
import { NLM_F_ACK, NLM_F_REQUEST, NLMSG_HEADER } from "../drivers/syscall/netlink-message.ts";
import { inNetworkNamespace } from "../drivers/syscall/netns.ts";
import { type Flow, frame, ipPacket, u16 } from "./frame.ts";
import { freshSettings } from "./fresh.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;
const IPPROTO_RAW = 255;
const HOST_PROTOCOLS = [1, 6, 17, 47, 58, 132, 136];
const NETLINK_NETFILTER = 12;
/** `struct sockaddr_nl` of netlink(7) of the kernel. */
const KERNEL = Uint8Array.from([...u16le(AF_NETLINK), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
/** IPCTNL_MSG_CT_DELETE of NFNL_SUBSYS_CTNETLINK without a tuple: all of every family (nfnetlink_conntrack.h). */
const FLUSH = Uint8Array.from([
  NLMSG_HEADER + 4,
  0,
  0,
  0,
  2,
  1,
  ...u16le(NLM_F_REQUEST | NLM_F_ACK),
  ...new Uint8Array(12),
]);
const GATEWAY_MAC = "02:00:00:00:00:fe";

/** How a packet is sent. */
export interface Shot {
  readonly flow: Flow;
  /** Interface of the host where it comes in; absent: from the host itself. */
  readonly from?: string;
  /** Absent: the endpoint's own. */
  readonly sourceMac?: string;
  readonly tcpFlags?: number;
}

/** Another interface of the host, with nets behind it. */
export interface Lan {
  readonly interface: string;
  /** Each with an address of its own that is the next hop. */
  readonly nets: readonly { readonly net: string; readonly router: string }[];
}

/** Puts a ruleset in force in a namespace, in place of what was there. */
async function putRuleset(netns: string, ruleset: Ruleset): Promise<void> {
  using tables = Nftables.open({ netns });
  await tables.apply(ruleset);
}

export class KernelHost {
  readonly #host: string;
  readonly #others: string;
  readonly #taps = new Map<string, { fd: number; index: number; mac: string; hostMac: string }>();
  readonly #hostSockets: number[] = [];
  readonly #conntrack: number;
  readonly #senders: Readonly<Record<4 | 6, number>>;
  readonly #seen = new Map<string, Set<string>>();
  #shots = 0;

  /** Makes the namespaces, the uplink `eth0` with the host's addresses, and a veth pair for each endpoint. */
  constructor(
    label: string,
    endpoints: readonly Endpoint[],
    hostAddresses: readonly string[],
    lans: readonly Lan[] = [],
  ) {
    this.#host = `mxp${process.pid}${label}h`;
    this.#others = `mxp${process.pid}${label}c`;
    execFileSync("ip", ["netns", "add", this.#host]);
    execFileSync("ip", ["netns", "add", this.#others]);
    try {
      this.#senders = this.#prepare(endpoints, hostAddresses, lans);
      this.#conntrack = inNetworkNamespace(this.path, () =>
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER),
      );
    } catch (error) {
      this.#removeNamespaces();
      throw error;
    }
  }

  #prepare(
    endpoints: readonly Endpoint[],
    hostAddresses: readonly string[],
    lans: readonly Lan[],
  ): Readonly<Record<4 | 6, number>> {
    this.exec("sysctl", "-qw", ...freshSettings());
    this.exec("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv4.ip_forward=1");
    this.exec("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratelimit=0");
    execFileSync("ip", ["netns", "exec", this.#others, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
    this.ip(["link set lo up"]);
    this.#veth("eth0", "outside", GATEWAY_MAC);
    for (const one of endpoints) if (one.local) this.#veth(one.local.interface, one.local.peer, one.local.mac);
    this.ip([
      ...hostAddresses.map((text) => `addr add ${text}/${text.includes(":") ? "64 nodad" : 24} dev eth0`),
      `neigh replace 192.0.2.254 lladdr ${GATEWAY_MAC} dev eth0 nud permanent`,
      `neigh replace 2001:db8::fe lladdr ${GATEWAY_MAC} dev eth0 nud permanent`,
      // Without a network of its own on the link, every address outside goes to the gateway.
      "route replace default via 192.0.2.254 dev eth0 onlink",
      "route replace ::/0 via 2001:db8::fe dev eth0 onlink",
    ]);
    for (const lan of lans) this.#lan(lan);
    return inNetworkNamespace(this.#path(this.#host), () => {
      for (const protocol of HOST_PROTOCOLS)
        for (const family of [AF_INET, AF_INET6])
          this.#hostSockets.push(socket(family, SOCK_RAW | SOCK_NONBLOCK, protocol));
      return { 4: socket(AF_INET, SOCK_RAW, IPPROTO_RAW), 6: socket(AF_INET6, SOCK_RAW, IPPROTO_RAW) };
    });
  }

  #lan({ interface: name, nets }: Lan): void {
    this.#veth(name, `out${name}`, GATEWAY_MAC);
    this.ip(
      nets.flatMap(({ net, router }) => [
        `neigh replace ${router} lladdr ${GATEWAY_MAC} dev ${name} nud permanent`,
        `route replace ${net} via ${router} dev ${name} onlink`,
      ]),
    );
  }

  /** Runs a program inside the host's namespace. */
  exec(name: string, ...args: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.#host, name, ...args], { encoding: "utf8" });
  }

  /** Commands of ip(8) in the host's namespace. */
  ip(lines: readonly string[]): void {
    this.#batch(this.#host, lines);
  }

  get path(): string {
    return this.#path(this.#host);
  }

  /** Puts the routes, neighbours, gateways and the ruleset of the state in force, and forgets all connections. */
  async load(state: HostState): Promise<void> {
    await putRuleset(this.path, state.ruleset);
    for (const family of ["-4", "-6"])
      execFileSync("ip", ["-n", this.#host, family, "route", "flush", "proto", "200"], { stdio: "ignore" });
    const lines: string[] = [];
    for (const [key, route] of state.routes) {
      const prefix = key.slice(2);
      const via = route.kind === "link" ? `dev ${route.interface}` : "";
      lines.push(`route replace ${route.kind === "link" ? "" : "blackhole "}${prefix} ${via} proto 200`);
    }
    for (const [key, { mac }] of state.neighbours) {
      const [name = "", address = ""] = key.split(" ");
      lines.push(`neigh replace ${address} lladdr ${mac} dev ${name} nud permanent`);
    }
    for (const address of state.gatewayAddresses) lines.push(`addr replace ${address} dev lo scope link`);
    for (const [name, { gateway6 }] of state.links)
      if (gateway6 !== undefined) lines.push(`addr replace ${gateway6}/64 dev ${name} nodad`);
    this.ip(lines);
    this.forget();
  }

  /** Loads another ruleset and keeps the connections. */
  async loadRules(ruleset: Ruleset): Promise<void> {
    await putRuleset(this.path, ruleset);
  }

  /** Empties conntrack, as `conntrack -F` does, which tests would start two thousand times. */
  forget(): void {
    sendto(this.#conntrack, FLUSH, KERNEL);
    const answer = Buffer.alloc(256);
    const length = recvfrom(this.#conntrack, answer, 0, new Uint8Array(128));
    // struct nlmsgerr (netlink(7)): after the header 0 or a negative errno.
    const error = length === undefined ? undefined : answer.readInt32LE(NLMSG_HEADER);
    if (error !== 0) throw new DriverError("failed", `Cannot empty conntrack: the kernel answers ${error}`);
  }

  /** Sends all, waits, and says where each arrived: interfaces of the host by which it left, and `host`. */
  async shoot(shots: readonly Shot[]): Promise<ReadonlySet<string>[]> {
    const tokens = shots.map((shot) => this.#send(shot));
    await new Promise((resolve) => setTimeout(resolve, 15));
    this.#collect();
    return tokens.map((token, index) => {
      const places = new Set(this.#seen.get(token));
      // An ICMP error that the host sends back quotes the packet.
      places.delete(shots[index]?.from ?? "");
      return places;
    });
  }

  #send({ flow, from, sourceMac, tcpFlags }: Shot): string {
    const token = `<${process.pid}:${this.#shots++}>`;
    const options = tcpFlags === undefined ? { token } : { token, tcpFlags };
    if (from === undefined) {
      const six = flow.source.includes(":");
      const to = Buffer.alloc(six ? 28 : 16);
      to.writeUInt16LE(six ? AF_INET6 : AF_INET, 0);
      const packet = Buffer.from(ipPacket(flow, options));
      packet.copy(to, six ? 8 : 4, six ? 24 : 16, six ? 40 : 20);
      try {
        sendto(this.#senders[six ? 6 : 4], packet, to);
      } catch {
        // EPERM: the output hook dropped it, and tells the sender.
      }
      return token;
    }
    const tap = this.#taps.get(from);
    if (tap === undefined) throw new Error(`no interface ${from}`);
    const data = frame(flow, { ...options, sourceMac: sourceMac ?? tap.mac, destinationMac: tap.hostMac });
    sendto(tap.fd, data, linkAddress(tap.index));
    return token;
  }

  /** Sends any frame as the container at the interface. */
  sendFrame(from: string, data: Uint8Array): void {
    const tap = this.#taps.get(from);
    if (tap === undefined) throw new Error(`no interface ${from}`);
    sendto(tap.fd, data, linkAddress(tap.index));
  }

  hostMac(name: string): string {
    return this.#taps.get(name)?.hostMac ?? "";
  }

  #collect(): void {
    for (const [name, { fd }] of this.#taps) this.#drain(fd, name);
    for (const fd of this.#hostSockets) this.#drain(fd, "host");
  }

  #drain(fd: number, place: string): void {
    const buffer = Buffer.alloc(2048);
    const from = new Uint8Array(128);
    for (;;) {
      const length = recvfrom(fd, buffer, 0, from);
      if (length === undefined) return;
      // sll_pkttype 4 (PACKET_OUTGOING): what we sent ourselves. 0 (PACKET_HOST) and others came from the host.
      if (place !== "host" && from[10] === 4) continue;
      for (const [token] of buffer.toString("latin1", 0, length).matchAll(/<\d+:\d+>/g)) {
        const places = this.#seen.get(token) ?? new Set();
        this.#seen.set(token, places.add(place));
      }
    }
  }

  #veth(name: string, peer: string, mac: string): void {
    this.ip([
      `link add ${name} type veth peer name ${peer} address ${mac} netns ${this.#others}`,
      `link set dev ${name} addrgenmode none`,
      `link set dev ${name} up`,
    ]);
    this.#batch(this.#others, [`link set dev ${peer} up`]);
    const hostMac = this.exec("cat", `/sys/class/net/${name}/address`).trim();
    const shown = execFileSync("ip", ["-n", this.#others, "-j", "link", "show", "dev", peer], { encoding: "utf8" });
    const index = (JSON.parse(shown) as { ifindex: number }[])[0]?.ifindex ?? 0;
    const tap = inNetworkNamespace(this.#path(this.#others), () => {
      const fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, u16ToHost(0x0003));
      bind(fd, linkAddress(index));
      return { fd, index };
    });
    this.#taps.set(name, { ...tap, mac, hostMac });
  }

  #batch(namespace: string, lines: readonly string[]): void {
    const input = `${lines.join("\n")}\n`;
    execFileSync("ip", ["-n", namespace, "-force", "-batch", "-"], { input, stdio: ["pipe", "ignore", "pipe"] });
  }

  #path(namespace: string): string {
    return `/var/run/netns/${namespace}`;
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#taps.values()) closeSync(fd);
    for (const fd of [...this.#hostSockets, this.#conntrack, this.#senders[4], this.#senders[6]]) closeSync(fd);
    this.#removeNamespaces();
  }

  #removeNamespaces(): void {
    for (const namespace of [this.#host, this.#others]) execFileSync("ip", ["netns", "del", namespace]);
  }
}

/** `struct sockaddr_ll` of packet(7), every protocol. */
function linkAddress(index: number): Uint8Array {
  const out = Buffer.alloc(20);
  out.writeUInt16LE(AF_PACKET, 0);
  out.set(u16(0x0003), 2);
  out.writeInt32LE(index, 4);
  return out;
}

function u16le(value: number): [number, number] {
  return [value & 255, value >> 8];
}

function u16ToHost(value: number): number {
  const [high, low] = u16(value);
  return low * 256 + high;
}
