/** Containers of a real engine with live-restore keep what the plugin gave them while the engine and the agent die. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ENGINES, World } from "../e2e/world.ts";

for (const engine of ENGINES) {
  describe(`the plugin with Docker ${engine} and live-restore`, () => {
    let world: World;
    before(async () => {
      world = await World.start(`restore-${engine.replace(".", "")}`, { engine, docker: { liveRestore: true } });
    });
    after(() => world?.[Symbol.asyncDispose]());

    for (const signal of ["SIGTERM", "SIGKILL"] as const)
      it(`keeps containers, addresses and traffic through ${signal} of dockerd`, async () => {
        const { host } = world;
        await world.network("apps", "--ipv6");
        await world.run("web", "apps");
        await world.run("db", "apps");
        await world.run("gone", "apps");
        const before = await Promise.all(["web", "db"].map((name) => world.inspect(name)));
        const gone = (await world.inspect("gone")).pid;
        await host.stopEngine(signal);
        await host.mustExec(["kill", "-9", String(gone)]);
        await host.startEngine({ liveRestore: true });
        assert.deepEqual(await Promise.all(["web", "db"].map((name) => world.inspect(name))), before);
        await world.expectReach("web", "db", true);
        await host.stopAgent("SIGKILL");
        await host.startAgent();
        await world.expectReach("web", "db", true);
        await world.eventually(async () => {
          const { out } = await world.at(host, ["ip", "-o", "link"]);
          assert.equal(out.match(/: manx/g)?.length, 2, "the interface of the one that died is gone");
        });
        await host.docker("rm", "-f", "web", "db", "gone");
        await host.docker("network", "rm", "apps");
        await world.eventually(async () => {
          const { out } = await world.at(host, ["ip", "-o", "link"]);
          assert.doesNotMatch(out, /: manx/);
        });
      });
  });
}
