/** Real packets as the judge: each rule counts exactly the packets that it is meant for. */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { describe, it } from "node:test";
import { address, toBytes } from "../../src/core/net/address.ts";
import type { Chain, NftSet, Rule, Step } from "../../src/core/rules/ir.ts";
import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { SOCK_RAW, sendto, socket } from "../../src/drivers/syscall/libc.ts";
import { inNetworkNamespace } from "../../src/drivers/syscall/netns.ts";
import { type Flow, frame } from "../../src/lab/frame.ts";
import { map, rule, ruleset, set, table } from "./everything.ts";
import { Namespace } from "./namespace.ts";

const AF_PACKET = 17;
const INTERFACE = "manx0a1b";
const OUR_MAC = "02:00:00:00:00:01";
const THEIR_MAC = "02:00:00:00:00:02";

interface Packet extends Flow {
  readonly flags?: number;
  readonly mac?: string;
  readonly body?: Uint8Array;
}

const V4 = { source: "10.65.0.7", destination: "10.65.0.8" };
const V6 = { source: "fd00::7", destination: "fd00::8" };
const LOCAL6 = { source: "fe80::7", destination: "fe80::8" };
const tcp = (port: number, ends = V4): Packet => ({ ...ends, protocol: 6, sourcePort: 1234, destinationPort: port });
const udp = (port: number, ends = V4): Packet => ({ ...ends, protocol: 17, sourcePort: 1234, destinationPort: port });

const PACKETS = {
  tcp80: tcp(80),
  tcp81: tcp(81),
  tcp90: tcp(90),
  tcpAck: { ...tcp(80), flags: 16 },
  udp80: udp(80),
  udp53: udp(53, { source: "10.65.0.7", destination: "10.66.0.9" }),
  otherMac: { ...tcp(80), mac: "02:00:00:00:00:09" },
  otherSource: tcp(80, { source: "10.65.1.0", destination: "10.65.0.8" }),
  lastSource: tcp(80, { source: "10.65.0.255", destination: "10.65.0.8" }),
  sctp80: { ...V4, protocol: 132, sourcePort: 1, destinationPort: 80 },
  gre: { ...V4, protocol: 47 },
  ping: { ...V4, protocol: 1, icmp: { type: 8, code: 0 } },
  unreachable: { ...V4, protocol: 1, icmp: { type: 3, code: 1 } },
  tcp80v6: tcp(80, V6),
  udp53v6: udp(53, V6),
  tcp80local6: tcp(80, LOCAL6),
  ping6: { ...V6, protocol: 58, icmp: { type: 128, code: 0 } },
  icmpInV6: { ...V6, protocol: 1, icmp: { type: 8, code: 0 } },
  solicit: { ...LOCAL6, protocol: 58, icmp: { type: 135, code: 0 }, body: toBytes(address("fe80::9")) },
  solicitOther: { ...LOCAL6, protocol: 58, icmp: { type: 135, code: 0 }, body: toBytes(address("fd00::9")) },
} as const satisfies Record<string, Packet>;
type Name = keyof typeof PACKETS;

const all = Object.keys(PACKETS) as Name[];
const where = (test: (packet: Packet) => boolean): Name[] => all.filter((name) => test(PACKETS[name]));
const except = (...names: Name[]): Name[] => all.filter((name) => !names.includes(name));
const is6 = (packet: Packet): boolean => packet.source.includes(":");
const v4 = where((packet) => !is6(packet));
const v6 = where(is6);
const TCP: Step = { kind: "match", field: "meta l4proto", value: "6" };
const match = (field: (Step & { kind: "match" })["field"], value: string, negate = false): Step => ({
  kind: "match",
  field,
  value,
  negate,
});
const lookup = (name: string, fields: (Step & { kind: "lookup" })["fields"], negate = false): Step => ({
  kind: "lookup",
  fields,
  set: name,
  negate,
});

