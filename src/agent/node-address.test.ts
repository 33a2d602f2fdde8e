import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
