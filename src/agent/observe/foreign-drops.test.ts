import assert from "node:assert/strict";
import { describe, it, mock } from "node:test";
import { fakeSnapshot } from "../../api/fake-agent.ts";
import type { Sighting } from "../../core/flows/flow.ts";
import type { LiveReport } from "../../core/flows/live-way.ts";
import { Parties } from "../../core/flows/parties.ts";
import { address, toBytes } from "../../core/net/address.ts";
import type { KernelDrop } from "../../drivers/drops/drops.ts";
import { ForeignDrops } from "./foreign-drops.ts";

/** A first segment of TCP. */
function drop(reason: string, source: number, destination: number, count = 1): KernelDrop {
  const ends = [10, 65, 0, source, 10, 65, 0, destination];
  const payload = Uint8Array.of(0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, ...ends, 0x9c, 0x40, 0x15, 0x38);
  return { reason, count, device: 2, arrived: 2, length: 60, etherType: 0x0800, payload };
}

/** ICMPv6 to all routers. */
function drop6(type: number): KernelDrop {
  const [source, routers] = [toBytes(address("fd65::2")), toBytes(address("ff02::2"))];
  const payload = Uint8Array.of(0x60, 0, 0, 0, 0, 8, 58, 255, ...source, ...routers, type, 0, 0, 0, 0, 0, 0, 0);
  return { reason: "NETFILTER_DROP", count: 1, device: 2, arrived: 2, length: 62, etherType: 0x86dd, payload };
}

const DROPPED: LiveReport = {
  host: "h1",
  state: "seen",
  passage: { hops: [], end: "dropped", text: "dropped by ufw: ip filter, chain ufw-user-input: drop" },
};

function setUp(given: { readonly ours?: boolean; readonly report?: LiveReport } = {}) {
  const { endpoints, nodes } = fakeSnapshot();
  const parties = Parties.of({ endpoints, nodes, own: [], host: "h1" });
  const told: (readonly [Sighting, number])[] = [];
  let traces = 0;
  const drops = new ForeignDrops(
    {
      parties: () => parties,
      interfaceName: () => "eth0",
      isOurs: () => given.ours === true,
      trace: () => {
        traces++;
        return Promise.resolve(given.report ?? DROPPED);
      },
      add: (sighting, count) => void told.push([sighting, count]),
      now: () => 1_000,
    },
    new AbortController().signal,
  );
  const texts = (): string[] => told.map(([{ reasons }, count]) => `${count} ${reasons[0]?.text}`);
  return { drops, told, texts, traces: () => traces };
}

const turn = async (ms: number): Promise<void> => {
  mock.timers.tick(ms);
  await new Promise((resolve) => void setImmediate(resolve));
};

void describe("drops by others", () => {
  void it("of routing are told at once, with both ends", () => {
    const { drops, told, texts } = setUp();
    drops.take(drop("IP_INNOROUTES", 2, 9, 3));
    assert.deepEqual(texts(), ["3 the kernel: no route to 10.65.0.9"]);
    assert.equal(told[0]?.[0].source.kind, "endpoint");
    const head = { source: "10.65.0.2", destination: "10.65.0.9", protocol: 6, destinationPort: 5432 };
    assert.match(drops.reasonOf(head, 1_000) ?? "", /no route/);
    assert.equal(drops.reasonOf(head, 1_001), undefined);
  });

  void it("of netfilter are told with no more than the beginning of a rule that goes on and on", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const text = `dropped by nftables: inet other, chain guard: ip saddr { ${"10.0.0.1, ".repeat(5_000)} } drop`;
    const { drops, told } = setUp({ report: { ...DROPPED, passage: { hops: [], end: "dropped", text } } });
    drops.take(drop("NETFILTER_DROP", 2, 4));
    await turn(300);
    await turn(0);
    assert.match(told[0]?.[0].reasons[0]?.text ?? "", /^nftables: inet other, chain guard: ip saddr .{1,480}\.\.\.$/);
  });

  void it("of netfilter are told with the rule that the next packet's trace names, once for all that came meanwhile", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const { drops, texts, traces } = setUp();
    drops.take(drop("NETFILTER_DROP", 2, 4));
    drops.take(drop("NETFILTER_DROP", 2, 4, 4));
    assert.deepEqual(texts(), []);
    await turn(300);
    assert.deepEqual(texts(), ["5 ufw: ip filter, chain ufw-user-input: drop"]);
    drops.take(drop("NETFILTER_DROP", 2, 4));
    await turn(300);
    assert.equal(texts().length, 2);
    assert.equal(traces(), 1);
  });

  void it("that no packet follows are told without the rule", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const { drops, texts } = setUp({ report: { host: "h1", state: "nothing" } });
    drops.take(drop("NETFILTER_DROP", 2, 4));
    await turn(300);
    assert.match(texts()[0] ?? "", /not Manx's; manx why A B PORT --live/);
  });

  void it("are not those that our own log or our own rules claim, nor those of others' packets", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const logged = setUp();
    logged.drops.take(drop("NETFILTER_DROP", 2, 4));
    const party = (address: string) => ({ kind: "outside", address }) as const;
    const own = { time: 1, verdict: "deny", family: 4, protocol: 6, destinationPort: 5432, reasons: [] } as const;
    logged.drops.own({ ...own, source: party("10.65.0.2"), destination: party("10.65.0.4") });
    const denied = setUp({ ours: true });
    denied.drops.take(drop("NETFILTER_DROP", 2, 4));
    const alien = setUp();
    alien.drops.take(drop("NETFILTER_DROP", 70, 71));
    alien.drops.take(drop("SOCKET_FILTER", 2, 4));
    await turn(300);
    for (const one of [logged, denied, alien]) assert.deepEqual([one.texts(), one.traces()], [[], 0]);
  });

  void it("are not what an IPv6 stack says to its link: our own rules drop that, and tell nobody", async (t) => {
    mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => mock.timers.reset());
    const { drops, texts } = setUp();
    for (const type of [131, 132, 133, 143]) drops.take(drop6(type));
    await turn(300);
    assert.deepEqual(texts(), []);
    drops.take(drop6(128));
    await turn(300);
    assert.equal(texts().length, 1);
  });
});
