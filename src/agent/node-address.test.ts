import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseIpMethod } from "./ip-method.ts";
import { nodeAddresses } from "./node-address.ts";

const on = (name: string, address: string, scope = "global") => ({ interface: name, address, scope });

describe("nodeAddresses", () => {
  it("takes the default route's interface, not Docker's", () => {
    const found = nodeAddresses(
      [on("docker0", "172.17.0.1"), on("lo", "127.0.0.1", "host"), on("eth1", "10.0.0.9"), on("eth0", "192.168.1.5")],
      [{ family: 4, interface: "eth0", metric: 100 }],
    );
    assert.deepEqual(found, { ipv4: "192.168.1.5", uplink: "eth0" });
  });
  it("finds an address without any default route, and none where there is none", () => {
    assert.deepEqual(nodeAddresses([on("eth1", "10.0.0.9"), on("eth0", "fe80::1", "link")], []), {
      ipv4: "10.0.0.9",
      uplink: "eth1",
    });
    assert.deepEqual(nodeAddresses([on("lo", "127.0.0.1", "host")], []), {});
  });
  it("prefers the lower metric, and a public IPv6 address to a unique local one", () => {
    const found = nodeAddresses(
      [on("eth0", "fd00::2"), on("eth0", "2001:db8::2"), on("wlan0", "2001:db8:1::2")],
      [
        { family: 6, interface: "wlan0", metric: 600 },
        { family: 6, interface: "eth0", metric: 100 },
      ],
    );
    assert.deepEqual(found, { ipv6: "2001:db8::2", uplink: "eth0" });
  });
});

describe("the method by which the node's address is found", () => {
  const addresses = [
    on("eth0", "192.168.1.5"),
    on("eth1", "10.0.0.9"),
    on("wg0", "10.9.0.1"),
    on("docker0", "172.17.0.1"),
    on("lo", "127.0.0.1", "host"),
  ];
  const routes = [
    { family: 4, destination: "0.0.0.0/0", interface: "eth0", metric: 0 },
    { family: 4, destination: "10.0.0.0/8", interface: "eth1", metric: 0 },
    { family: 4, destination: "10.9.0.0/16", interface: "wg0", metric: 0, source: "10.9.0.1" },
  ] as const;
  const table = [
    ["first-found", "192.168.1.5"],
    ["none", undefined],
    ["10.0.0.9", "10.0.0.9"],
    ["203.0.113.7/24", "203.0.113.7"],
    ["interface=eth1", "10.0.0.9"],
    ["interface=nope,wg.*,eth.*", "10.9.0.1"],
    ["interface=docker0", "172.17.0.1"],
    ["interface=nope", undefined],
    ["skip-interface=eth0", "10.0.0.9"],
    ["skip-interface=eth.*,wg", undefined],
    ["can-reach=8.8.8.8", "192.168.1.5"],
    ["can-reach=10.1.1.1", "10.0.0.9"],
    ["can-reach=10.9.1.1", "10.9.0.1"],
    ["cidr=10.9.0.0/16", "10.9.0.1"],
    ["cidr=172.16.0.0/12,10.0.0.0/16", "10.0.0.9"],
  ] as const;
  for (const [text, wanted] of table)
    it(`${text}: ${wanted}`, () => {
      const ipv4 = parseIpMethod("MANX_IP", text, 4);
      const defaults = [{ family: 4, interface: "eth0", metric: 0 }] as const;
      assert.equal(nodeAddresses(addresses, defaults, { ipv4, routes }).ipv4, wanted);
    });
  for (const text of [
    "",
    "interface=",
    "interface=(",
    "can-reach=example",
    "can-reach=fd00::1",
    "cidr=10.0.0.0/33",
    "fd00::1",
    "first",
  ])
    it(`refuses ${JSON.stringify(text)} with what is allowed`, () => {
      assert.throws(() => parseIpMethod("MANX_IP", text, 4), /Cannot start: MANX_IP is .*Allowed: first-found/);
    });
});
