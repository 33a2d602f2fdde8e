import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Counted, rates, sorted } from "./rates.ts";
import { Tally } from "./tally.ts";

const at = (id: string, bytes: number, flows = 0): Counted => ({
  id,
  container: id,
  namespace: "default",
  network: "apps",
  sent: { bytes, packets: bytes / 100 },
  received: { bytes: 0, packets: 0 },
  flows,
  drops: 0,
});

describe("rates", () => {
  it("are what happened in a second", () => {
    const [rate] = rates(
      { time: 1_000, endpoints: [at("a", 100, 1)] },
      { time: 3_000, endpoints: [at("a", 2_100, 5)] },
    );
    assert.deepEqual([rate?.sentBytes, rate?.sentPackets, rate?.flows, rate?.drops], [1_000, 10, 2, 0]);
  });

  it("are known of those alone that were there before, and never below nothing", () => {
    const found = rates({ time: 0, endpoints: [at("a", 500)] }, { time: 1_000, endpoints: [at("a", 200), at("b", 9)] });
    assert.deepEqual(
      found.map(({ id, sentBytes }) => [id, sentBytes]),
      [["a", 200]],
    );
  });

  it("are sorted by what is asked for, equals by name", () => {
    const some = rates(
      { time: 0, endpoints: ["c", "a", "b"].map((id) => at(id, 0)) },
      { time: 1_000, endpoints: [at("c", 0), at("a", 0), at("b", 5)] },
    );
    const names = (key: "bytes" | "name" | "flows") => sorted(some, key).map(({ id }) => id);
    assert.deepEqual(names("bytes"), ["b", "a", "c"]);
    assert.deepEqual(names("flows"), ["a", "b", "c"]);
    assert.deepEqual(names("name"), ["a", "b", "c"]);
  });
});

describe("a tally", () => {
  const party = (container: string) =>
    ({ kind: "endpoint", address: "10.65.0.2", container, network: "apps", namespace: "default", host: "h1" }) as const;
  it("counts for both ends, connections apart from drops, and nobody twice", () => {
    const tally = new Tally();
    tally.add({ verdict: "allow", source: party("web"), destination: party("db") });
    tally.add({ verdict: "deny", source: party("web"), destination: { kind: "outside", address: "192.0.2.1" } });
    tally.add({ verdict: "allow", source: party("web"), destination: party("web") });
    tally.add({ verdict: "would-deny", source: party("web"), destination: party("db") });
    assert.deepEqual(tally.of("apps", "web"), { flows: 2, drops: 1 });
    assert.deepEqual(tally.of("apps", "db"), { flows: 1, drops: 0 });
    assert.deepEqual(tally.of("apps", "nobody"), { flows: 0, drops: 0 });
    tally.add({ verdict: "deny", source: party("web"), destination: party("db") }, 40);
    assert.deepEqual(tally.of("apps", "web"), { flows: 2, drops: 41 });
  });
});