const SETS: Record<string, NftSet> = {
  sources: set(["ifname", "ether_addr", "ipv4_addr"], [`${INTERFACE} . ${THEIR_MAC} . 10.65.0.7`]),
  sources6: set(
    ["ifname", "ether_addr", "ipv6_addr"],
    [`${INTERFACE} . ${THEIR_MAC} . fd00::7`, `${INTERFACE} . ${THEIR_MAC} . fe80::9`],
  ),
  services: set(
    ["ipv4_addr", "inet_proto", "inet_service"],
    ["10.65.0.0/24 . 6 . 80-89", "10.66.0.1-10.66.0.9 . 17 . 53", "10.65.0.8 . 47 . 0-65535"],
    true,
  ),
  services6: set(
    ["ipv6_addr", "inet_proto", "inet_service"],
    ["fd00::/64 . 6 . 80-89", "fe80::1-fe80::8 . 6-17 . 0-65535"],
    true,
  ),
  exact: set(["ipv4_addr", "inet_proto", "inet_service"], ["10.65.0.8 . 6 . 80", "10.65.0.8 . 132 . 80"]),
  nets: set(["ipv4_addr"], ["10.65.0.0/24", "10.65.1.1-10.65.1.9"], true),
  whole: set(["ipv4_addr"], ["0.0.0.0/0"], true),
  halves6: set(["ipv6_addr"], ["::/1", "8000::/1"], true),
  nets6: set(["ipv6_addr"], ["fd00::/64"], true),
  ports: set(["inet_service"], ["80-89", "65535"], true),
  interfaces: set(["ifname"], ["eth*", "manx0*"], true),
  doors: set(["ifname", "inet_service"], ["manx* . 80", "other0 . 81"], true),
  types: set(["icmp_type", "icmp_code"], ["3 . 0-3"], true),
  types6: set(["icmpv6_type"], ["133-137"], true),
  verdicts: map(["ifname"], "verdict", { [INTERFACE]: { kind: "jump", chain: "jumped" }, other: { kind: "accept" } }),
  verdicts4: map(
    ["ipv4_addr", "inet_service"],
    "verdict",
    { "10.65.0.0/24 . 80": { kind: "jump", chain: "jumped4" } },
    true,
  ),
};

