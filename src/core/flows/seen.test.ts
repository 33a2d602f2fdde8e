import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Flow, Reason } from "./flow.ts";
import { flowKey } from "./flow.ts";
import { Elsewhere, mergeSeen } from "./seen.ts";

function flow(time: number, count: number, reasons: readonly Reason[], port = 80): Flow {
  const party = (container: string, host: string) =>
    ({ kind: "endpoint", address: "10.0.0.1", container, network: "apps", namespace: "default", host }) as const;
  return {
    time,
    first: time - 1,
    count,
    verdict: "allow",
    family: 4,
    protocol: 6,
    source: party("web", "h1"),
    destination: party("db", "h2"),
    destinationPort: port,
    reasons,
  };
}

const out: Reason = { text: "egress of web", direction: "egress" };
const into: Reason = { text: "ingress of db", direction: "ingress" };

void describe("flows that several hosts saw", () => {
  void it("are one, as often as who counted most, with the reasons in the order of the way", () => {
    const [sender, receiver] = [flow(10, 3, [out]), flow(12, 2, [into])];
    assert.equal(flowKey(sender), flowKey(receiver));
    const merged = mergeSeen([
      { of: "h2", flow: receiver },
      { of: "h1", flow: sender },
    ]);
    const { time, first, count, reasons, hosts } = merged;
    assert.deepEqual([time, first, count, hosts], [12, 9, 3, ["h1", "h2"]]);
    assert.deepEqual(reasons, [out, into]);
  });

  void it("are news once, and again when they are seen again; a host that goes takes its own along", () => {
    const elsewhere = new Elsewhere();
    const [web, admin] = [flow(1, 1, []), flow(1, 1, [], 22)];
    assert.equal(elsewhere.take("h2", [web, admin]).length, 2);
    assert.deepEqual(elsewhere.take("h2", [flow(5, 2, []), admin]), [flow(5, 2, [])]);
    elsewhere.take("h3", [web]);
    assert.deepEqual(
      elsewhere.copies(flowKey(web)).map(({ of, flow: { count } }) => [of, count]),
      [
        ["h2", 2],
        ["h3", 1],
      ],
    );
    elsewhere.drop("h2");
    assert.deepEqual([...elsewhere.keys()], [flowKey(web)]);
    assert.deepEqual([...elsewhere.hosts()], ["h3"]);
  });
});
