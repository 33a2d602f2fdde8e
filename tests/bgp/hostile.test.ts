/**
 * BIRD takes a configuration as a whole or not at all, so one value that it refuses would keep every change of BGP away from a host.
 * Arbitrary clusters are judged by BIRD itself.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import { deriveBgp } from "../../src/core/bgp/derive.ts";
import { renderBird } from "../../src/core/bgp/render.ts";
import type { BgpInput } from "../../src/core/bgp/state.ts";
import { SECRETS } from "./examples.ts";
import { configuration, node, peer } from "./resources.ts";
import { spoilt, world } from "./worlds.ts";

const folder = mkdtempSync(join(tmpdir(), "manx-bird-"));
after(() => rmSync(folder, { recursive: true }));

function assertTaken(input: BgpInput, form: "whole" | "snippet" = "whole"): void {
  const file = join(folder, "bird.conf");
  const options = { logFile: join(folder, "log"), secrets: SECRETS, routeProtocol: 109, persist: true, form };
  const text = renderBird(deriveBgp(input), options);
  writeFileSync(file, form === "whole" ? text : `router id 192.0.2.1;\nprotocol device {}\n${text}`);
  const { status, stderr } = spawnSync("bird", ["-p", "-c", file], { encoding: "utf8" });
  const line = Number(/:([0-9]+):[0-9]+ /.exec(stderr)?.[1] ?? 0);
  assert.equal(
    status,
    0,
    `${stderr}\n${text
      .split("\n")
      .slice(Math.max(0, line - 25), line)
      .join("\n")}`,
  );
}

const ALONE: BgpInput = {
  host: "a",
  nodes: [node("a", { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" })],
  configurations: [],
  peers: [],
  filters: [],
  pools: [],
  blocks: [],
  lent: [],
  services: [],
  connected: [],
};
const at = { "manx/bgp-interface": "eth0" };

/** [what, the cluster]: each was refused once. */
const ROWS: readonly (readonly [string, Partial<BgpInput>])[] = [
  ["an interface and a peer in no network of the host", { peers: [peer("p", { peerIP: "10.9.9.9" }, at)] }],
  ["an interface and TTL security", { peers: [peer("p", { peerIP: "fe80::1", ttlSecurity: 3 }, at)] }],
  ["keepalives every 292 years", { peers: [peer("p", { peerIP: "10.9.9.9", keepaliveTime: "2562047h" })] }],
  ["the address of nobody as a peer", { peers: [peer("p", { peerIP: "0.0.0.0" }), peer("q", { peerIP: "[::]:179" })] }],
  [
    "the address of nobody as the node's",
    {
      nodes: [node("a", { ipv4Address: "0.0.0.0/0", ipv6Address: "::/0" })],
      configurations: [configuration({ bindMode: "NodeIP" })],
      peers: [peer("p", { peerIP: "10.9.9.9" }), peer("q", { peerIP: "fd00::9" }, { "manx/bgp-bfd": "on" })],
    },
  ],
  [
    "a link-local address as the node's",
    { nodes: [node("a", { ipv6Address: "fe80::1/64" })], peers: [peer("p", { peerIP: "fd00::9" })] },
  ],
  [
    "an interface that is called as a port",
    {
      peers: [
        peer("p", { peerIP: "fe80::1" }, { "manx/bgp-interface": "a-port-1790" }),
        peer("q", { peerIP: "[fe80::1]:1790" }, { "manx/bgp-interface": "a" }),
      ],
    },
  ],
];

describe("BIRD takes", () => {
  for (const [what, input] of ROWS) it(what, () => assertTaken({ ...ALONE, ...input }));

  it("whatever passes the door", () => {
    fc.assert(
      fc.property(world, (input) => assertTaken(input)),
      { numRuns: 60, endOnFailure: true },
    );
  });

  it("the same as a snippet beside its own configuration", () => {
    fc.assert(
      fc.property(world, (input) => assertTaken(input, "snippet")),
      { numRuns: 15, endOnFailure: true },
    );
  });

  it("what is left of whatever a store holds", () => {
    fc.assert(
      fc.property(spoilt, (input) => assertTaken(input)),
      { numRuns: 60, endOnFailure: true },
    );
  });
});