/** What a rule says, and what it must count. */
const RULES: Record<string, readonly [readonly Step[], readonly Name[]]> = {
  everything: [[], all],
  "an interface by name": [[match("meta iifname", INTERFACE)], all],
  "a longer interface name": [[match("meta iifname", `${INTERFACE}c`)], []],
  "a wildcard": [[match("meta iifname", "manx*")], all],
  "a wildcard of the whole name": [[match("meta iifname", `${INTERFACE}*`)], all],
  "not a wildcard": [[match("meta iifname", "manx*", true)], []],
  "another wildcard": [[match("meta iifname", "manx1*")], []],
  "a wildcard in a set": [[lookup("interfaces", ["meta iifname"])], all],
  "a wildcard in a concatenation": [
    [TCP, lookup("doors", ["meta iifname", "th dport"])],
    where((p) => p.protocol === 6 && p.destinationPort === 80),
  ],
  IPv4: [[match("meta nfproto", "ipv4")], v4],
  "not IPv4": [[match("meta nfproto", "ipv4", true)], v6],
  "a source address": [[match("ip saddr", "10.65.0.7")], where((p) => p.source === "10.65.0.7")],
  "not a source address, of IPv4 only": [[match("ip saddr", "10.65.0.7", true)], ["otherSource", "lastSource"]],
  "a prefix": [[match("ip saddr", "10.65.0.0/24")], where((p) => !is6(p) && p.source !== "10.65.1.0")],
  "a prefix within a byte": [[match("ip saddr", "10.65.0.240/28")], ["lastSource"]],
  "a range of addresses": [[match("ip daddr", "10.65.0.9-10.66.0.9")], ["udp53"]],
  "not a range of addresses": [[match("ip daddr", "10.65.0.9-10.66.0.9", true)], v4.filter((name) => name !== "udp53")],
  "all of IPv4": [[match("ip saddr", "0.0.0.0/0")], v4],
  "none of IPv4": [[match("ip saddr", "0.0.0.0/0", true)], []],
  "an IPv6 prefix within a byte": [[match("ip6 saddr", "fe80::/10")], where((p) => p.source.startsWith("fe80"))],
  "an IPv6 range": [[match("ip6 daddr", "fd00::1-fd00::8")], where((p) => p.destination === "fd00::8")],
  "a MAC address": [[match("ether saddr", THEIR_MAC)], except("otherMac")],
  "a protocol": [[match("meta l4proto", "132")], ["sctp80"]],
  "a range of protocols": [[match("meta l4proto", "6-17")], where((p) => p.protocol === 6 || p.protocol === 17)],
  "a port": [[TCP, match("th dport", "80")], where((p) => p.protocol === 6 && p.destinationPort === 80)],
  "not a port": [
    [TCP, match("th dport", "80", true)],
    ["tcp81", "tcp90"],
  ],
  "a range of ports": [
    [TCP, match("th dport", "81-90")],
    ["tcp81", "tcp90"],
  ],
  "a source port": [
    [match("meta l4proto", "17"), match("th sport", "1234")],
    ["udp80", "udp53", "udp53v6"],
  ],
  "the first segment": [
    [{ kind: "tcp-flags", mask: 23, value: 2 }],
    where((p) => p.protocol === 6 && p.flags === undefined),
  ],
  "not the first segment": [[{ kind: "tcp-flags", mask: 23, value: 2, negate: true }], ["tcpAck"]],
  "an ICMP type, of ICMP over IPv4 only": [[match("icmp type", "8")], ["ping"]],
  "an ICMP code": [[match("icmp type", "3"), match("icmp code", "1")], ["unreachable"]],
  "an ICMP type and code in a set": [[lookup("types", ["icmp type", "icmp code"])], ["unreachable"]],
  "an ICMPv6 type": [[match("icmpv6 type", "128")], ["ping6"]],
  "ICMPv6 types in a set": [[lookup("types6", ["icmpv6 type"])], ["solicit", "solicitOther"]],
  "a target of neighbour discovery": [[match("icmpv6 type", "135"), match("icmpv6 taddr", "fe80::/10")], ["solicit"]],
  "a target in a set": [
    [match("icmpv6 type", "135"), lookup("sources6", ["meta iifname", "ether saddr", "icmpv6 taddr"])],
    ["solicit"],
  ],
  "a target not in a set": [
    [match("icmpv6 type", "135"), lookup("sources6", ["meta iifname", "ether saddr", "icmpv6 taddr"], true)],
    ["solicitOther"],
  ],
  "interface, MAC and source": [
    [lookup("sources", ["meta iifname", "ether saddr", "ip saddr"])],
    where((p) => p.source === "10.65.0.7" && p.mac === undefined),
  ],
  "not interface, MAC and source": [
    [lookup("sources", ["meta iifname", "ether saddr", "ip saddr"], true)],
    ["otherMac", "otherSource", "lastSource"],
  ],
  "interface, MAC and IPv6 source": [
    [lookup("sources6", ["meta iifname", "ether saddr", "ip6 saddr"])],
    where((p) => p.source === "fd00::7"),
  ],
  "address, protocol and port in ranges": [
    [lookup("services", ["ip daddr", "meta l4proto", "th dport"])],
    ["tcp80", "tcp81", "tcpAck", "udp53", "otherMac", "otherSource", "lastSource", "gre"],
  ],
  "address, protocol and port in ranges, IPv6": [
    [lookup("services6", ["ip6 daddr", "meta l4proto", "th dport"])],
    ["tcp80v6", "tcp80local6"],
  ],
  "address, protocol and port": [
    [lookup("exact", ["ip daddr", "meta l4proto", "th dport"])],
    ["tcp80", "tcpAck", "otherMac", "otherSource", "lastSource", "sctp80"],
  ],
  "nets in a set": [[lookup("nets", ["ip saddr"])], where((p) => !is6(p) && p.source !== "10.65.1.0")],
  "not nets in a set": [[lookup("nets", ["ip saddr"], true)], ["otherSource"]],
  "all of IPv4 in a set": [[lookup("whole", ["ip saddr"])], v4],
  "all of IPv6 in halves": [[lookup("halves6", ["ip6 saddr"])], v6],
  "IPv6 nets in a set": [[lookup("nets6", ["ip6 saddr"])], where((p) => p.source === "fd00::7")],
  "ports in a set": [[TCP, lookup("ports", ["th dport"])], where((p) => p.protocol === 6 && p.destinationPort !== 90)],
  "a mark that was set": [[{ kind: "set-mark", value: 0x1200, mask: 0xff00 }, match("meta mark", "0x1200")], all],
  "bits of a mark": [
    [
      { kind: "set-mark", value: 0x1234, mask: 0xffff },
      { kind: "mark", value: 0x1200, mask: 0xff00 },
      { kind: "mark", value: 0x1200, mask: 0xffff, negate: true },
    ],
    all,
  ],
  "bits that a mark does not have": [
    [
      { kind: "set-mark", value: 0x1234, mask: 0xffff },
      { kind: "mark", value: 0x10000000, mask: 0x10000000 },
    ],
    [],
  ],
  "a mark that kept its other bits": [
    [{ kind: "set-mark", value: 0x34, mask: 0xff }, match("meta mark", "0x1234")],
    all,
  ],
};

