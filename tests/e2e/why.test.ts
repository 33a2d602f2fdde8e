/** `manx why` between real containers: what decides, what was nearest, what staged policies would do, what the kernel says. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { WhyView } from "../../src/api/client.ts";
import { World } from "./world.ts";

const POLICIES = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: db }
spec:
  selector: role == "db"
  ingress:
    - { action: Allow, protocol: TCP, source: { selector: role == "web" }, destination: { ports: [80, 5432] } }
    - { action: Allow, protocol: UDP, source: { selector: role == "web" }, destination: { ports: [5353] } }
---
apiVersion: projectcalico.org/v3
kind: StagedGlobalNetworkPolicy
metadata: { name: stricter }
spec: { selector: role == "web", types: [Egress], egress: [{ action: Allow, protocol: UDP }] }
`;

describe("manx why", () => {
  let world: World;
  const ask = async (...args: string[]): Promise<{ code: number; out: string; view: WhyView }> => {
    const { code, stdout } = await world.host.exec(["manx", "why", ...args]);
    const json = await world.host.exec(["manx", "why", ...args, "-o", "json"]);
    assert.equal(json.code, code);
    return { code, out: stdout, view: JSON.parse(json.stdout) as WhyView };
  };

  before(async () => {
    world = await World.start("why", { engine: "installed" });
    await world.network("apps", "--ipv6");
    await world.network("shop", "--ipv6");
    await world.network("sandbox", "-o", "isolation=endpoint");
    await Promise.all([
      world.run("web", "apps", "--label", "role=web"),
      world.run("web-2", "apps", "--label", "role=worker"),
      world.run("db", "apps", "--label", "role=db"),
      world.run("far", "shop"),
      world.run("alone", "sandbox"),
      world.run("also-alone", "sandbox"),
    ]);
    await world.host.docker("network", "connect", "shop", "web-2");
    await writeFile(world.host.path("/tmp/why.yaml"), POLICIES);
    await world.host.mustExec(["manx", "apply", "-f", "/tmp/why.yaml"]);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("names the rule that decides, and asks the kernel", async () => {
    const { code, view, out } = await ask("web", "db", "80", "--probe");
    assert.equal(code, 0, out);
    assert.match(out, /the kernel agrees/);
    assert.deepEqual(
      view.paths.map(({ verdict, probe }) => [verdict, probe]),
      [
        ["allow", "arrived"],
        ["allow", "arrived"],
      ],
    );
    const deciding = view.paths[0]?.steps.at(-1);
    assert.deepEqual([deciding?.policy, deciding?.rule, deciding?.tier], ["db", "ingress[0]", "default"]);
  });

  it("tells what the nearest rule wants", async () => {
    const label = await ask("web-2", "db", "5432", "--probe");
    assert.equal(label.code, 1);
    assert.match(
      label.out,
      /rule ingress\[0\] of policy db .*role == "web"; web-2 has role=worker|apps\/web-2 has role=worker/,
    );
    assert.ok(
      label.view.paths.every(({ probe }) => probe === "dropped"),
      label.out,
    );
    assert.match(label.out, /the kernel agrees/);
    const port = await ask("web", "db", "5433");
    assert.equal(port.code, 1);
    assert.match(port.out, /port 5433 is not in 80, 5432/);
    const protocol = await ask("web", "db", "icmp", "--probe");
    assert.match(protocol.out, /this is ICMP(v6)?, not TCP/);
    assert.ok(
      protocol.view.paths.every(({ probe }) => probe === "dropped"),
      protocol.out,
    );
    assert.match((await ask("far", "db", "80")).out, /far has no label role/);
    assert.match((await ask("far", "web", "80")).out, /network apps lets its members in, and far is on shop/);
  });

  it("says of a network that keeps its members apart that it does, and what would let in", async () => {
    const { out, view } = await ask("alone", "also-alone", "22");
    assert.match(
      out,
      /the network sandbox keeps its members apart \(isolation=endpoint\); also-alone publishes no port/,
    );
    assert.equal(view.remedy, "manx allow alone also-alone 22/tcp");
    assert.match((await ask("internet", "web", "80")).view.remedy ?? "", /^docker run -p 80/);
    assert.match(
      (await ask("internet", "db", "80")).view.remedy ?? "",
      /^an Allow rule for 80\/tcp in a policy that selects db/,
    );
    assert.match((await ask("web", "host", "22")).view.remedy ?? "", /^endpointToHost: allow/);
    assert.match((await world.host.exec(["manx", "why", "apps", "web", "80"])).stderr, /Write a container,/);
  });

  it("tells a closed port from a closed way, and datagrams that arrived from those that did not", async () => {
    const refused = await ask("db", "web", "81", "--probe");
    assert.deepEqual([refused.code, refused.view.paths[0]?.probe], [0, "refused"], refused.out);
    const datagram = await ask("web", "db", "5353/udp", "--probe");
    assert.ok(["refused", "arrived"].includes(datagram.view.paths[0]?.probe ?? ""), datagram.out);
    const dropped = await ask("web", "db", "5354/udp", "--probe");
    assert.deepEqual([dropped.code, dropped.view.paths[0]?.probe], [1, "dropped"], dropped.out);
    const ping = await ask("db", "web", "icmp", "--probe");
    assert.deepEqual([ping.code, ping.view.paths[0]?.probe], [0, "arrived"], ping.out);
    const outside = await ask("db", world.lab.lan.addresses.ipv4, "icmp", "--probe");
    assert.deepEqual([outside.code, outside.view.paths[0]?.probe], [0, "arrived"], outside.out);
    assert.equal((await ask("host", "db", "80", "--probe")).view.paths[0]?.probe, "arrived");
    assert.equal((await ask("internet", "db", "80", "--probe")).view.paths[0]?.probe, "not-sent");
  });

  it("shows what staged policies would do, and lets them do nothing", async () => {
    const { code, out, view } = await ask("web", "db", "80");
    assert.equal(code, 0);
    assert.equal(view.paths[0]?.staged?.verdict, "deny");
    assert.match(out, /staged .*DENIED[\s\S]*egress of web/);
    assert.equal((await ask("web", "db", "5353/udp")).view.paths[0]?.staged, undefined);
    assert.ok(await world.canFetch("web", await world.address("db", 4)));
    assert.match(await world.host.mustExec(["manx", "get", "stagedglobalnetworkpolicies"]), /stricter/);
  });

  it("says that it cannot tell, and what to write where a name means several", async () => {
    assert.equal((await world.host.exec(["manx", "why", "web", "10.65.181.255", "80"])).code, 2);
    const nobody = await world.host.exec(["manx", "why", "web", "nobody", "80"]);
    assert.equal(nobody.code, 2);
    const several = await world.host.exec(["manx", "why", "host", "web-2", "80"]);
    assert.match(several.stderr, /apps\/web-2, shop\/web-2|shop\/web-2, apps\/web-2/);
  });

  it("tells with diff whose verdicts a file would turn round, and changes nothing", async () => {
    const stricter = POLICIES.replace("ports: [80, 5432]", "ports: [5432]").split("---")[0] ?? "";
    await writeFile(world.host.path("/tmp/diff.yaml"), stricter);
    const { code, stdout } = await world.host.exec(["manx", "diff", "-f", "/tmp/diff.yaml"]);
    assert.equal(code, 1, stdout);
    const json = await world.host.exec(["manx", "diff", "-f", "/tmp/diff.yaml", "-o", "json"]);
    const { verdicts } = JSON.parse(json.stdout) as { verdicts: { decidedBy: string }[] };
    assert.deepEqual(
      verdicts.map(({ decidedBy: _decidedBy, ...row }) => row),
      [{ from: "web", to: "db", flow: "tcp 80", before: "allow", after: "deny" }],
    );
    assert.match(stdout, /web +db +tcp 80 +allow +deny/);
    assert.ok(await world.canFetch("web", await world.address("db", 4)));
    const staged = POLICIES.split("---")[1]?.replace("name: stricter", "name: other") ?? "";
    await writeFile(world.host.path("/tmp/diff.yaml"), staged.replace('"web"', '"worker"'));
    const would = await world.host.exec(["manx", "diff", "-f", "/tmp/diff.yaml"]);
    assert.match(would.stdout, /deny \(staged\)/);
    await writeFile(world.host.path("/tmp/diff.yaml"), POLICIES);
    assert.equal((await world.host.exec(["manx", "diff", "-f", "/tmp/diff.yaml"])).code, 0);
  });
});
