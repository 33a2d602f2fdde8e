import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fakeFacts } from "../fake-agent.ts";
import { diagnose } from "./checks.ts";
import type { HostFacts } from "./facts.ts";

/** What is wrong with the host -> the check that says so, its state, and whether it can be repaired. */
const cases: readonly [string, Partial<HostFacts>, string, string, string | undefined][] = [
  ["a dead agent", { agent: { running: false } }, "agent", "failed", undefined],
  [
    "an agent that cannot read its settings",
    { agent: { running: false, badSettings: "agent.yaml:1:1 wrong" } },
    "agent",
    "failed",
    undefined,
  ],
  ["no nftables", { kernel: { release: "6", nfTables: false } }, "nf-tables", "failed", undefined],
  [
    "a kernel that gives no reasons",
    { kernel: { ...fakeFacts().kernel, dropReasons: { asked: true, why: "/sys/kernel/btf/vmlinux cannot be read" } } },
    "drop-reasons",
    "warning",
    undefined,
  ],
  ["not knowing about veth", { kernel: { release: "6" } }, "veth", "unknown", undefined],
  ["no Docker", { engine: { state: "missing" } }, "engine", "failed", undefined],
  [
    "a network with Docker's own addresses",
    { engine: { state: "running", foreignIpam: ["n"] } },
    "ipam",
    "failed",
    undefined,
  ],
  [
    "a subnet that Docker ignores",
    { engine: { state: "running", ignoredSubnets: ["n: fd70::/64"] } },
    "subnets",
    "warning",
    undefined,
  ],
  [
    "a deaf plugin socket",
    { pluginSocket: { path: "/p", listening: false } },
    "plugin",
    "failed",
    "reopen-plugin-socket",
  ],
  [
    "FORWARD drops",
    { forward: [{ family: 6, policy: "drop", accepted: false }] },
    "forward",
    "failed",
    "accept-forward",
  ],
  [
    "firewalld without us",
    { firewalls: [{ name: "firewalld", active: true }], firewalldTrusts: false },
    "firewalls",
    "warning",
    undefined,
  ],
  ["a table of somebody that drops", { dropping: ["inet filter forward"] }, "dropping", "failed", undefined],
  ["IPv6 switched off", { ipv6: false }, "ipv6", "warning", undefined],
  ["a socket that everybody may open", { socketMode: 0o666 }, "socket", "failed", undefined],
  ["a clock of yesteryear", { clock: { now: 0, atLeast: 1 } }, "clock", "failed", undefined],
  ["a full disk", { freeBytes: 1024 }, "disk", "failed", undefined],
  ["an overlap", { overlaps: [{ pool: "p", cidr: "10.0.0.0/8", with: "eth0" }] }, "overlap", "failed", undefined],
  ["a full pool", { exhausted: ["p"] }, "exhausted", "failed", undefined],
  [
    "a label that cannot be read",
    { refusedLabels: [{ why: "web manx.ports", remedy: "" }] },
    "labels",
    "warning",
    undefined,
  ],
  ["drift", { drift: ["a", "b", "c", "d", "e", "f"] }, "drift", "failed", "resync"],
  ["orphans", { orphans: ["manx0"] }, "orphans", "warning", "release-orphans"],
  ["a dead BIRD", { bgp: { wanted: true, running: false } }, "bgp", "failed", undefined],
  [
    "a wrong sysctl",
    { sysctls: [{ path: "net/ipv4/x", want: "1", have: "0" }] },
    "sysctl-net.ipv4.x",
    "failed",
    "sysctl",
  ],
  ["an unreadable sysctl", { sysctls: [{ path: "net/ipv4/x", want: "1" }] }, "sysctl-net.ipv4.x", "unknown", "sysctl"],
  ["something that could not be looked at", { errors: ["no"] }, "unknown-1", "unknown", undefined],
];

describe("doctor", () => {
  it("finds nothing on a healthy host", () => {
    const bad = diagnose(fakeFacts()).filter(({ state }) => state !== "ok");
    assert.deepEqual(bad, []);
  });
  it("finds nothing where no container runs yet", () => {
    const bad = diagnose(fakeFacts({ sysctls: [] })).filter(({ state }) => state !== "ok");
    assert.deepEqual(bad, []);
  });
  for (const [name, facts, id, state, fix] of cases)
    it(`notices ${name}`, () => {
      const bad = diagnose(fakeFacts(facts)).filter((check) => check.state !== "ok");
      const worst = bad.filter((check) => check.id === id || check.state !== "unknown");
      assert.deepEqual(
        worst.map((check) => [check.id, check.state, check.fix?.kind]),
        [[id, state, fix]],
      );
      if (state === "failed") assert.notEqual(worst[0]?.remedy ?? "", "");
    });
  it("does not call well what is not known", () => {
    const blank: HostFacts = {
      host: "h",
      agent: { running: false },
      kernel: { release: "6" },
      sysctls: [],
      engine: { state: "unknown" },
      tools: {},
      errors: [],
    };
    assert.deepEqual(
      diagnose(blank).filter(({ state }) => state === "ok"),
      [],
    );
  });
  it("remedies a dead agent and a stopped Docker with what this host has", () => {
    const remedies = (systemd: boolean) =>
      diagnose(
        fakeFacts({
          agent: { running: false },
          pluginSocket: { path: "/p", listening: false },
          engine: { state: "stopped" },
          unit: { systemd, installed: systemd, enabled: systemd },
        }),
      ).flatMap(({ id, remedy }) => (["agent", "plugin", "engine"].includes(id) ? [remedy] : []));
    assert.deepEqual(remedies(true), ["systemctl start manx", "systemctl start docker", "systemctl start manx"]);
    for (const remedy of remedies(false)) assert.match(remedy ?? "", /\/quickstart --no-demo$/);
  });
});
