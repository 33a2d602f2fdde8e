import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConnectionElement, KEPT } from "./connection-table.ts";
import { ConnectionCounts } from "./new-connections.ts";

const element = (id: string, count: number, age = 10): ConnectionElement => ({
  id,
  count,
  age,
  read: () => ({ family: 4, source: `from ${id}`, destination: "10.65.0.2", protocol: 6 }),
});

/** One reading: what is new of whom, and what is lost. */
function reader(): (total: number, elements: readonly ConnectionElement[], now?: number) => string {
  const counts = new ConnectionCounts();
  return (total, elements, now = 1_000) => {
    if (counts.isQuiet(total)) return "quiet";
    const reading = counts.begin(now);
    for (const one of elements) reading.take(one);
    const news = reading.end(total);
    return news.map((one) => (one.kind === "lost" ? `lost ${one.count}` : `${one.source} ${one.count}`)).join(", ");
  };
}

void describe("counts of new connections", () => {
  void it("are told as what has been added since, with the time of the last one", () => {
    const counts = new ConnectionCounts();
    const first = counts.begin(5_000);
    first.take(element("a", 3, 40));
    const [one] = first.end(3);
    assert.ok(one?.kind === "new");
    assert.deepEqual([one.count, one.time, one.protocol], [3, 4_960, 6]);
    const read = reader();
    assert.equal(read(3, [element("a", 3)]), "from a 3");
    assert.equal(read(5, [element("a", 4), element("b", 1)]), "from a 1, from b 1");
  });
  void it("are not read while nothing is added", () => {
    const read = reader();
    assert.equal(read(0, []), "quiet");
    assert.equal(read(1, [element("a", 1)]), "from a 1");
    assert.equal(read(1, []), "quiet");
  });
  void it("begin anew with an element that is made anew", () => {
    const read = reader();
    assert.equal(read(1, [element("a1", 1)]), "from a1 1");
    assert.equal(read(2, [element("a2", 1)]), "from a2 1");
  });
  void it("are told once, though a reading leaves the element out or has it twice", () => {
    const read = reader();
    assert.equal(read(2, [element("a", 2), element("a", 2)]), "from a 2");
    assert.equal(read(3, []), "");
    assert.equal(read(3, [element("a", 3)]), "from a 1");
    assert.equal(read(3, []), "quiet");
  });
  void it("may be ahead of the total, which was read before", () => {
    const read = reader();
    assert.equal(read(1, [element("a", 2)]), "from a 2");
    assert.equal(read(3, [element("a", 3)]), "from a 1");
  });
  void it("are lost where they are missing in two readings, each once", () => {
    const read = reader();
    assert.equal(read(10, [element("a", 4)]), "from a 4");
    assert.equal(read(10, [element("a", 4)]), "lost 6");
    assert.equal(read(10, []), "quiet");
    assert.equal(read(12, [element("a", 5)]), "from a 1");
    assert.equal(read(12, [element("a", 5)]), "lost 1");
  });
  void it("are remembered for longer than the kernel keeps the element, and then no more", () => {
    const read = reader();
    assert.equal(read(5, [element("a", 5)], 0), "from a 5");
    assert.equal(read(6, [element("a", 5), element("b", 1)], 2 * KEPT), "from b 1");
    // Not seen for two periods: what bears its name is another.
    assert.equal(read(7, [element("b", 2)], 4 * KEPT), "from b 1");
    assert.equal(read(8, [element("b", 3)], 6 * KEPT), "from b 1");
    assert.equal(read(9, [element("a", 1)], 6 * KEPT), "from a 1");
  });
});
