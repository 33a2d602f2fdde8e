/** Host endpoints on a real kernel: translation by others, tracking, connections that live through changes. Needs root. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { derive } from "../../src/core/calc/derive.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import type { PolicyRule } from "../../src/core/model/resources.ts";
import type { Flow } from "../../src/lab/frame.ts";
import { KernelHost } from "../../src/lab/kernel-host.ts";
import { gnp, profile } from "./cases.ts";
import { emptySnapshot, endpoint, hostEndpoint, LAN, network } from "./world.ts";

const HOST = ["192.0.2.1", "2001:db8::1"];
const OUTSIDE = ["198.51.100.7", "2001:db8:1::7"];
const WEB = endpoint("web", { addresses: ["10.65.0.1", "fd65::1"], network: "open" });
const OPEN = profile("open", { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] });
const BASE = emptySnapshot({
  endpoints: [WEB],
  networks: [network("open", { isolation: "off" })],
  profiles: [OPEN],
});
const ETH0 = hostEndpoint("m", { interfaceName: "eth0", profiles: ["open"] });
const CLOSED = hostEndpoint("m", { interfaceName: "eth0" });
const web = WEB.local?.interface ?? "";

const tcp = (action: PolicyRule["action"], ...ports: number[]): PolicyRule => ({
  action,
  protocol: "TCP",
  destination: { ports },
});

describe("host endpoints in the kernel", () => {
  let kernel: KernelHost;
  before(async () => {
    kernel = new KernelHost("e", [WEB], HOST, [LAN]);
    // Our segments have no real sequence numbers.
    kernel.exec("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1");
    for (const line of [
      // As Docker publishes a port: in its own table, in prerouting and for the host itself in output.
      "add table inet others",
      "add chain inet others pre { type nat hook prerouting priority -100; }",
      "add chain inet others out { type nat hook output priority -100; }",
      // Nobody listens: the kernel's reset would end what the test begins.
      "add chain inet others quiet { type filter hook output priority -310; }",
      "add rule inet others quiet tcp flags & rst == rst drop",
      "add rule inet others pre tcp dport 8080 dnat ip to 10.65.0.1:80",
      "add rule inet others pre tcp dport 8080 dnat ip6 to [fd65::1]:80",
      "add rule inet others out tcp dport 8081 dnat ip to 203.0.113.9:80",
      "add rule inet others out tcp dport 8081 dnat ip6 to [2001:db8:2::9]:80",
    ])
      kernel.exec("nft", line);
    await load({});
  });
  after(() => kernel[Symbol.dispose]());
  afterEach(() => kernel.forget());

  async function load(parts: Partial<Snapshot>): Promise<void> {
    await kernel.load(derive({ ...BASE, ...parts }));
  }
  async function change(parts: Partial<Snapshot>): Promise<void> {
    await kernel.loadRules(derive({ ...BASE, ...parts }).ruleset);
  }
  const flow = (from: string, to: string, destinationPort: number, sourcePort = 40000): Flow => ({
    protocol: 6,
    source: from,
    destination: to,
    sourcePort,
    destinationPort,
  });
  async function send(from: string | undefined, one: Flow, tcpFlags?: number): Promise<string[]> {
    const shot = {
      flow: one,
      ...(from === undefined ? {} : { from }),
      ...(tcpFlags === undefined ? {} : { tcpFlags }),
    };
    const [arrived] = await kernel.shoot([shot]);
    return [...(arrived ?? [])];
  }
  function tracked(address: string): number {
    const family = address.includes(":") ? "ipv6" : "ipv4";
    return kernel
      .exec("conntrack", "-L", "-f", family, "-s", address)
      .split("\n")
      .filter((line) => line.includes("src=")).length;
  }

  for (const family of [0, 1]) {
    const version = `IPv${family === 0 ? 4 : 6}`;
    const [host = "", outside = ""] = [HOST[family], OUTSIDE[family]];
    const lan = family === 0 ? "203.0.113.9" : "2001:db8:2::9";

    it(`a preDNAT policy sees the port that somebody else translates; others see what becomes of it (${version})`, async () => {
      await load({ hostEndpoints: [ETH0] });
      assert.deepEqual(await send("eth0", flow(outside, host, 8080)), [web]);
      const all = { selector: "!has(projectcalico.org/namespace)", applyOnForward: true };
      await load({
        hostEndpoints: [ETH0],
        policies: [gnp("p", { ...all, ingress: [tcp("Deny", 8080), { action: "Allow" }] })],
      });
      assert.deepEqual(await send("eth0", flow(outside, host, 8080)), [web], "after translation it is port 80");
      const before = gnp("p", { ...all, preDNAT: true, types: ["Ingress"], ingress: [tcp("Deny", 8080)] });
      await load({ hostEndpoints: [ETH0], policies: [before] });
      assert.deepEqual(await send("eth0", flow(outside, host, 8080)), []);
      assert.deepEqual(await send("eth0", flow(outside, host, 8079)), ["host"]);
      assert.deepEqual(await send("eth1", flow(lan, host, 8080)), [web], "another interface");
      const only = gnp("p", {
        ...all,
        preDNAT: true,
        types: ["Ingress"],
        ingress: [{ ...tcp("Allow", 8080), source: { nets: [outside] } }, tcp("Deny", 8080)],
      });
      const closed = gnp("q", { ...all, ingress: [{ action: "Deny" }] });
      await load({ hostEndpoints: [ETH0], policies: [only, closed] });
      assert.deepEqual(await send("eth0", flow(outside, host, 8080)), [web], "allowed for good");
      const other = family === 0 ? "198.51.100.8" : "2001:db8:1::8";
      assert.deepEqual(await send("eth0", flow(other, host, 8080)), []);
    });

    it(`the host's own translated traffic is judged by the interface that it leaves by (${version})`, async () => {
      const eth1 = hostEndpoint("n", { interfaceName: "eth1" }, { role: "lan" });
      const allow = (...ports: number[]): Snapshot["policies"][number] =>
        gnp("p", { selector: "role == 'lan'", egress: [tcp("Allow", ...ports)] });
      await load({ hostEndpoints: [eth1], policies: [allow(80)] });
      assert.deepEqual(await send(undefined, flow(host, outside, 8081)), ["eth1"]);
      await load({ hostEndpoints: [eth1], policies: [allow(8081)] });
      assert.deepEqual(await send(undefined, flow(host, outside, 8081)), []);
      await load({ hostEndpoints: [CLOSED] });
      assert.deepEqual(await send(undefined, flow(host, outside, 8081)), ["eth1"], "it never meets eth0");
      assert.deepEqual(await send(undefined, flow(host, outside, 8082)), []);
    });

    it(`an untracked policy leaves no trace in conntrack, both ways (${version})`, async () => {
      await load({ hostEndpoints: [ETH0] });
      assert.deepEqual(await send("eth0", flow(outside, host, 80)), ["host"]);
      assert.equal(tracked(outside), 1);
      const raw = gnp("raw", {
        selector: "!has(projectcalico.org/namespace)",
        applyOnForward: true,
        doNotTrack: true,
        ingress: [tcp("Allow", 80)],
        egress: [{ action: "Allow", protocol: "TCP", source: { ports: [80] } }],
      });
      await load({ hostEndpoints: [CLOSED], policies: [raw] });
      assert.deepEqual(await send("eth0", flow(outside, host, 80)), ["host"]);
      assert.deepEqual(await send(undefined, flow(host, outside, 40000, 80), 18), ["eth0"]);
      assert.deepEqual(await send("eth0", flow(outside, host, 80), 16), ["host"]);
      assert.equal(tracked(outside), 0);
      assert.equal(tracked(host), 0);
      assert.deepEqual(await send("eth0", flow(outside, host, 81)), []);
      assert.deepEqual(await send("eth0", flow(outside, host, 22)), ["host"]);
      assert.equal(tracked(outside), 1, "a failsafe port is tracked as ever");
    });

    it(`a connection lives through a host endpoint that comes and goes; new ones are judged (${version})`, async () => {
      await load({});
      assert.deepEqual(await send("eth0", flow(outside, host, 5432)), ["host"]);
      assert.deepEqual(await send(undefined, flow(host, outside, 40000, 5432), 18), ["eth0"]);
      assert.deepEqual(await send("eth0", flow(outside, host, 5432), 16), ["host"]);
      for (const closed of [CLOSED, hostEndpoint("all", { interfaceName: "*" })]) {
        await change({ hostEndpoints: [closed] });
        assert.deepEqual(await send("eth0", flow(outside, host, 5432), 16), ["host"]);
        assert.deepEqual(await send(undefined, flow(host, outside, 40000, 5432), 16), ["eth0"]);
        assert.deepEqual(await send("eth0", flow(outside, host, 5432, 40001)), []);
        assert.deepEqual(await send("eth0", flow(outside, host, 22, 40002)), ["host"]);
        await change({});
        assert.deepEqual(await send("eth0", flow(outside, host, 5432), 16), ["host"]);
        assert.deepEqual(await send("eth0", flow(outside, host, 5432, 40001)), ["host"]);
        kernel.exec("conntrack", "-D", "-p", "tcp", "-f", family === 0 ? "ipv4" : "ipv6", "--sport", "40001");
      }
    });

    it(`a segment of a connection that nobody knows does not open one past a policy (${version})`, async () => {
      await load({ hostEndpoints: [ETH0] });
      assert.deepEqual(await send(undefined, flow(host, outside, 40000, 5432), 16), []);
      assert.deepEqual(await send("eth0", flow(outside, host, 5432), 16), []);
      assert.deepEqual(await send("eth0", flow(outside, host, 22), 16), ["host"], "but for failsafe ports");
    });
  }
  it("a mark of somebody else keeps its bits, and ours is gone when the packet is", async () => {
    kernel.exec("nft", "add chain inet others early { type filter hook prerouting priority -151; }");
    kernel.exec("nft", "add rule inet others early iifname eth0 meta mark set 0x1234");
    kernel.exec("nft", "add chain inet others seen { type filter hook input priority 0; }");
    kernel.exec("nft", "add rule inet others seen iifname eth0 meta mark 0x1234 counter accept");
    const all = { selector: "!has(projectcalico.org/namespace)", applyOnForward: true };
    const before = gnp("p", { ...all, preDNAT: true, types: ["Ingress"], ingress: [tcp("Allow", 80)] });
    await load({ hostEndpoints: [CLOSED], policies: [before] });
    assert.deepEqual(await send("eth0", flow("198.51.100.7", "192.0.2.1", 80)), ["host"]);
    assert.match(kernel.exec("nft", "list chain inet others seen"), /packets 1 /);
    kernel.exec("nft", "delete chain inet others early");
    kernel.exec("nft", "delete chain inet others seen");
  });
});
