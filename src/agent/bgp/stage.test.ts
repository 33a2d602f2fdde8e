import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { configuration, node, peer, pool } from "../../../tests/bgp/resources.ts";
import type { BgpInput } from "../../core/bgp/state.ts";
import { FakeBird } from "../../drivers/bird/fake.ts";
import { DriverError } from "../../drivers/error.ts";
import { Health } from "../health.ts";
import { BgpStage } from "./stage.ts";

const ALONE: BgpInput = {
  host: "a",
  nodes: [node("a", { ipv4Address: "10.0.0.1/24" })],
  configurations: [],
  peers: [],
  filters: [],
  pools: [pool("10.65.0.0/16")],
  blocks: ["10.65.0.0/26"],
  lent: [],
  services: [],
  connected: ["10.0.0.1/24"],
};
const SECRET = { secretKeyRef: { name: "tor", key: "password" } };

function setUp(first: BgpInput, secret: () => Promise<string> = () => Promise.resolve("x")) {
  const bird = new FakeBird();
  const raised: string[] = [];
  const health = new Health(({ code }, isRaised) => isRaised && raised.push(code));
  const now = { input: first };
  const stage = new BgpStage({
    bird,
    health,
    input: () => now.input,
    readSecret: secret,
    logFile: "/run/bird.log",
    routeProtocol: 109,
  });
  return { bird, stage, now, raised, codes: () => health.list().map(({ code }) => code) };
}

describe("BGP in the agent", () => {
  it("starts no BIRD where there is nobody to speak with, and ends it when the last peer goes", async () => {
    const { bird, stage, now } = setUp(ALONE);
    using _ = stage;
    await stage.settle();
    assert.deepEqual(bird.done, []);
    now.input = { ...ALONE, peers: [peer("p", { peerIP: "10.0.0.2", asNumber: 65001 })] };
    await stage.settle();
    now.input = ALONE;
    await stage.settle();
    assert.deepEqual(bird.done, ["started", "stopped"]);
  });

  it("does nothing in BGP when a container starts inside an announced block", async () => {
    const peers = [peer("p", { peerIP: "10.0.0.2", asNumber: 65001 })];
    const { bird, stage, now } = setUp({ ...ALONE, peers });
    using _ = stage;
    await stage.settle();
    now.input = { ...ALONE, peers, blocks: ["10.65.0.0/26"], nodes: [...ALONE.nodes], connected: [...ALONE.connected] };
    await stage.settle();
    assert.deepEqual(bird.done, ["started"]);
    now.input = { ...now.input, blocks: ["10.65.0.0/26", "10.65.64.0/26"] };
    await stage.settle();
    assert.deepEqual(bird.done, ["started", "reconfigured"]);
  });

  it("leaves a session out whose password cannot be read, says so, and has it when it can", async () => {
    let broken = true;
    const peers = [peer("p", { peerIP: "10.0.0.2", asNumber: 65001, password: SECRET })];
    const { bird, stage, codes } = setUp({ ...ALONE, peers }, () =>
      broken ? Promise.reject(new DriverError("denied", "others can read it")) : Promise.resolve("hush"),
    );
    using _ = stage;
    await stage.settle();
    assert.ok(!bird.config?.includes("peer-10.0.0.2"));
    assert.deepEqual(codes(), ["bgp-secret"]);
    broken = false;
    await stage.settle();
    assert.ok(bird.config?.includes('password "hush";'));
    assert.deepEqual(codes(), []);
  });

  it("tells a daemon in the way from a configuration that BIRD refuses, and recovers from both", async () => {
    const peers = [peer("p", { peerIP: "10.0.0.2", asNumber: 65001 })];
    const { bird, stage, codes, raised, now } = setUp({ ...ALONE, peers });
    using _ = stage;
    bird.failure = new DriverError("busy", "another BIRD runs here");
    await stage.settle(); // tried again until the other is gone
    assert.deepEqual(raised, ["bgp-in-the-way"]);
    assert.deepEqual(codes(), []);
    bird.failure = new DriverError("invalid", "BIRD says no");
    await assert.rejects(stage.settle());
    assert.deepEqual(codes(), ["bgp-not-applied"]);
    now.input = { ...now.input, blocks: [] };
    await stage.settle();
    assert.deepEqual(codes(), []);
  });

  it("says which resource it left out", async () => {
    const { stage, codes, now } = setUp({ ...ALONE, peers: [peer("p", { peerIP: "fe80::1" })] });
    using _ = stage;
    await stage.settle();
    assert.deepEqual(codes(), ["bgp-resource"]);
    now.input = { ...ALONE, configurations: [configuration({})] };
    await stage.settle();
    assert.deepEqual(codes(), []);
  });
});
