import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { golden } from "./golden.ts";
import { setUp } from "./harness.ts";

describe("manx bgp", () => {
  it("shows sessions in plain words, and says by its exit status whether all are up", async () => {
    await using bench = await setUp();
    golden("bgp-status", await bench.manx("bgp", "status"));
    golden("bgp-status-probe", await bench.manx("bgp", "status", "--probe", "-o", "wide"));
    bench.agent.bgp.view = { ...bench.agent.bgp.view, sessions: bench.agent.bgp.view.sessions.slice(0, 1) };
    assert.equal((await bench.manx("bgp", "status")).exit, 0);
  });

  it("shows routes and differences", async () => {
    await using bench = await setUp();
    golden("bgp-routes", await bench.manx("bgp", "routes"));
    golden("bgp-routes-refused", await bench.manx("bgp", "routes", "192.168.1.1", "--refused"));
    golden("bgp-routes-missing", await bench.manx("bgp", "routes", "10.9.9.9"));
    golden("bgp-diff", await bench.manx("bgp", "diff"));
  });

  it("adds a peer as the resource that it is, and removes it by its address", async () => {
    await using bench = await setUp();
    const options = ["--as", "0.65001", "--bfd", "--password", "tor/password", "--filter", "a", "--hops", "1"];
    golden("bgp-add", await bench.manx("bgp", "add", "192.168.1.1", ...options));
    golden("bgp-add-link-local", await bench.manx("bgp", "add", "fe80::1%eth0", "--as", "65001"));
    const added = bench.agent.requests.map(({ resources }) => resources[0]);
    assert.deepEqual(
      added.map((resource) => [resource?.metadata.name, resource?.metadata["annotations"]]),
      [
        ["peer-192-168-1-1", { "manx/bgp-bfd": "on" }],
        ["peer-fe80-1-eth0", { "manx/bgp-interface": "eth0" }],
      ],
    );
    golden("bgp-rm", await bench.manx("bgp", "rm", "192.168.1.1"));
    golden("bgp-rm-missing", await bench.manx("bgp", "rm", "192.168.1.1"));
    golden("bgp-add-wrong", await bench.manx("bgp", "add", "router", "--as", "65001"));
    golden("bgp-add-wrong-as", await bench.manx("bgp", "add", "192.168.1.1", "--as", "x"));
  });

  it("prints what the other side needs, in its language", async () => {
    await using bench = await setUp();
    golden("bgp-config-frr", await bench.manx("bgp", "config", "192.168.1.1", "--for", "frr"));
    golden("bgp-config-mikrotik", await bench.manx("bgp", "config", "192.168.1.1", "--for", "mikrotik"));
    golden("bgp-config-missing", await bench.manx("bgp", "config", "10.9.9.9", "--for", "bird"));
  });

  it("resets sessions", async () => {
    await using bench = await setUp();
    golden("bgp-reset", await bench.manx("bgp", "reset"));
    golden("bgp-reset-hard", await bench.manx("bgp", "reset", "192.168.1.1", "--hard"));
    assert.deepEqual(bench.agent.bgp.resets, [{}, { session: "192.168.1.1", hard: true }]);
  });
});
