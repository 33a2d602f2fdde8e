import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { EVERYTHING, REFLECTOR, SECRETS } from "../../../tests/bgp/examples.ts";
import { filter, node, peer, pool } from "../../../tests/bgp/resources.ts";
import { ROUTE_PROTOCOL } from "../../drivers/netlink/ownership.ts";
import { deriveBgp } from "./derive.ts";
import { type RenderOptions, renderBird } from "./render.ts";
import type { BgpInput } from "./state.ts";

const OPTIONS: RenderOptions = {
  logFile: "/run/manx/bird/bird.log",
  secrets: SECRETS,
  routeProtocol: ROUTE_PROTOCOL,
  persist: true,
};

/** `UPDATE_GOLDEN=1 npm test` writes the files anew; read the difference. */
function golden(name: string, text: string): void {
  const path = join(import.meta.dirname, "golden", name);
  if (process.env["UPDATE_GOLDEN"] !== undefined) writeFileSync(path, text);
  assert.equal(text, readFileSync(path, "utf8"));
}

const render = (input: BgpInput, secrets = SECRETS): string => renderBird(deriveBgp(input), { ...OPTIONS, secrets });

describe("BIRD's configuration", () => {
  it("is as in the golden files", () => {
    golden("everything.conf", render(EVERYTHING));
    golden("reflector.conf", render(REFLECTOR));
  });

  it("has no session whose password is missing, and the others all the same", () => {
    const text = render(EVERYTHING, new Map());
    assert.ok(!text.includes("'peer-10.0.0.254'") && !text.includes("'mesh-"));
    assert.ok(text.includes("'peer-192.0.2.9'"));
  });

  it("takes a password as it is, and none that would end the string", () => {
    assert.ok(render(EVERYTHING).includes('password "pass word;} #";'));
    for (const bad of ['a"; include "/etc/shadow', "a\nb", "x".repeat(81), ""])
      assert.throws(() => render(EVERYTHING, new Map([["tor/password", bad]])), RangeError);
  });

  it("lets no text of a resource out of its place, whatever the store holds", () => {
    const evil = `x"; } protocol static { route 0.0.0.0/0 blackhole; } #'\n`;
    const input: BgpInput = {
      host: "a",
      nodes: [node("a", { ipv4Address: "10.0.0.1" }), node(evil, { ipv4Address: "10.0.0.2" }, { [evil]: evil })],
      configurations: [],
      peers: [
        peer(evil, { peerIP: "10.0.0.3", filters: [evil], asNumber: 1 }),
        peer("b", { peerIP: evil }),
        peer("c", { peerIP: "fe80::1" }, { "manx/bgp-interface": evil }),
        peer("d", {}, { "manx/bgp-range": evil }),
        peer("e", { peerIP: "10.0.0.4", filters: ["f"] }),
        peer("g", { peerIP: "10.0.0.5", filters: ["h"] }),
      ],
      filters: [
        filter(evil, { importV4: [{ action: "Accept" }] }),
        filter("f", { importV4: [{ action: "Accept", interface: evil }] }),
        filter("h", { importV4: [{ action: "Accept", communities: { values: [evil] } }] }),
      ],
      pools: [pool(evil)],
      blocks: [evil],
      services: [evil],
      lent: [evil],
      connected: [evil],
    };
    const state = deriveBgp(input);
    const text = renderBird(state, OPTIONS);
    assert.ok(!text.includes("protocol static"), text);
    assert.deepEqual(
      state.problems.map(({ path }) => path),
      ["BGPPeer c", "BGPPeer d", "BGPPeer e", "BGPPeer g", `BGPPeer ${evil}`],
    );
  });
});
