import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstPacket, type LiveFlow, type LiveHead, type LivePlace, type LiveStep, passage } from "./live.ts";
import { type LiveReport, liveWay } from "./live-way.ts";

const FLOW: LiveFlow = { family: 4, protocol: 6, source: "10.0.0.1", destination: "10.0.0.2", port: 80 };
const SYN: LiveHead = {
  source: "10.0.0.1",
  destination: "10.0.0.2",
  protocol: 6,
  sourcePort: 5000,
  destinationPort: 80,
  tcpFlags: 2,
};
const BACK = { source: "10.0.0.2", destination: "10.0.0.1", protocol: 6, sourcePort: 80, destinationPort: 5000 };
const SYN_ACK: LiveHead = { ...BACK, tcpFlags: 18 };
const RST: LiveHead = { ...BACK, tcpFlags: 20 };
const icmp = (type: number, code: number, source = "10.0.0.2"): LiveHead => ({
  source,
  destination: "10.0.0.1",
  protocol: 1,
  icmp: { type, code },
});

const came = (packet: number, place: LivePlace, head: LiveHead, more: Partial<LiveStep> = {}): LiveStep => ({
  packet,
  place,
  head,
  family: "inet",
  table: "manx-trace-0",
  chain: place,
  kind: "policy",
  verdict: "accept",
  ...more,
});
const rule = (packet: number, verdict: string, more: Partial<LiveStep> = {}): LiveStep => ({
  packet,
  family: "ip",
  table: "filter",
  chain: "DOCKER-USER",
  kind: "rule",
  verdict,
  text: "tcp dport 80",
  ...more,
});
/** All the way to a container. */
const through = (packet: number, head: LiveHead): LiveStep[] => [
  came(packet, "prerouting", head, { from: "manxa" }),
  came(packet, "forward", head, { from: "manxa", to: "manxb" }),
  rule(packet, "accept", { kind: "policy", chain: "FORWARD" }),
  came(packet, "postrouting", head, { to: "manxb" }),
  came(packet, "left", head, { to: "manxb" }),
];
const judge = (steps: readonly LiveStep[], flow = FLOW) => {
  const { forward, back } = firstPacket(steps, [flow]);
  return passage(forward, back, (name) => name.startsWith("manx"));
};

void describe("one packet on one host", () => {
  const cases: readonly [string, readonly LiveStep[], string, RegExp][] = [
    ["that is answered", [...through(1, SYN), ...through(2, SYN_ACK)], "delivered answered", /10.0.0.2 answers/],
    ["that is refused", [...through(1, SYN), ...through(2, RST)], "delivered refused", /nothing listens there/],
    [
      "to a closed port of UDP",
      [...through(1, SYN), ...through(2, icmp(3, 3))],
      "delivered refused",
      /port unreachable/,
    ],
    [
      "that is too large for a router",
      [came(1, "prerouting", SYN), ...through(2, icmp(3, 4, "10.9.9.9"))],
      "vanished unreachable",
      /10.9.9.9 says "fragmentation needed/,
    ],
    ["that is given to a container", through(1, SYN), "delivered", /given to the container by manxb/],
    [
      "that a rule drops",
      [came(1, "prerouting", SYN), came(1, "forward", SYN), rule(1, "drop")],
      "dropped",
      /dropped by Docker: ip filter, chain DOCKER-USER: tcp dport 80/,
    ],
    ["that routing drops", [came(1, "prerouting", SYN)], "vanished", /no route, a reverse path filter/],
    ["that iptables-legacy drops", through(1, SYN).slice(0, 2), "vanished", /in forward; .*iptables-legacy/],
    [
      "whose answer dies",
      [...through(1, SYN), came(2, "prerouting", SYN_ACK), rule(2, "drop")],
      "delivered dropped",
      /the answer was dropped by Docker/,
    ],
    [
      "that leaves",
      [came(1, "output", SYN, { to: "eth0" }), came(1, "left", SYN, { to: "eth0" })],
      "left",
      /left by eth0/,
    ],
    [
      "for the host itself",
      [came(1, "prerouting", SYN), came(1, "input", SYN), came(1, "delivered", SYN)],
      "delivered",
      /a process of this host/,
    ],
  ];
  for (const [title, steps, ends, text] of cases)
    void it(title, () => {
      const { end, answer, text: said } = judge(steps);
      assert.deepEqual([end, answer?.kind].filter(Boolean).join(" "), ends);
      assert.match(`${said}\n${answer?.text ?? ""}`, text);
    });

  void it("is told from others, and from a later one that the kernel gives the same number", () => {
    const other: LiveHead = { ...SYN, destinationPort: 81 };
    const steps = [...through(7, other), ...through(1, SYN), came(1, "prerouting", SYN), rule(1, "drop")];
    const { forward } = firstPacket(steps, [FLOW]);
    assert.deepEqual(forward, through(1, SYN));
    assert.equal(judge(steps).end, "delivered");
    assert.deepEqual(firstPacket(through(2, SYN_ACK), [FLOW]).forward, []);
  });

  void it("of an echo is not taken for its answer", () => {
    const ping: LiveFlow = { family: 4, protocol: 1, destination: "10.0.0.1" };
    assert.deepEqual(firstPacket([came(1, "prerouting", icmp(0, 0))], [ping]).forward, []);
    const echo = { ...icmp(8, 0), source: "10.0.0.2" };
    assert.equal(firstPacket([came(1, "prerouting", echo)], [ping]).forward.length, 1);
  });
});

