/** A container on several networks answers on each of them, from its first packet, also where the host filters reverse paths. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { ENGINES, World } from "./world.ts";

for (const engine of ENGINES) {
  describe(`several networks on one container with Docker ${engine}`, () => {
    let world: World;

    before(async () => {
      world = await World.start(`several-${engine.replace(".", "")}`, { engine });
      // As a hardened host has it (RFC 3704, strict); a new network namespace takes it over.
      for (const conf of ["all", "default"])
        await world.host.mustExec(["sysctl", "-qw", `net.ipv4.conf.${conf}.rp_filter=1`]);
      await world.network("apps", "--ipv6");
      await world.network("other", "--ipv6");
      await world.network("third", "--ipv6");
      await Promise.all([world.run("web", "apps"), world.run("db", "apps"), world.run("stranger", "other")]);
    });
    after(() => world?.[Symbol.asyncDispose]());

    it("answers the first packet on a network that it was connected to just now", async () => {
      await world.host.docker("network", "connect", "other", "web");
      await world.host.docker("network", "connect", "third", "web");
      for (const family of [6, 4] as const)
        assert.ok(await world.canPing("stranger", await world.address("web", family, "other")), `IPv${family}`);
      await world.expectReach("db", "web", true, "apps");
      await world.expectReach("stranger", "db", false);
    });

    it("answers the first packet after a restart, when all interfaces are new", async () => {
      await world.host.docker("restart", "-t", "0", "web");
      for (const family of [6, 4] as const) {
        assert.ok(await world.canPing("stranger", await world.address("web", family, "other")), `other, IPv${family}`);
        assert.ok(await world.canPing("db", await world.address("web", family, "apps")), `apps, IPv${family}`);
      }
      await world.expectReach("stranger", "web", true, "other");
    });

    it("goes on answering on the networks that are left", async () => {
      await world.host.docker("network", "disconnect", "apps", "web");
      await world.expectReach("stranger", "web", true, "other");
      await world.host.docker("network", "connect", "apps", "web");
      await world.expectReach("db", "web", true, "apps");
      await world.expectReach("stranger", "web", true, "other");
    });
  });
}
