/** Policy on a real engine: what `manx` commands say is what packets meet. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
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
`;

describe("policy with a real engine", () => {
  let world: World;
  const manx = async (...args: string[]): Promise<number> => (await world.host.exec(["manx", ...args])).code;

  before(async () => {
    world = await World.start("policy", { engine: "installed" });
    await world.network("apps", "--ipv6");
    await Promise.all([
      world.run("web", "apps", "--label", "role=web"),
      world.run("db", "apps", "--label", "role=db"),
      world.run("other", "apps"),
    ]);
    await writeFile(world.host.path("/tmp/db.yaml"), POLICY);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("is in force when apply has returned, and applying it again changes nothing", async () => {
    assert.equal(await manx("apply", "-f", "/tmp/db.yaml"), 0);
    const [v4, v6] = [await world.address("db", 4), await world.address("db", 6)];
    for (const address of [v4, v6]) {
      assert.ok(await world.canFetch("web", address));
      assert.ok(!(await world.pings("web", address)));
      assert.ok(!(await world.fetches("other", address)));
    }
    assert.match(await world.host.mustExec(["manx", "apply", "-f", "/tmp/db.yaml"]), /unchanged/);
  });

  it("is what manx why says, with the name of the policy", async () => {
    assert.equal(await manx("why", "web", "db", "80"), 0);
    const denied = await world.host.exec(["manx", "why", "other", "db", "80"]);
    assert.equal(denied.code, 1);
    assert.match(denied.stdout, /default/);
  });

  it("has what containers may do on their host in a FelixConfiguration, in force when apply has returned", async () => {
    const GATEWAY = "169.254.1.1";
    const felix = (spec: object): string =>
      JSON.stringify({
        apiVersion: "projectcalico.org/v3",
        kind: "FelixConfiguration",
        metadata: { name: "default" },
        spec,
      });
    const ssh = { protocol: "TCP", port: 2222 };
    assert.ok(await world.pings("web", GATEWAY));
    await writeFile(
      world.host.path("/tmp/felix.yaml"),
      felix({ defaultEndpointToHostAction: "Drop", failsafeInboundHostPorts: [ssh] }),
    );
    assert.equal(await manx("apply", "-f", "/tmp/felix.yaml"), 0);
    assert.ok(!(await world.pings("web", GATEWAY)));
    assert.deepEqual(((await world.manx("status")) as { failsafe: object }).failsafe, {
      inbound: ["tcp:2222"],
      outbound: ["udp:53", "udp:67", "udp:547", "tcp:179", "tcp:2379", "tcp:2380"],
    });
    assert.equal(await manx("delete", "felixconfig", "default"), 0);
    assert.ok(await world.pings("web", GATEWAY));
  });

  it("is in force for a container from its first packet", async () => {
    await world.run("db2", "apps", "--label", "role=db");
    assert.ok(await world.canFetch("web", await world.address("db2", 4)));
    assert.ok(!(await world.fetches("other", await world.address("db2", 4))));
    await world.host.docker("rm", "-f", "db2");
  });

  it("goes with manx delete", async () => {
    assert.equal(await manx("delete", "-f", "/tmp/db.yaml"), 0);
    await world.expectReach("other", "db", true);
  });

  it("comes from container labels too", async () => {
    await world.run("sandbox", "apps", "--label", "manx.egress=none", "--label", "manx.allow-from=web");
    assert.ok(!(await world.pings("sandbox", "203.0.113.10")));
    assert.ok(await world.canFetch("web", await world.address("sandbox", 4)));
    assert.ok(!(await world.fetches("other", await world.address("sandbox", 4))));
  });
});
