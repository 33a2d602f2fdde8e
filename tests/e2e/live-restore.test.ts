/** Containers that outlive their engine, and what an engine does without telling its driver. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { ContainerView } from "./inspect.ts";
import { ENGINES, World } from "./world.ts";

const LIVE = { liveRestore: true };

for (const engine of ENGINES) {
  describe(`live-restore with Docker ${engine}`, () => {
    let world: World;
    let web: ContainerView;
    let db: ContainerView;

    const inside = async ({ pid }: ContainerView, ...argv: readonly string[]): Promise<boolean> =>
      (await world.host.exec(["nsenter", "-t", String(pid), "-n", ...argv])).code === 0;
    /** The engine may be away: it is not asked. */
    const reaches = async (from: ContainerView, to: ContainerView): Promise<void> => {
      const { ipv4 = "", ipv6 = "" } = to.networks.get("apps") ?? {};
      for (const address of [ipv4, ipv6]) assert.ok(await inside(from, "ping", "-n", "-c1", "-W1", address), address);
    };
    const listed = async (): Promise<string[]> => {
      const items = (await world.manx("ls")) as { container: string }[] | { items: { container: string }[] };
      return (Array.isArray(items) ? items : items.items).map(({ container }) => container).sort();
    };

    before(async () => {
      world = await World.start(`live-${engine.replace(".", "")}`, { engine, docker: LIVE });
      await world.network("apps", "--ipv6");
      [web, db] = await Promise.all([world.run("web", "apps"), world.run("db", "apps")]);
    });
    after(() => world?.[Symbol.asyncDispose]());

    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      it(`keeps containers, addresses and packets through ${signal} of the engine`, async () => {
        await world.host.stopEngine(signal);
        await reaches(web, db);
        await world.host.startEngine(LIVE);
        await reaches(db, web);
        assert.deepEqual(await world.inspect("web"), web);
        assert.deepEqual(await world.inspect("db"), db);
        assert.deepEqual(await listed(), ["db", "web"]);
      });
    }

    it("keeps them while engine and agent are both killed, and gives back what died meanwhile", async () => {
      await world.host.stopEngine("SIGKILL");
      await world.host.stopAgent("SIGKILL");
      await reaches(web, db);
      await world.host.mustExec(["kill", "-9", String(db.pid)]);
      await world.host.startAgent();
      await world.host.startEngine(LIVE);
      assert.deepEqual(await world.inspect("web"), web);
      await world.eventually(async () => assert.deepEqual(await listed(), ["web"]), 30);
      await world.host.docker("start", "db");
      await world.expectReach("web", "db", true);
      assert.deepEqual((await world.inspect("db")).networks, db.networks);
    });

    it("lets nothing out from a --link-local-ip, of which Docker tells its driver nothing", async () => {
      const create = ["create", "--name", "local", "--network", "apps", "--link-local-ip", "169.254.77.7", "busybox"];
      await world.host.docker(...create, "sleep", "1d");
      await world.host.docker("start", "local");
      const local = await world.inspect("local");
      const address = web.networks.get("apps")?.ipv4 ?? "";
      const own = local.networks.get("apps")?.ipv4 ?? "";
      assert.ok(await inside(local, "ping", "-n", "-c1", "-W1", "-I", own, address));
      assert.ok(!(await inside(local, "ping", "-n", "-c1", "-W1", "-I", "169.254.77.7", address)));
    });
  });
}
