/** The way of real packets through rules of ours and of others, as the kernel tells it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { sweepTraces, TRACE_TABLE, type TraceEvent, trace } from "../../src/drivers/nftables/trace.ts";
import { Namespace } from "../netlink/namespace.ts";

const FOREIGN = `add table ip other
add chain ip other dropper
add rule ip other dropper tcp dport 81 drop
add chain ip other input { type filter hook input priority 0; policy accept; }
add rule ip other input tcp dport 80-90 jump dropper
`;

it("a trace names the table, the chain and the rule in which a packet ended, and tells a refusal; then nothing is left", async () => {
  using here = new Namespace();
  here.ip("link set lo up");
  execFileSync("ip", ["netns", "exec", here.name, "nft", "-f", "-"], { input: FOREIGN });
  const see = async (port: number, enough: (events: readonly TraceEvent[]) => boolean) => {
    const end = AbortSignal.timeout(60_000);
    const stop = new AbortController();
    const flow = { family: 4, protocol: 6, source: "127.0.0.1", destination: "127.0.0.1", port } as const;
    const events: TraceEvent[] = [];
    const watching = trace([flow], AbortSignal.any([end, stop.signal]), here.path);
    const first = watching.next(); // from here on the flow is marked
    const connect = `exec 3<>/dev/tcp/127.0.0.1/${port}`;
    setTimeout(() => {
      try {
        here.run("timeout", "1", "bash", "-c", connect);
      } catch {
        // refused or dropped: what is to be seen
      }
    }, 50);
    for (let next = await first; !next.done; next = await watching.next()) {
      events.push(...next.value);
      if (enough(events)) stop.abort();
    }
    assert.ok(
      !end.aborted,
      JSON.stringify(events, (_, value) => (typeof value === "bigint" ? String(value) : value)),
    );
    assert.doesNotMatch(here.run("nft", "list", "tables"), new RegExp(TRACE_TABLE));
    return events;
  };
  const isDrop = ({ verdict }: TraceEvent): boolean => verdict === "drop";
  const dropped = (await see(81, (events) => events.some(isDrop))).find(isDrop);
  assert.deepEqual(
    [dropped?.family, dropped?.table, dropped?.chain, dropped?.kind],
    ["ip", "other", "dropper", "rule"],
  );
  const listing = here.run("nft", "-a", "list", "chain", "ip", "other", "dropper");
  assert.match(listing, new RegExp(`tcp dport 81 drop # handle ${dropped?.handle}`));
  const RST = 4;
  const places = (events: readonly TraceEvent[]) => new Set(events.flatMap(({ place }) => place ?? []));
  const isReset = ({ transport }: TraceEvent): boolean => ((transport?.[13] ?? 0) & RST) !== 0;
  const refused = await see(82, (events) => events.some(isReset));
  assert.ok(!refused.some(isDrop));
  assert.ok(places(refused).has("delivered"));
  sweepTraces(here.path);
});

it("what an agent that died left is swept, and nothing there is fine", () => {
  using here = new Namespace();
  here.run("nft", "add", "table", "inet", `${TRACE_TABLE}-0123`);
  sweepTraces(here.path);
  sweepTraces(here.path);
  assert.equal(here.run("nft", "list", "tables"), "");
});