const chains = (rules: readonly Rule[]): Record<string, Chain> => ({
  jumped: { rules: [{ steps: [{ kind: "counter" }], comment: "jumped" }] },
  jumped4: { rules: [{ steps: [{ kind: "counter" }], comment: "jumped4" }] },
  prerouting: {
    base: { type: "filter", hook: "prerouting", priority: -300, policy: "accept" },
    rules: [
      ...rules,
      rule({ kind: "vmap", fields: ["meta iifname"], map: "verdicts" }),
      rule(TCP, { kind: "vmap", fields: ["ip saddr", "th dport"], map: "verdicts4" }),
    ],
  },
});

describe("rules in the kernel", () => {
  it("count the packets that they are meant for, and no others", { timeout: 300_000 }, async () => {
    using host = new Namespace();
    using peer = new Namespace();
    host.run(
      "ip",
      "link",
      "add",
      INTERFACE,
      "address",
      OUR_MAC,
      "type",
      "veth",
      "peer",
      "name",
      "wire",
      "address",
      THEIR_MAC,
      "netns",
      peer.name,
    );
    for (const [namespace, link] of [
      [host, INTERFACE],
      [peer, "wire"],
    ] as const) {
      namespace.run("sysctl", "-qw", `net.ipv6.conf.${link}.disable_ipv6=1`);
      namespace.run("ip", "link", "set", link, "arp", "off", "up");
    }
    host.run("sysctl", "-qw", `net.ipv6.conf.${INTERFACE}.disable_ipv6=0`, `net.ipv6.conf.${INTERFACE}.accept_ra=0`);
    using driver = Nftables.open({ netns: host.path });
    const rules = Object.entries(RULES).map(
      ([comment, [steps]]): Rule => ({ steps: [...steps, { kind: "counter" }], comment }),
    );
    await driver.apply(ruleset(table("inet", SETS, chains(rules))));
    const counts = async (): Promise<Map<string, bigint>> =>
      new Map((await driver.counters()).rules.map(({ comment, packets }) => [comment ?? "", packets]));
    const wire = inNetworkNamespace(peer.path, () => socket(AF_PACKET, SOCK_RAW, 0));
    const index = Number(peer.run("cat", "/sys/class/net/wire/ifindex"));
    try {
      await eventually(async () => peer.run("cat", "/sys/class/net/wire/operstate").trim() === "up");
      const counted = new Map<string, Name[]>([...(await counts()).keys()].map((comment) => [comment, []]));
      for (const name of all) {
        const before = await counts();
        send(wire, index, PACKETS[name]);
        await eventually(async () => (await counts()).get("everything") === (before.get("everything") ?? 0n) + 1n);
        for (const [comment, packets] of await counts())
          if (packets > (before.get(comment) ?? 0n)) counted.get(comment)?.push(name);
      }
      const wanted = new Map<string, readonly Name[]>(
        Object.entries(RULES).map(([comment, [, names]]) => [comment, names]),
      );
      wanted.set("jumped", all);
      wanted.set(
        "jumped4",
        where((p) => !is6(p) && p.protocol === 6 && p.destinationPort === 80 && p.source !== "10.65.1.0"),
      );
      for (const [comment, names] of wanted)
        assert.deepEqual([comment, counted.get(comment)], [comment, all.filter((name) => names.includes(name))]);
    } finally {
      closeSync(wire);
    }
  });
});

async function eventually(test: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail("it did not come true");
}

/** `struct sockaddr_ll` of packet(7): the frame goes out as it is. */
function send(fd: number, index: number, packet: Packet): void {
  const to = Buffer.alloc(20);
  to.writeUInt16LE(AF_PACKET, 0);
  to.writeInt32LE(index, 4);
  const { flags, mac = THEIR_MAC, body, ...flow } = packet;
  sendto(
    fd,
    frame(flow, {
      sourceMac: mac,
      destinationMac: OUR_MAC,
      token: "x",
      ...(flags === undefined ? {} : { tcpFlags: flags }),
      ...(body === undefined ? {} : { body }),
    }),
    to,
  );
}
