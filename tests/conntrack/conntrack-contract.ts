/** What a table of connections must do, the kernel's and the fake alike. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Conntrack, Tuple } from "../../src/drivers/conntrack/conntrack.ts";

export interface World extends Disposable {
  readonly conntrack: Conntrack;
  /** Packets that begin connections. */
  begin(...tuples: readonly Tuple[]): void;
}

const WEB: Tuple = {
  source: "10.65.0.1",
  destination: "10.65.0.2",
  protocol: 6,
  sourcePort: 40_000,
  destinationPort: 80,
};
const DNS: Tuple = { source: "fd65::1", destination: "fd65::2", protocol: 17, sourcePort: 5353, destinationPort: 53 };

const all = (): boolean => true;

async function protocols({ conntrack }: World): Promise<number[]> {
  return (await conntrack.list(all)).map(({ original }) => original.protocol).sort((a, b) => a - b);
}

export function conntrackContract(name: string, open: () => World): void {
  void describe(`conntrack: ${name}`, () => {
    void it("lists what is selected", async () => {
      using world = open();
      world.begin(WEB, DNS);
      assert.deepEqual(await protocols(world), [6, 17]);
      const [web, none] = await world.conntrack.list(({ family }) => family === 4);
      assert.deepEqual([web?.original, none], [WEB, undefined]);
    });
    void it("cuts what is there, once, and nothing else", async () => {
      using world = open();
      world.begin(WEB, DNS);
      const web = await world.conntrack.list(({ family }) => family === 4);
      assert.equal(await world.conntrack.cut([]), 0);
      assert.equal(await world.conntrack.cut(web), 1);
      assert.equal(await world.conntrack.cut([...web, ...web]), 0);
      assert.deepEqual(await protocols(world), [17]);
    });
    void it("cuts what an answer that was under way began", async () => {
      using world = open();
      const { source, destination, protocol, sourcePort = 0, destinationPort = 0 } = DNS;
      world.begin(DNS, WEB);
      const dns = await world.conntrack.list(({ family }) => family === 6);
      await world.conntrack.cut(dns);
      assert.equal(await world.conntrack.cutTurned(dns), 0);
      world.begin({
        source: destination,
        destination: source,
        protocol,
        sourcePort: destinationPort,
        destinationPort: sourcePort,
      });
      assert.equal(await world.conntrack.cutTurned(dns), 1);
      assert.deepEqual(await protocols(world), [6]);
    });
    void it("does not cut a later connection of the same addresses and ports", async () => {
      using world = open();
      world.begin(WEB);
      const [web] = await world.conntrack.list(all);
      assert.ok(web);
      assert.equal(await world.conntrack.cut([{ ...web, id: (web.id ^ 1) >>> 0 }]), 0);
      assert.deepEqual(await protocols(world), [6]);
    });
  });
}