void describe("a way over hosts", () => {
  const seen = (host: string, steps: readonly LiveStep[]): LiveReport => ({
    host,
    state: "seen",
    passage: judge(steps),
  });
  const leaving = [came(1, "prerouting", SYN, { from: "manxa" }), came(1, "left", SYN, { to: "eth0" })];
  const ends = { from: "h2", to: "h1" };
  const cases: readonly [string, readonly LiveReport[], string, RegExp][] = [
    ["that nobody saw", [{ host: "h1", state: "nothing" }], "nothing-came", /no packet/],
    [
      "that ends between them",
      [seen("h2", leaving), { host: "h1", state: "nothing" }],
      "lost",
      /left by eth0 of host h2 and did not come to host h1/,
    ],
    [
      "whose end nobody saw",
      [seen("h2", leaving), { host: "h1", state: "failed", why: "away" }],
      "unanswered",
      /h1 could not look \(away\)/,
    ],
    [
      "that dies on the second",
      [seen("h2", leaving), seen("h1", [came(1, "prerouting", SYN), rule(1, "drop")])],
      "dropped",
      /^host h1: dropped by Docker/,
    ],
    [
      "that is refused",
      [seen("h1", [...through(1, SYN), ...through(2, RST)]), seen("h2", leaving)],
      "refused",
      /it arrived; .*nothing listens/,
    ],
    [
      "whose answer dies on the first",
      [
        seen("h1", [...through(1, SYN), ...through(2, SYN_ACK)]),
        seen("h2", [...leaving, came(2, "prerouting", SYN_ACK), rule(2, "drop")]),
      ],
      "dropped",
      /it arrived, but on host h2 the answer/,
    ],
    ["that is not answered", [seen("h1", through(1, SYN))], "unanswered", /given to the container/],
    [
      "that is answered though not all of it was seen",
      [seen("h1", [came(1, "prerouting", SYN), ...through(2, SYN_ACK)])],
      "answered",
      /answers/,
    ],
  ];
  for (const [title, reports, outcome, text] of cases)
    void it(title, () => {
      const way = liveWay(reports, ends);
      assert.equal(way.outcome, outcome);
      assert.match(way.text, text);
    });
  void it("names the hosts in the order of the way", () => {
    const way = liveWay([{ host: "h0", state: "nothing" }, seen("h1", through(1, SYN)), seen("h2", leaving)], ends);
    assert.deepEqual(
      way.hosts.map(({ host }) => host),
      ["h2", "h1", "h0"],
    );
  });
});
