/** What `manx flows` and `manx drops` tell of real packets between real containers. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import type { FlowList, FlowView } from "../../src/api/schema/flow.ts";
import { readArchive } from "../../src/install/diags/diags.ts";
import { World } from "./world.ts";

const POLICY = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: db }
spec:
  selector: role == "db"
  ingress:
    - action: Allow
      protocol: TCP
      source: { selector: role == "web" }
      destination: { ports: [80] }
    - { action: Deny, protocol: ICMP }
---
apiVersion: projectcalico.org/v3
kind: StagedGlobalNetworkPolicy
metadata: { name: nobody }
spec:
  selector: role == "web"
  order: 1
  ingress:
    - { action: Deny }
`;

/** From a raw socket: a source address that is not the container's. */
const SPOOF = "ping -n -c 2 -W 1 -I 10.99.99.99";

describe("flows and drops with a real engine", () => {
  let world: World;
  const ask = async (command: string, ...args: string[]): Promise<readonly FlowView[]> =>
    (await world.manx(command, ...args)) as FlowList["flows"];
  /** Waits for a flow that says all of this. */
  const expectFlow = (command: string, args: string[], wanted: RegExp): Promise<void> =>
    world.eventually(async () => {
      const found = await ask(command, ...args);
      assert.match(found.map((flow) => flow.reasons.map(({ text }) => text).join("; ")).join("\n"), wanted);
    });

  before(async () => {
    world = await World.start("flows", { engine: "installed" });
    await world.network("apps", "--ipv6");
    await world.network("other");
    await Promise.all([
      world.run("web", "apps", "--label", "role=web"),
      world.run("db", "apps", "--label", "role=db"),
      world.run("stranger", "other"),
    ]);
    await writeFile(world.host.path("/tmp/db.yaml"), POLICY);
    await world.host.mustExec(["manx", "apply", "-f", "/tmp/db.yaml"]);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("name both ends and the rule that let a connection pass, in both families", async () => {
    for (const family of [4, 6] as const) {
      const to = await world.address("db", family);
      assert.ok(await world.canFetch("web", to));
      await expectFlow(
        "flows",
        ["--from", "web", "--to", to, "--port", "80"],
        /GlobalNetworkPolicy db: ingress\[0\] \(Allow\)/,
      );
    }
    const [flow] = await ask("flows", "--from", "apps/web", "--to", "apps/db", "--verdict", "allow");
    assert.equal(flow?.source.container, "web");
    assert.equal(flow?.destination.container, "db");
  });

  it("name the rule that denied, and count", async () => {
    const to = await world.address("db", 4);
    for (let i = 0; i < 3; i++) assert.ok(!(await world.pings("web", to)));
    await expectFlow(
      "drops",
      ["--from", "web", "--to", "db", "--protocol", "icmp"],
      /GlobalNetworkPolicy db: ingress\[1\] \(Deny\)/,
    );
    const [drop] = await ask("drops", "--from", "web", "--to", "db", "--protocol", "icmp");
    assert.equal(drop?.count, 3);
  });

  it("say that no rule matched", async () => {
    assert.ok(!(await world.fetches("web", await world.address("db", 4), 81)));
    await expectFlow("drops", ["--from", "web", "--to", "db", "--port", "81"], /no rule of them matches/);
  });

  it("say that networks are apart", async () => {
    assert.ok(!(await world.fetches("stranger", await world.address("web", 4))));
    await expectFlow(
      "drops",
      ["--from", "stranger", "--to", "web"],
      /no policy applies to the ingress, and no profile allows it/,
    );
  });

  it("name the sender of a spoofed source", async () => {
    await world.at("web", ["sh", "-c", `ip addr add 10.99.99.99/32 dev lo; ${SPOOF} ${await world.address("db", 4)}`]);
    await expectFlow("drops", ["--from", "10.99.99.99"], /the source is not an address of the sender/);
    const [drop] = await ask("drops", "--from", "web", "--to", "db", "--since", "1m");
    assert.ok(drop !== undefined);
  });

  it("tell what a staged policy would have dropped, which passes", async () => {
    assert.ok(await world.canFetch("db", await world.address("web", 4)));
    await expectFlow(
      "flows",
      ["--from", "db", "--to", "web", "--verdict", "would-deny"],
      /StagedGlobalNetworkPolicy nobody: ingress\[0\]/,
    );
  });

  it("are counted by rule and by reason, whole, in what manx diags packs, which has no secret", async () => {
    await world.run("keeper", "apps", "--env", "DB_PASSWORD=hunter2-hunter2");
    const file = world.host.path("/tmp/diags.tar.gz");
    await world.host.mustExec(["manx", "diags", "--file", "/tmp/diags.tar.gz"]);
    const archive = await readFile(file);
    const files = readArchive(archive);
    const metrics = files.get("manx-diags/metrics.txt") ?? "";
    const value = (series: RegExp): number =>
      Number(new RegExp(`^${series.source} ([0-9.]+)$`, "m").exec(metrics)?.[1]);
    assert.ok(
      value(
        /manx_policy_rule_packets_total\{kind="GlobalNetworkPolicy",tier="default",policy="db",direction="ingress",rule="1",action="Deny"\}/,
      ) >= 3,
      metrics,
    );
    assert.ok(value(/manx_dropped_packets_total\{reason="spoofed-source"\}/) >= 1, metrics);
    assert.ok(value(/manx_dropped_packets_total\{reason="end-of-tier"\}/) >= 1, metrics);
    assert.equal(value(/manx_endpoints\{network="apps"\}/), 3);
    assert.match(files.get("manx-diags/host/nftables.txt") ?? "", /table inet manx/);
    assert.match(files.get("manx-diags/docker/containers.json") ?? "", /"DB_PASSWORD"/);
    assert.ok(!gunzipSync(archive).includes("hunter2"));
  });

  it("suggest the policy that allows them, which manx accepts", async () => {
    const stdout = await world.host.mustExec(["manx", "suggest", "db", "--direction", "ingress"]);
    assert.match(stdout, /selector: manx\/container == "web"/);
    assert.match(stdout, /ports:\n +- 80\n/);
    await writeFile(world.host.path("/tmp/suggested.yaml"), stdout);
    await world.host.mustExec(["manx", "validate", "/tmp/suggested.yaml"]);
  });

  it("come with rates of each endpoint", async () => {
    const to = await world.address("db", 4);
    const traffic = async (): Promise<number> => {
      const rows = (await world.manx("top", "--interval", "0.1")) as {
        container: string;
        sentPackets: number;
      }[];
      return rows.find(({ container }) => container === "web")?.sentPackets ?? -1;
    };
    assert.ok((await traffic()) >= 0);
    const load = world.at("web", ["sh", "-c", `ping -c 30 -i 0.2 -W 1 ${to}; true`]);
    await world.eventually(async () => assert.ok((await traffic()) > 0));
    await load;
  });
});
