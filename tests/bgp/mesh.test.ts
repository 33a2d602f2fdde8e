/** Hosts among themselves: each asserts on the other's kernel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually, Fabric } from "./fabric.ts";
import { BgpHost, NO_CLUSTER } from "./host.ts";
import { node, pool } from "./resources.ts";

describe("the mesh between hosts", () => {
  it("carries each host's blocks and borrowed addresses, IPv4 and IPv6, into the others' kernels, and nothing else", async () => {
    await using fabric = new Fabric();
    const machines = ["a", "b", "c"].map((name) => fabric.machine(name));
    fabric.segment(
      "lan",
      machines.map((machine, i) => [machine, [`192.0.2.${i + 1}/24`, `2001:db8::${i + 1}/64`]]),
    );
    const cluster = {
      ...NO_CLUSTER,
      nodes: machines.map(({ name }, i) =>
        node(name, { ipv4Address: `192.0.2.${i + 1}/24`, ipv6Address: `2001:db8::${i + 1}/64` }),
      ),
      pools: [pool("10.65.0.0/16"), pool("fd65::/64")],
    };
    const [a, b, c] = machines.map(
      (machine, i) =>
        new BgpHost(fabric, machine, cluster, {
          blocks: [`10.65.${i}.0/26`, `fd65::${i}:0/122`],
          connected: [`192.0.2.${i + 1}/24`, `2001:db8::${i + 1}/64`],
        }),
    ) as [BgpHost, BgpHost, BgpHost];
    a.machine.ip("route add 198.51.100.0/24 via 192.0.2.200"); // the host's own: nobody else's business
    a.machine.ip("route add 10.65.0.7/32 dev eth0 proto 109"); // a container in an announced block
    a.machine.ip("route add 10.65.77.0/24 via 192.0.2.200"); // in a pool, and not ours
    await Promise.all([
      a.apply(),
      b.apply({ lent: ["10.65.1.9"] }),
      c.apply({ blocks: ["10.65.2.0/26", "fd65::2:0/122", "10.65.1.9/32"] }),
    ]);
    await eventually(
      "a has the routes of b and c",
      () => a.machine.fib(4).length === 3 && a.machine.fib(6).length === 2,
    );
    await eventually("b has the address that it has lent", () =>
      b.machine.fib(4).some((line) => line.startsWith("10.65.1.9 ")),
    );
    const via = (host: BgpHost, family: 4 | 6) =>
      host.machine
        .fib(family)
        .map((line) => line.split(" ").slice(0, 3).join(" "))
        .sort();
    assert.deepEqual(via(a, 4), [
      "10.65.1.0/26 via 192.0.2.2",
      "10.65.1.9 via 192.0.2.3",
      "10.65.2.0/26 via 192.0.2.3",
    ]);
    assert.deepEqual(
      a.machine.fib(6).map((line) => line.split(" ")[0]),
      ["fd65::1:0/122", "fd65::2:0/122"],
    );
    assert.deepEqual(via(b, 4), [
      "10.65.0.0/26 via 192.0.2.1",
      "10.65.1.9 via 192.0.2.3",
      "10.65.2.0/26 via 192.0.2.3",
    ]);
    assert.deepEqual(via(c, 4), ["10.65.0.0/26 via 192.0.2.1", "10.65.1.0/26 via 192.0.2.2"]);
    const learned = await b.ask("show route all protocol 'mesh-192.0.2.1'");
    assert.ok(
      !learned.includes("198.51.100") && !learned.includes("10.65.0.7") && !learned.includes("10.65.77"),
      learned,
    );
  });
});
