/** `manx why --live`: the next real packet between real containers, through rules of ours and of others, and where it died. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { LiveResult } from "../../src/api/client.ts";
import { World } from "./world.ts";

const POLICY = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: db }
spec:
  selector: role == "db"
  ingress:
    - { action: Allow, protocol: TCP, source: { selector: role == "web" }, destination: { ports: [80, 81, 82, 83] } }
    - { action: Deny, protocol: TCP, destination: { ports: [84] } }
`;

describe("manx why --live", () => {
  let world: World;
  /** Asks, sends once all look, and takes the answer. */
  const live = async (
    args: readonly string[],
    send: () => Promise<unknown>,
  ): Promise<{ readonly code: number; readonly result: LiveResult }> => {
    const asked = Promise.withResolvers<void>();
    const onOutput = (text: string): void => {
      if (text.includes("waiting for the next packet")) asked.resolve();
    };
    const done = world.host.exec(["manx", "why", ...args, "--live", "--timeout", "20s", "-o", "json"], { onOutput });
    await Promise.race([asked.promise, done]);
    await send();
    const { code, stdout, stderr } = await done;
    assert.notEqual(stdout, "", stderr);
    // What it dropped is looked after for some seconds by the agent's own account of foreign drops.
    await world.eventually(async () =>
      assert.doesNotMatch(await world.host.mustExec(["nft", "list", "tables"]), /manx-trace/),
    );
    return { code, result: JSON.parse(stdout) as LiveResult };
  };
  const connect = async (from: string, to: string, port: number): Promise<void> => {
    await world.fetches(from, await world.address(to, 4), port);
  };

  before(async () => {
    world = await World.start("live-why", { engine: "installed" });
    await world.network("apps", "--ipv6");
    await Promise.all([world.run("web", "apps", "--label", "role=web"), world.run("db", "apps", "--label", "role=db")]);
    await writeFile(world.host.path("/tmp/db.yaml"), POLICY);
    await world.host.mustExec(["manx", "apply", "-f", "/tmp/db.yaml"]);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("shows each chain that let the packet pass, and that it was answered", async () => {
    const { code, result } = await live(["web", "db", "80"], () => connect("web", "db", 80));
    assert.deepEqual([code, result.outcome], [0, "answered"], JSON.stringify(result));
    const [host] = result.hosts;
    assert.ok(host?.state === "seen");
    assert.equal(host.passage.end, "delivered");
    const texts = host.passage.hops.filter(({ owner }) => owner === "Manx").map(({ text }) => text);
    assert.match(texts.join("\n"), /GlobalNetworkPolicy db: ingress\[0\] \(Allow\)/);
    assert.ok(
      host.passage.hops.some(({ table }) => table === "filter"),
      JSON.stringify(host.passage.hops),
    );
  });

  it("tells that nothing listens there", async () => {
    const { code, result } = await live(["web", "db", "81"], () => connect("web", "db", 81));
    assert.deepEqual([code, result.outcome], [0, "refused"], JSON.stringify(result));
    assert.match(result.text, /nothing listens there/);
  });

  it("names the rule of ours that dropped it", async () => {
    const { code, result } = await live(["web", "db", "84"], () => connect("web", "db", 84));
    assert.deepEqual([code, result.outcome], [1, "dropped"], JSON.stringify(result));
    assert.match(result.text, /host h1: dropped by .*GlobalNetworkPolicy db: ingress\[1\] \(Deny\)/);
  });

  it("names a foreign nftables table's rule", async () => {
    const rules =
      "table inet other { chain guard { type filter hook forward priority 5; tcp dport 82 counter drop; }; }";
    await writeFile(world.host.path("/tmp/other.nft"), rules);
    await world.host.mustExec(["nft", "-f", "/tmp/other.nft"]);
    const { code, result } = await live(["web", "db", "82"], () => connect("web", "db", 82));
    assert.deepEqual([code, result.outcome], [1, "dropped"], JSON.stringify(result));
    assert.match(result.text, /dropped by nftables: inet other, chain guard: tcp dport 82 .*drop/);
  });

  it("names the rule of iptables", async () => {
    await world.host.mustExec([
      "iptables",
      "-t",
      "mangle",
      "-I",
      "FORWARD",
      "-p",
      "tcp",
      "--dport",
      "83",
      "-j",
      "DROP",
    ]);
    const { code, result } = await live(["web", "db", "83"], () => connect("web", "db", 83));
    assert.deepEqual([code, result.outcome], [1, "dropped"], JSON.stringify(result));
    assert.match(result.text, /dropped by iptables: ip mangle, chain FORWARD: .*drop/);
  });

  it("waits no longer than asked, and leaves nothing behind when it is stopped or its agent dies", async () => {
    const waited = await world.host.exec(["manx", "why", "web", "db", "80", "--live", "--timeout", "1s"]);
    assert.equal(waited.code, 2);
    assert.match(waited.stdout, /nothing came: no packet of it came by/);
    const tables = async (): Promise<boolean> =>
      (await world.host.mustExec(["nft", "list", "tables"])).includes("manx-trace");
    const stop = new AbortController();
    const asking = world.host
      .exec(["manx", "why", "web", "db", "80", "--live"], { signal: stop.signal })
      .catch(() => undefined);
    await world.eventually(async () => assert.ok(await tables()));
    stop.abort();
    await asking;
    await world.eventually(async () => assert.ok(!(await tables())));
    const again = world.host.exec(["manx", "why", "web", "db", "80", "--live"]);
    await world.eventually(async () => assert.ok(await tables()));
    await world.host.stopAgent("SIGKILL");
    assert.equal((await again).code, 3);
    assert.ok(!(await tables()));
    await world.host.startAgent();
  });

  it("refuses what it cannot wait for", async () => {
    const wide = await world.host.exec(["manx", "why", "internet", "internet", "80", "--live"]);
    assert.match(wide.stderr, /from anybody to anybody/);
    assert.equal((await world.host.exec(["manx", "why", "web", "nobody", "80", "--live"])).code, 2);
    assert.equal((await world.host.exec(["manx", "why", "web", "db", "80", "--live", "--probe"])).code, 2);
  });
});
