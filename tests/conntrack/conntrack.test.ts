/** The kernel's table of connections: read and cut, in namespaces of the test's own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tuple } from "../../src/drivers/conntrack/conntrack.ts";
import { KernelConntrack } from "../../src/drivers/conntrack/kernel-conntrack.ts";
import { Namespace } from "../netlink/namespace.ts";
import { conntrackContract } from "./conntrack-contract.ts";
import { fill, turned } from "./table.ts";

const TCP: Tuple = {
  source: "10.65.0.1",
  destination: "10.65.0.2",
  protocol: 6,
  sourcePort: 40_000,
  destinationPort: 80,
};
const UDP6: Tuple = { source: "fd65::1", destination: "fd65::2", protocol: 17, sourcePort: 5353, destinationPort: 53 };
const PING: Tuple = { source: "10.65.0.1", destination: "10.65.0.2", protocol: 1, icmp: { id: 77, type: 8, code: 0 } };
const PING6: Tuple = { source: "fd65::1", destination: "fd65::2", protocol: 58, icmp: { id: 78, type: 128, code: 0 } };
const SCTP: Tuple = {
  source: "10.65.0.1",
  destination: "10.65.0.2",
  protocol: 132,
  sourcePort: 9,
  destinationPort: 10,
};
const GENERIC: Tuple = { source: "10.65.0.1", destination: "10.65.0.2", protocol: 50 };

const all = (): boolean => true;
const byText = (a: object, b: object): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);

async function originals(conntrack: KernelConntrack): Promise<Tuple[]> {
  return (await conntrack.list(all)).map(({ original }) => original).sort(byText);
}

conntrackContract("kernel", () => {
  const netns = new Namespace();
  return {
    conntrack: new KernelConntrack(netns.path),
    begin: (...tuples) =>
      fill(
        netns.path,
        tuples.map((tuple) => ({ tuple })),
      ),
    [Symbol.dispose]: () => netns[Symbol.dispose](),
  };
});

void describe("connections of the kernel", () => {
  void it("are listed with both their directions, whatever the protocol", async () => {
    using netns = new Namespace();
    const tuples = [TCP, UDP6, PING, PING6, SCTP, GENERIC];
    fill(
      netns.path,
      tuples.map((tuple) => ({ tuple })),
    );
    const found = await new KernelConntrack(netns.path).list(all);
    assert.deepEqual(found.map(({ original }) => original).sort(byText), [...tuples].sort(byText));
    for (const { original, reply, family, answered, assured, sourceNat, destinationNat, zone } of found) {
      assert.deepEqual(reply, turned(original));
      assert.equal(family, original.source.includes(":") ? 6 : 4);
      assert.deepEqual([answered, assured, sourceNat, destinationNat, zone], [true, true, false, false, 0]);
    }
  });
  void it("keep mark and zone, and only those that are selected are listed", async () => {
    using netns = new Namespace();
    fill(netns.path, [{ tuple: TCP, mark: 4_276_993_775 }, { tuple: TCP, zone: 7 }, { tuple: UDP6 }]);
    const conntrack = new KernelConntrack(netns.path);
    const found = await conntrack.list(({ original }) => original.protocol === 6);
    assert.deepEqual(found.map(({ mark, zone }) => `${mark} ${zone}`).sort(), ["0 7", "4276993775 0"]);
  });
  void it("are cut one by one, and no others", async () => {
    using netns = new Namespace();
    const others = [{ ...TCP, sourcePort: 40_001 }, turned(TCP), UDP6, PING, PING6];
    fill(netns.path, [{ tuple: TCP, zone: 7 }, { tuple: TCP }, ...others.slice(2).map((tuple) => ({ tuple }))]);
    const conntrack = new KernelConntrack(netns.path);
    const cut = await conntrack.list(({ zone, original }) => zone === 7 || original.protocol !== 6);
    assert.equal(await conntrack.cut(cut), 4);
    assert.deepEqual(await originals(conntrack), [TCP]);
    assert.equal((await conntrack.list(all))[0]?.zone, 0);
  });
  void it("of real packets are seen, translated ones from both sides", async () => {
    using netns = new Namespace();
    netns.ip("link set lo up");
    netns.ip("addr add 192.0.2.1/32 dev lo");
    netns.run(
      "nft",
      "table ip t { chain o { type nat hook output priority -100; ip daddr 192.0.2.9 dnat to 192.0.2.1; }; }",
    );
    netns.ip("route add 192.0.2.9/32 dev lo");
    netns.run("busybox", "ping", "-c", "1", "-W", "2", "192.0.2.9");
    const found = await new KernelConntrack(netns.path).list(({ original }) => original.protocol === 1);
    const [ping] = found;
    assert.ok(ping);
    assert.equal(ping.original.destination, "192.0.2.9");
    assert.equal(ping.reply.source, "192.0.2.1");
    assert.deepEqual([ping.destinationNat, ping.answered, ping.original.icmp?.type], [true, true, 8]);
  });
  void it("in their tens of thousands do not hold the event loop, and are cut", async () => {
    using netns = new Namespace();
    const conntrack = new KernelConntrack(netns.path);
    fill(netns.path, manyTuples(50_000));
    let turns = 0;
    let watch = setImmediate(function turn() {
      turns++;
      watch = setImmediate(turn);
    });
    const found = await conntrack.list(all);
    clearImmediate(watch);
    assert.equal(found.length, 50_000);
    assert.ok(turns > 50, `the loop turned ${turns} times meanwhile`);
    const forbidden = found.filter(({ original }) => original.destinationPort === 81);
    assert.equal(await conntrack.cut(forbidden), forbidden.length);
    assert.equal((await conntrack.list(all)).length, 50_000 - forbidden.length);
  });
  void it("stop being listed when nobody wants them any more", async () => {
    using netns = new Namespace();
    fill(netns.path, manyTuples(20_000));
    const abort = new AbortController();
    const listing = new KernelConntrack(netns.path).list(all, abort.signal);
    abort.abort();
    await assert.rejects(listing, { name: "AbortError" });
  });
});

function* manyTuples(count: number): Generator<{ tuple: Tuple }> {
  for (let i = 0; i < count; i++) {
    const source = `10.${i >> 14}.${(i >> 6) & 255}.${1 + (i & 63)}`;
    yield { tuple: { ...TCP, source, destinationPort: 80 + (i % 10) } };
  }
}
