/** `manx why --live` over two hosts: each tells what it made of the packet, and between them it can be lost. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { FlowView, LiveResult } from "../../src/api/client.ts";
import { ClusterWorld, type Place } from "./cluster-world.ts";

describe("manx why --live on two hosts", { timeout: 1_800_000 }, () => {
  let world: ClusterWorld;
  const live = async (
    host: string,
    args: readonly string[],
    [from, to, port]: readonly [Place, Place, number],
  ): Promise<{ readonly code: number; readonly result: LiveResult }> => {
    const asked = Promise.withResolvers<string>();
    const onOutput = (text: string): void => {
      if (text.includes("waiting for the next packet")) asked.resolve(text);
    };
    const argv = ["manx", "why", ...args, String(port), "--live", "--timeout", "20s", "-o", "json"];
    const done = world.host(host).exec(argv, { onOutput });
    await Promise.race([asked.promise, done]);
    assert.match(await asked.promise, /on h1, h2: waiting/);
    await world.fetches(from, await world.address(to), port);
    const { code, stdout, stderr } = await done;
    assert.notEqual(stdout, "", stderr);
    for (const one of world.lab.hosts)
      await world.eventually(async () =>
        assert.doesNotMatch(await one.mustExec(["nft", "list", "tables"]), /manx-trace/),
      );
    return { code, result: JSON.parse(stdout) as LiveResult };
  };
  const states = ({ hosts }: LiveResult): string[] =>
    hosts.map((one) => `${one.host} ${one.state === "seen" ? one.passage.end : one.state}`);

  before(async () => {
    world = await ClusterWorld.start("live-cluster", 2);
    await world.network("h1", "apps", "--subnet", "10.77.0.0/16");
    await world.eventually(async () => assert.ok(await world.hasNetwork("h2", "apps")));
    await world.run("h1/web", "apps");
    await world.run("h2/db", "apps");
    await world.eventually(() => world.expectTable({ "h1/web": "- y", "h2/db": "y -" }));
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("shows the way over both, whichever of them is asked", async () => {
    for (const host of ["h1", "h2"]) {
      const { code, result } = await live(host, ["web", "db"], ["h1/web", "h2/db", 80]);
      assert.deepEqual([code, result.outcome], [0, "answered"], JSON.stringify(result));
      assert.deepEqual(states(result), ["h1 left", "h2 delivered"]);
    }
    const { result } = await live("h1", ["web", "db"], ["h1/web", "h2/db", 81]);
    assert.deepEqual([result.outcome, ...states(result)], ["refused", "h1 left", "h2 delivered"]);
  });

  it("flows of both hosts are shown by either, a connection between them once, and nothing of it stays in the store", async () => {
    await world.fetches("h1/web", await world.address("h2/db"), 80);
    const flows = async (host: string, ...args: readonly string[]): Promise<readonly FlowView[]> => {
      const argv = ["manx", "flows", "--from", "web", "--to", "db", "--port", "80", "-o", "json", ...args];
      return JSON.parse(await world.host(host).mustExec(argv)) as FlowView[];
    };
    for (const host of ["h1", "h2"])
      await world.eventually(async () => {
        const found = await flows(host, "--all-hosts");
        assert.ok(found.length > 0);
        for (const { hosts } of found) assert.deepEqual(hosts, ["h1", "h2"], host);
        assert.equal(found.length, (await flows(host)).length);
      });
    const left = ["etcdctl", "--endpoints", world.store, "get", "--prefix", "/manx/v1/flows/", "--keys-only"];
    await world.eventually(async () => assert.equal((await world.lab.lan.mustExec(left)).trim(), ""));
  });

  it("names the other host's foreign rule, and what was lost between them", async () => {
    const rules = `table inet other { chain guard { type filter hook prerouting priority 5; tcp dport 82 drop; }; }
      table netdev wire { chain in { type filter hook ingress device eth0 priority 0; tcp dport 83 drop; }; }`;
    await writeFile(world.host("h2").path("/tmp/other.nft"), rules);
    await world.host("h2").mustExec(["nft", "-f", "/tmp/other.nft"]);
    const dropped = await live("h1", ["web", "db"], ["h1/web", "h2/db", 82]);
    assert.deepEqual([dropped.code, dropped.result.outcome], [1, "dropped"], JSON.stringify(dropped.result));
    assert.match(dropped.result.text, /host h2: dropped by nftables: inet other, chain guard/);
    const lost = await live("h2", ["web", "db"], ["h1/web", "h2/db", 83]);
    assert.deepEqual([lost.code, lost.result.outcome], [1, "lost"], JSON.stringify(lost.result));
    assert.match(lost.result.text, /of host h1 and did not come to host h2/);
  });
});
