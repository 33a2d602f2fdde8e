/** The agent dies in the middle of each of an engine's calls, or is away: what real engines then leave, and whether the host goes on. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EngineName } from "../../src/lab/engines.ts";
import { World } from "../e2e/world.ts";
import { CallProxy, type Moment } from "./call-proxy.ts";
import { CREATE, clearHost, SLEEPER } from "./host.ts";

type Cut = readonly [call: string, moment: Moment];

const STARTING: readonly Cut[] = [
  ["IpamDriver.RequestAddress", "after"],
  ["IpamDriver.RequestAddress", "before"],
  ["NetworkDriver.CreateEndpoint", "during"],
  ["NetworkDriver.CreateEndpoint", "after"],
  ["NetworkDriver.Join", "during"],
  ["NetworkDriver.Join", "after"],
  ["NetworkDriver.ProgramExternalConnectivity", "during"],
  ["NetworkDriver.EndpointOperInfo", "during"],
];
const ENDING: readonly Cut[] = [
  ["NetworkDriver.RevokeExternalConnectivity", "during"],
  ["NetworkDriver.Leave", "during"],
  ["NetworkDriver.Leave", "after"],
  ["NetworkDriver.DeleteEndpoint", "before"],
  ["NetworkDriver.DeleteEndpoint", "after"],
  ["IpamDriver.ReleaseAddress", "before"],
  ["IpamDriver.ReleaseAddress", "after"],
];
const CREATING: readonly Cut[] = [
  ["IpamDriver.RequestPool", "after"],
  ["NetworkDriver.CreateNetwork", "during"],
  ["NetworkDriver.CreateNetwork", "after"],
];
const REMOVING: readonly Cut[] = [
  ["IpamDriver.ReleasePool", "before"],
  ["NetworkDriver.DeleteNetwork", "before"],
];
/** A network and its container from the beginning: Manx waits a minute with what is young. */
const OLD = "old";
const AGENT_SOCKET = "/run/manx/plugin.sock";

export function killsOf(engine: EngineName): void {
  void describe(`kill -9 of the agent in the middle of a call of Docker ${engine}`, () => {
    let world: World;
    let proxy: CallProxy;
    const docker = (...args: string[]) => world.host.docker(...args);
    const startAgent = () => world.host.startAgent({ env: { MANX_PLUGIN_SOCKET: AGENT_SOCKET } });
    const startProxy = async (): Promise<void> => {
      proxy = await CallProxy.start(world.host.path("/run/docker/plugins/manx.sock"), world.host.path(AGENT_SOCKET));
    };
    const cut = ([call, moment]: Cut): void =>
      proxy.trap(call, moment, async () => {
        await world.host.stopAgent("SIGKILL");
        void startAgent();
      });
    const cameTo = ([call]: Cut): void => assert.ok(!proxy.armed, `${call} did not come`);

    before(async () => {
      world = await World.start(`kill-${engine.replace(".", "")}`, { engine, agent: false });
      await startProxy();
      await startAgent();
      await docker(...CREATE, OLD);
      await docker("run", "-d", "--name", OLD, "--network", OLD, ...SLEEPER);
    });
    afterEach(() => clearHost(world.host, OLD));
    after(async () => {
      await proxy?.[Symbol.asyncDispose]();
      await world?.[Symbol.asyncDispose]();
    });

    void it("leaves a start that works or fails, and a host that goes on", { timeout: 1_800_000 }, async () => {
      await docker(...CREATE, "--ipv6", "apps");
      const run = (name: string) => ["run", "-d", "--name", name, "--network", "apps", ...SLEEPER];
      await docker(...run("keeper"));
      const keeper = [await world.address("keeper", 4), await world.address("keeper", 6)];
      /** It works, on addresses that nobody else has. */
      const works = async (name: string, when: Cut): Promise<void> => {
        for (const address of keeper) assert.ok(await world.canPing(name, address), `${when.join(" ")}: ${name}`);
      };
      for (const when of STARTING) {
        cut(when);
        const { code } = await world.host.exec(["docker", ...run("web")], { timeoutMs: 60_000 });
        cameTo(when);
        if (code === 0) await works("web", when);
        await docker("rm", "-f", "web");
        await docker(...run("after"));
        await works("after", when);
        await docker("rm", "-f", "after");
      }
      await docker(...run("web"));
      for (const when of ENDING) {
        cut(when);
        await docker("rm", "-f", "web");
        cameTo(when);
        await docker(...run("web"));
        await works("web", when);
      }
      await docker("rm", "-f", "web", "keeper");
      await docker("network", "rm", "apps");
    });

    void it("leaves a network that is there or not, and nothing of one that was removed", {
      timeout: 1_200_000,
    }, async () => {
      const works = async (): Promise<void> => {
        await docker(...CREATE, "apps");
        await docker("run", "--rm", "--network", "apps", "busybox", "true");
        await docker("network", "rm", "apps");
      };
      for (const when of CREATING) {
        cut(when);
        const { code } = await world.host.exec(["docker", ...CREATE, "apps"], { timeoutMs: 60_000 });
        cameTo(when);
        if (code === 0) await docker("network", "rm", "apps");
        await works();
      }
      for (const when of REMOVING) {
        await docker(...CREATE, "apps");
        cut(when);
        await docker("network", "rm", "apps");
        cameTo(when);
      }
      await works();
    });

    void it("understood all that the engine sent, also what it repeated without its content", () => {
      const failed = proxy.seen.filter(({ answer }) => /unforeseen|is not understood/.test(answer));
      assert.deepEqual(failed, []);
      const empty = proxy.seen.filter(
        ({ name, body }) => body === "" && /Create|Join|Leave|Delete|Request|Release/.test(name),
      );
      assert.ok(empty.length > 0, "an engine repeats a call without its content");
    });

    void it("finds what was stopped or removed while it was away", { timeout: 1_800_000 }, async () => {
      await world.host.stopAgent("SIGKILL");
      await proxy[Symbol.asyncDispose]();
      const removed = docker("rm", "-f", OLD);
      // Docker tries a call for 15 s, then forgets it and goes on with the next one; these it is refused at once.
      await sleep(16_000);
      await startProxy();
      proxy.refuse = true;
      await removed;
      proxy.refuse = false;
      await startAgent();
      await world.eventually(async () => assert.deepEqual(await rows("endpoints"), []), 200);
      await docker("network", "rm", OLD);
      await nothingLeft(200);
    });

    const rows = (table: string): Promise<unknown[]> => {
      using db = new DatabaseSync(join(world.host.folder, "manx/manx.db"), { readOnly: true });
      return Promise.resolve(db.prepare(`SELECT id FROM ${table}`).all());
    };

    async function nothingLeft(seconds: number): Promise<void> {
      await world.eventually(async () => {
        for (const table of ["networks", "endpoints", "allocations"]) assert.deepEqual(await rows(table), [], table);
        const links = await world.host.mustExec(["ip", "-o", "link"]);
        assert.doesNotMatch(links, /: (manx|mxp)/);
      }, seconds);
    }
  });
}
