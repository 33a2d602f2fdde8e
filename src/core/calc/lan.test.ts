import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IPPool } from "../model/resources.ts";
import { lanOf, lanSysctls, proxiesOf, withoutLan } from "./lan.ts";

const pool = (name: string, cidr: string, lan?: string): IPPool => ({
  apiVersion: "projectcalico.org/v3",
  kind: "IPPool",
  metadata: { name, ...(lan !== undefined && { annotations: { "manx/lan": lan } }) },
  spec: { cidr, blockSize: 29, nodeSelector: "all()", allowedUses: ["Workload"], assignmentMode: "Manual" },
});

const ETH0 = { name: "eth0", addresses: ["192.168.7.2"], networks: ["192.168.7.0/24", "2001:db8:7::/64"] };
const ETH1 = { name: "eth1", addresses: ["192.168.8.2"], networks: ["192.168.8.0/24"] };

void describe("LAN pools", () => {
  void it("are those that say so, on the interface that they are a part of the network of", () => {
    const pools = [pool("lan", "192.168.7.64/27", "eth0"), pool("plain", "192.168.8.64/27")];
    const lan = lanOf(pools, [ETH1, ETH0]);
    assert.deepEqual(lan.parts, [
      { pool: "lan", interface: "eth0", cidr: "192.168.7.64/27", network: "192.168.7.0/24" },
    ]);
    assert.deepEqual(proxiesOf(["192.168.7.70", "192.168.8.70", "10.65.0.1", "2001:db8:7::1"], lan), [
      "eth0 192.168.7.70",
    ]);
  });
  void it("are answered for by whatever interface of a host is on that LAN", () => {
    const other = { ...ETH0, name: "ens3" };
    assert.equal(lanOf([pool("lan", "192.168.7.64/27", "eth0")], [ETH1, other]).parts[0]?.interface, "ens3");
  });
  void it("are answered for nowhere without a network around them, be it as large as they are", () => {
    const pools = [pool("lan", "192.168.9.0/27", "eth0"), pool("whole", "192.168.7.0/24", "eth0")];
    assert.deepEqual(lanOf(pools, [ETH0]).parts, []);
    assert.deepEqual(lanOf(pools, [{ name: "eth0", addresses: [] }]).parts, []);
  });
  void it("have no blackholed blocks, all others do", () => {
    const lan = lanOf([pool("lan", "192.168.7.64/27", "eth0")], []);
    assert.deepEqual(withoutLan(["192.168.7.64/29", "10.65.0.0/26", "192.168.7.0/24"], lan), [
      "10.65.0.0/26",
      "192.168.7.0/24",
    ]);
  });
  void it("need proxy_ndp for IPv6, and no delay", () => {
    const pools = [pool("lan", "192.168.7.64/27", "eth0"), pool("lan6", "2001:db8:7::6d61:0/112", "eth0")];
    assert.deepEqual(lanSysctls(lanOf(pools, [ETH0])), [
      ["net/ipv4/neigh/eth0/proxy_delay", "0"],
      ["net/ipv6/conf/eth0/proxy_ndp", "1"],
      ["net/ipv6/neigh/eth0/proxy_delay", "0"],
    ]);
  });
});
