/** Containers find each other by name on two hosts: stock Docker Engines, told nothing but where to ask, and stock busybox. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ENGINES } from "../e2e/world.ts";
import { ClusterWorld } from "./cluster-world.ts";

const ASK = "169.254.1.1";

for (const engine of ENGINES) {
  describe(`names across hosts with Docker ${engine}`, { timeout: 1_800_000 }, () => {
    let world: ClusterWorld;
    before(async () => {
      const docker = { args: ["--dns", ASK] };
      world = await ClusterWorld.start(`names-${engine.replace(".", "")}`, 2, { engine, docker });
      await world.network("h1", "apps", "--ipv6");
      await world.network("h1", "other");
      await world.network("h1", "inner", "--internal");
      for (const name of ["apps", "other", "inner"])
        await world.eventually(async () => assert.ok(await world.hasNetwork("h2", name)));
      await world.run("h1/web", "apps", "--network-alias", "www", "--label", "com.docker.compose.service=front");
      await world.run("h2/db", "apps", "--network-alias", "sql");
      await world.run("h2/stranger", "other");
      await world.run("h1/in1", "inner");
      await world.run("h2/in2", "inner", "--network-alias", "deep");
    });
    after(() => world?.[Symbol.asyncDispose]());

    /** `docker exec CONTAINER ARGS`, as a user types it. */
    const inside = async (place: string, ...argv: string[]): Promise<{ ok: boolean; out: string }> => {
      const [host = "", container = ""] = place.split("/");
      const { code, stdout, stderr } = await world
        .host(host)
        .exec(["docker", "exec", container, "timeout", "8", ...argv]);
      return { ok: code === 0, out: `${stdout}${stderr}` };
    };
    const addresses = async (place: string): Promise<readonly string[]> => {
      const [host = "", container = ""] = place.split("/");
      const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}";
      return (await world.host(host).docker("inspect", "-f", format, container)).split(" ").filter((one) => one !== "");
    };
    const finds = async (from: string, name: string, to: string): Promise<void> => {
      const wanted = await addresses(to);
      await world.eventually(async () => {
        const { out } = await inside(from, "nslookup", name);
        for (const address of wanted) assert.ok(out.includes(`Address: ${address}`), `${name} from ${from}: ${out}`);
      });
    };
    const findsNot = async (from: string, name: string): Promise<void> => {
      const { out } = await inside(from, "nslookup", name);
      assert.doesNotMatch(out, /Address: (10\.65|fd)/, `${name} from ${from}`);
    };

    it("by name, alias, compose service, short ID and name.network, both ways, IPv4 and IPv6", async () => {
      await finds("h1/web", "db", "h2/db");
      await finds("h1/web", "DB.apps", "h2/db");
      await finds("h1/web", "sql", "h2/db");
      await finds("h2/db", "web", "h1/web");
      await finds("h2/db", "www", "h1/web");
      await finds("h2/db", "front", "h1/web");
      const id = await world.host("h1").docker("inspect", "-f", "{{.Id}}", "web");
      await finds("h2/db", id.slice(0, 12), "h1/web");
    });

    it("so that stock programs reach them: ping in both families, and a page", async () => {
      await world.eventually(async () => assert.ok((await inside("h1/web", "ping", "-c", "1", "-W", "2", "db")).ok));
      await world.eventually(async () =>
        assert.ok((await inside("h1/web", "ping", "-6", "-c", "1", "-W", "2", "sql")).ok),
      );
      assert.match((await inside("h2/db", "wget", "-qO-", "http://www/")).out, /yes/);
    });

    it("by address", async () => {
      for (const address of await addresses("h2/db"))
        assert.match((await inside("h1/web", "nslookup", address)).out, /name = db\.apps/);
    });

    it("on an internal network, and nothing else from there", async () => {
      await finds("h1/in1", "in2", "h2/in2");
      await finds("h1/in1", "deep", "h2/in2");
    });

    it("never across isolation", async () => {
      const [address = ""] = await addresses("h1/web");
      // What Manx does not answer goes to a name server that a lab does not have: each waits its 8 s out.
      await Promise.all([
        ...["db", "sql", "db.apps", "in2"].map((name) => findsNot("h2/stranger", name)),
        ...["stranger", "stranger.other"].map((name) => findsNot("h1/web", name)),
        inside("h2/stranger", "nslookup", address).then(({ out }) => assert.doesNotMatch(out, /web/)),
      ]);
    });

    it("on both networks of a container that is on two", async () => {
      await world.host("h1").docker("network", "connect", "--alias", "bridge", "other", "web");
      await finds("h1/web", "stranger", "h2/stranger");
      await finds("h1/web", "db", "h2/db");
      await world.eventually(async () => {
        const { out } = await inside("h2/stranger", "nslookup", "bridge");
        assert.match(out, /Name:\s+bridge/);
        assert.doesNotMatch(out, /Address: fd/, "only its address on the network that they share");
      });
      await world.host("h1").docker("network", "disconnect", "other", "web");
    });

    it("while the agent is away other names go their way, and when it is back they are found at once", async () => {
      await world.host("h1").stopAgent("SIGKILL");
      assert.match((await inside("h1/web", "nslookup", "web")).out, /Address: 10\.65/, "Docker's own names stay");
      await world.startAgent(world.host("h1"));
      await finds("h1/web", "sql", "h2/db");
      await finds("h2/db", "www", "h1/web");
    });

    it("no longer than the container is there", async () => {
      await world
        .host("h2")
        .docker("rm", "-f", "-t", "0", "db")
        .catch(() => world.host("h2").docker("rm", "-f", "db"));
      await world.eventually(async () => {
        await Promise.all(["db", "sql"].map((name) => findsNot("h1/web", name)));
      });
    });

    it("and manx status says that it is so", async () => {
      const { components } = (await world
        .manx("h1", "status")
        .catch((error: unknown) => JSON.parse(String((error as { stdout?: string }).stdout)))) as {
        components: { name: string; state: string; summary: string }[];
      };
      const names = components.find(({ name }) => name === "names");
      assert.equal(names?.state, "ok", JSON.stringify(names));
      assert.match(names?.summary ?? "", /[1-9][0-9]* questions answered/);
    });
  });
}
