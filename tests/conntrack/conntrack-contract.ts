/** What a table of connections must do, the kernel's and the fake alike. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectionEvent, Conntrack, Tuple } from "../../src/drivers/conntrack/conntrack.ts";

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
    void it("tells of beginnings and ends from the call on, until it is aborted", async () => {
      using world = open();
      const early = { ...WEB, sourcePort: 1 };
      world.begin(early);
      const abort = new AbortController();
      const source = world.conntrack.events(abort.signal);
      world.begin(DNS);
      world.begin(WEB);
      const seen: ConnectionEvent[] = [];
      const loop = (async (): Promise<void> => {
        for await (const batch of source) seen.push(...batch);
      })();
      await world.conntrack.cut(await world.conntrack.list(({ family }) => family === 4));
      const isEnd = (e: ConnectionEvent): boolean =>
        e.kind === "end" && e.connection.original.sourcePort === WEB.sourcePort;
      for (const until = Date.now() + 20_000; !seen.some(isEnd) && Date.now() < until; ) await sleep(10);
      abort.abort();
      await loop;
      // Nobody listened when the early one began: whether the kernel tells of its end depends on who else has listened.
      const said = seen.flatMap((e) => {
        if (e.kind === "overrun") return [e.kind];
        const { protocol, sourcePort } = e.connection.original;
        return sourcePort === early.sourcePort ? [] : [`${e.kind} ${protocol}`];
      });
      assert.deepEqual(said, ["new 17", "new 6", "end 6"]);
    });
  });
}
