/** What holds before any policy: sources, neighbours, connections, translation, the guard of forwarding. Needs root. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { derive } from "../../src/core/calc/derive.ts";
import type { Endpoint, Snapshot } from "../../src/core/calc/snapshot.ts";
import type { IPPool } from "../../src/core/model/resources.ts";
import { address, type Family, toBytes } from "../../src/core/net/address.ts";
import { Nftables } from "../../src/drivers/nftables/nftables.ts";
import { type Flow, frame } from "../../src/lab/frame.ts";
import { KernelHost } from "../../src/lab/kernel-host.ts";
import { emptySnapshot, endpoint, network } from "./world.ts";

const HOST_ADDRESSES = ["192.0.2.1", "2001:db8::1"];
const ALL_NODES = "ff02::1";
const published = [
  { protocol: "TCP", port: 80, host: { address: "", port: 8080 } },
  { protocol: "UDP", port: 53, host: { address: "192.0.2.1", port: 5353 } },
  { protocol: "TCP", port: 81, host: { address: "127.0.0.1", port: 8081 } },
] as const;
const WEB = endpoint("web", { addresses: ["10.65.0.1", "fd65::1"], published });
const DB = endpoint("db", { addresses: ["10.65.0.2", "fd65::2"] });
const OTHER = endpoint("other", { addresses: ["10.65.0.3", "fd65::3"], network: "dbs" });
const DUO = endpoint("duo1", { addresses: ["10.65.0.4", "fd65::4"], container: "duo" });
const DUO2 = endpoint("duo2", { addresses: ["10.65.0.5", "fd65::5"], container: "duo", network: "dbs" });
const STRANGER = endpoint("strange", { addresses: ["10.65.0.9", "fd65::9"], joined: false });
const ENDPOINTS = [WEB, DB, OTHER, DUO, DUO2, STRANGER];

function pool(name: string, cidr: string): IPPool {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name },
    spec: {
      cidr,
      blockSize: cidr.includes(":") ? 122 : 26,
      natOutgoing: true,
      nodeSelector: "all()",
      allowedUses: ["Workload"],
      assignmentMode: "Automatic",
    },
  };
}

const SNAPSHOT: Snapshot = emptySnapshot({
  endpoints: ENDPOINTS,
  networks: [network("apps"), network("dbs")],
  pools: [pool("p4", "10.65.0.0/16"), pool("p6", "fd65::/48")],
  blocks: ["10.65.0.0/26"],
});

describe("before any policy", () => {
  let kernel: KernelHost;
  let nftables: Nftables;
  before(async () => {
    kernel = new KernelHost("g", ENDPOINTS, HOST_ADDRESSES);
    nftables = Nftables.open({ netns: kernel.path });
    // Our segments have no real sequence numbers.
    kernel.exec("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1");
    const state = derive(SNAPSHOT);
    await kernel.load(state);
    for (const [path, value] of state.sysctls)
      if (path.includes("/conf/manx")) kernel.exec("sysctl", "-qw", `${path.replaceAll("/", ".")}=${value}`);
  });
  after(() => {
    nftables[Symbol.dispose]();
    kernel[Symbol.dispose]();
  });
  afterEach(() => kernel.forget());

  const tcp = (source: string, destination: string, destinationPort = 9, sourcePort = 40000): Flow => ({
    source,
    destination,
    protocol: 6,
    sourcePort,
    destinationPort,
  });
  const udp = (source: string, destination: string, destinationPort: number): Flow => ({
    ...tcp(source, destination, destinationPort),
    protocol: 17,
  });
  const nameOf = (one: Endpoint): string => one.local?.interface ?? "";
  const addressOf = (one: Endpoint, family = 0): string => one.addresses[family] ?? "";
  async function send(from: Endpoint | "eth0" | "host", flow: Flow, extra = {}): Promise<string[]> {
    const at = from === "host" ? {} : { from: from === "eth0" ? "eth0" : nameOf(from) };
    const [arrived] = await kernel.shoot([{ flow, ...at, ...extra }]);
    return [...(arrived ?? [])];
  }
  async function dropped(comment: string): Promise<number> {
    const { rules } = await nftables.counters();
    return rules.filter((one) => one.comment === comment).reduce((sum, { packets }) => sum + Number(packets), 0);
  }
  /** Runs the action and says by how much the counter of the rule grew. */
  async function growth(comment: string, action: () => unknown): Promise<number> {
    const start = await dropped(comment);
    await action();
    await new Promise((resolve) => setTimeout(resolve, 15));
    return (await dropped(comment)) - start;
  }

  for (const family of [0, 1]) {
    const version = `IPv${family === 0 ? 4 : 6}`;
    it(`a container's own source passes, another's never leaves its veth (${version})`, async () => {
      assert.deepEqual(await send(WEB, tcp(addressOf(WEB, family), addressOf(DB, family))), [nameOf(DB)]);
      const stolen = tcp(addressOf(OTHER, family), addressOf(DUO2, family));
      assert.equal(await growth("spoofed-source", () => send(WEB, stolen)), 1);
      const foreign = tcp(family === 0 ? "198.51.100.9" : "2001:db8:9::9", addressOf(DB, family));
      assert.equal(await growth("spoofed-source", () => send(WEB, foreign)), 1);
    });
    it(`a container's source is nobody's elsewhere (${version})`, async () => {
      const stolen = tcp(addressOf(WEB, family), addressOf(DB, family));
      assert.equal(await growth("spoofed-source", async () => assert.deepEqual(await send("eth0", stolen), [])), 1);
    });
    it(`another MAC never leaves the veth (${version})`, async () => {
      const flow = tcp(addressOf(WEB, family), addressOf(DB, family));
      const sourceMac = DB.local?.mac;
      assert.equal(await growth("spoofed-source", () => send(WEB, flow, { sourceMac })), 1);
    });
    it(`a spoofed segment of another's connection is dropped (${version})`, async () => {
      await send(OTHER, tcp(addressOf(OTHER, family), addressOf(DUO2, family)));
      const flow = tcp(addressOf(OTHER, family), addressOf(DUO2, family));
      assert.deepEqual(await send(WEB, flow, { tcpFlags: 16 }), []);
    });
    it(`an interface that we do not know sends and receives nothing (${version})`, async () => {
      assert.deepEqual(await send(STRANGER, tcp(addressOf(STRANGER, family), addressOf(DB, family))), []);
      kernel.ip([`route replace ${addressOf(STRANGER, family)} dev ${nameOf(STRANGER)} proto 200`]);
      const mac = STRANGER.local?.mac;
      kernel.ip([`neigh replace ${addressOf(STRANGER, family)} lladdr ${mac} dev ${nameOf(STRANGER)} nud permanent`]);
      assert.deepEqual(await send(DB, tcp(addressOf(DB, family), addressOf(STRANGER, family))), []);
      assert.deepEqual(await send("eth0", tcp("198.51.100.7", addressOf(STRANGER, family))), []);
      assert.deepEqual(await send("host", tcp(HOST_ADDRESSES[family] ?? "", addressOf(STRANGER, family))), []);
    });
    it(`a container with two networks may use both addresses on both interfaces (${version})`, async () => {
      assert.deepEqual(await send(DUO, tcp(addressOf(DUO2, family), addressOf(OTHER, family))), [nameOf(OTHER)]);
      assert.deepEqual(await send(DUO, tcp(addressOf(DUO, family), addressOf(OTHER, family))), [nameOf(OTHER)]);
      assert.deepEqual(await send(DB, tcp(addressOf(DUO2, family), addressOf(OTHER, family))), []);
    });
    it(`a segment in mid-stream starts no connection (${version})`, async () => {
      const flow = tcp(addressOf(WEB, family), addressOf(DB, family));
      assert.equal(await growth("mid-stream", () => send(WEB, flow, { tcpFlags: 16 })), 1);
      assert.deepEqual(await send(WEB, flow, { tcpFlags: 18 }), []);
      assert.deepEqual(await send(WEB, flow), [nameOf(DB)]);
      const back = {
        ...flow,
        source: flow.destination,
        destination: flow.source,
        sourcePort: 9,
        destinationPort: 40000,
      };
      assert.deepEqual(await send(DB, back, { tcpFlags: 18 }), [nameOf(WEB)]);
      assert.deepEqual(await send(WEB, flow, { tcpFlags: 16 }), [nameOf(DB)]);
    });
    it(`what leaves all pools takes the host's address (${version})`, async () => {
      const out = udp(addressOf(OTHER, family), family === 0 ? "198.51.100.7" : "2001:db8:1::7", 53);
      assert.deepEqual(await send(OTHER, out), ["eth0"]);
      assert.equal(translations(kernel, addressOf(OTHER, family)).length, 1);
    });
    it(`traffic between pools keeps its source (${version})`, async () => {
      const flow = udp(addressOf(WEB, family), family === 0 ? "10.65.9.9" : "fd65:0:0:9::9", 53);
      assert.deepEqual(await send(WEB, flow), ["eth0"]);
      assert.equal(translations(kernel, addressOf(WEB, family)).length, 0);
    });
    it(`a host port leads to its container, from anywhere (${version})`, async () => {
      const host = HOST_ADDRESSES[family] ?? "";
      const outside = family === 0 ? "198.51.100.7" : "2001:db8:1::7";
      assert.deepEqual(await send("eth0", tcp(outside, host, 8080)), [nameOf(WEB)]);
      assert.deepEqual(await send(OTHER, tcp(addressOf(OTHER, family), host, 8080)), [nameOf(WEB)]);
      assert.deepEqual(await send("eth0", tcp(outside, host, 8081)), ["host"]);
      // From this host the kernel opens connections by itself: raw packets with a header are not translated back.
      assert.deepEqual(await send("eth0", tcp(outside, addressOf(WEB, family), 81)), []);
    });
    it(`a container that uses its own host port sees another's address (${version})`, async () => {
      await send(WEB, tcp(addressOf(WEB, family), HOST_ADDRESSES[family] ?? "", 8080));
      assert.equal(translations(kernel, addressOf(WEB, family)).length, 1);
    });
  }

  it("a host port bound to one address is open there only", async () => {
    assert.deepEqual(await send("eth0", udp("198.51.100.7", "192.0.2.1", 5353)), [nameOf(WEB)]);
    assert.deepEqual(await send("eth0", udp("2001:db8:1::7", "2001:db8::1", 5353)), ["host"]);
  });
  it("ports on 127.0.0.1 are the host's alone", async () => {
    assert.equal(await growth("loopback-destination", () => send(WEB, tcp(addressOf(WEB), "127.0.0.1", 8081))), 1);
    assert.deepEqual(await send("host", tcp("127.0.0.1", "127.0.0.1", 8081)), [nameOf(WEB)]);
  });
  it("nobody's address in our block goes nowhere", async () => {
    assert.deepEqual(await send(WEB, tcp(addressOf(WEB), "10.65.0.60")), []);
    assert.deepEqual(await send("eth0", tcp("198.51.100.7", "10.65.0.60")), []);
  });

  it("neighbour discovery speaks of own addresses and of the gateway only", async () => {
    const mac = WEB.local?.mac ?? "";
    const solicit = (target: string, source = addressOf(WEB, 1)): number[] => neighbour(135, source, target, mac);
    const advertise = (target: string): number[] => neighbour(136, addressOf(WEB, 1), target, mac);
    const of = (message: number[]): Promise<number> =>
      growth("foreign-neighbour", () => kernel.sendFrame(nameOf(WEB), Uint8Array.from(message)));
    assert.equal(await of(solicit("fe80::1")), 0);
    assert.equal(await of(solicit(addressOf(WEB, 1), "::")), 0);
    assert.equal(await of(advertise(addressOf(WEB, 1))), 0);
    assert.equal(await of(advertise(addressOf(DB, 1))), 1);
    assert.equal(await of(solicit(addressOf(DB, 1))), 1);
    assert.equal(await of(neighbour(134, "fe80::7", ALL_NODES, mac)), 1);
    const stolen = neighbour(135, addressOf(DB, 1), "fe80::1", mac);
    assert.equal(await growth("spoofed-source", () => kernel.sendFrame(nameOf(WEB), Uint8Array.from(stolen))), 1);
  });
  it("what every IPv6 stack says to its link is not heard, and no news", async () => {
    const mac = WEB.local?.mac ?? "";
    const ways = ["::", "fe80::7"].flatMap((source) => [131, 132, 133, 143].map((type) => [source, type] as const));
    for (const [source, type] of ways)
      for (const rule of ["spoofed-source", "endpoint-to-host"]) {
        const message = Uint8Array.from(neighbour(type, source, "fe80::1", mac, "ff02::2"));
        const dropped = await growth(rule, () => kernel.sendFrame(nameOf(WEB), message));
        assert.equal(dropped, 0, `type ${type} from ${source}: ${rule}`);
      }
  });
  it("ARP names its own sender", async () => {
    const mac = WEB.local?.mac ?? "";
    const of = (senderMac: string, sender: string): Promise<number> =>
      growth("spoofed-arp", () => kernel.sendFrame(nameOf(WEB), arp(senderMac, sender)));
    assert.equal(await of(mac, addressOf(WEB)), 0);
    assert.equal(await of(mac, addressOf(DB)), 1);
    assert.equal(await of(DB.local?.mac ?? "", addressOf(WEB)), 1);
  });
  it("keeps the host from becoming a router for others, where it was none", async () => {
    const through = tcp("198.51.100.7", "203.0.113.9");
    assert.equal(await growth("guard", () => send("eth0", through)), 0);
    const through6 = tcp("2001:db8::7", "2001:db8:1::9");
    const guard = (...guardForwarding: readonly Family[]) =>
      kernel.loadRules(derive({ ...SNAPSHOT, settings: { ...SNAPSHOT.settings, guardForwarding } }).ruleset);
    const grown = async () => [
      await growth("guard", () => send("eth0", through)),
      await growth("guard", () => send("eth0", through6)),
    ];
    try {
      await guard(6);
      assert.deepEqual(await grown(), [0, 1], "it was a router of IPv4 before");
      await guard(4);
      assert.deepEqual(await grown(), [1, 0]);
      await guard(4, 6);
      assert.deepEqual(await grown(), [1, 1]);
      assert.deepEqual(await send("eth0", tcp("198.51.100.7", addressOf(WEB), 80)), [nameOf(WEB)]);
      assert.deepEqual(await send(WEB, tcp(addressOf(WEB), "198.51.100.7", 80)), ["eth0"]);
    } finally {
      await kernel.loadRules(derive(SNAPSHOT).ruleset);
    }
  });

  function arp(senderMac: string, sender: string): Uint8Array {
    const web = WEB.local?.mac ?? "";
    const mac = (text: string): number[] => text.split(":").map((part) => Number.parseInt(part, 16));
    const ip = (text: string): number[] => text.split(".").map(Number);
    // RFC 826: Ethernet, IPv4, lengths 6 and 4, operation 1 (request).
    const body = [0, 1, 8, 0, 6, 4, 0, 1, ...mac(senderMac), ...ip(sender), 0, 0, 0, 0, 0, 0, ...ip("169.254.1.1")];
    return Uint8Array.from([255, 255, 255, 255, 255, 255, ...mac(web), 8, 6, ...body]);
  }

  /** RFC 4861 sections 4.2 to 4.4, to the host. The target follows the first 8 bytes. */
  function neighbour(type: number, source: string, target: string, mac: string, destination = "fe80::1"): number[] {
    return [
      ...frame(
        { source, destination, protocol: 58, icmp: { type, code: 0 } },
        { sourceMac: mac, destinationMac: kernel.hostMac(nameOf(WEB)), token: "", body: toBytes(address(target)) },
      ),
    ];
  }
});

/** Connections whose sender was given another address. */
function translations(kernel: KernelHost, source: string): string[] {
  const family = source.includes(":") ? "ipv6" : "ipv4";
  const text = kernel.exec("conntrack", "-L", "-f", family, "-s", source, "--src-nat");
  return text.split("\n").filter((line) => line.includes("src="));
}
