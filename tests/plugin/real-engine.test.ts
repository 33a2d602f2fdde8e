/**
 * The plugin on real engines: what only they can tell. (Reachability, policy and the rest of the main job are in tests/e2e.)
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ENGINES, World } from "../e2e/world.ts";
import { CallProxy, type Moment } from "./call-proxy.ts";

for (const engine of ENGINES) {
  describe(`the plugin with Docker ${engine}`, () => {
    let world: World;
    const docker = (...args: string[]) => world.host.docker(...args);
    const refused = async (pattern: RegExp, ...args: string[]): Promise<void> => {
      const { code, stderr } = await world.host.exec(["docker", ...args], { timeoutMs: 120_000 });
      assert.notEqual(code, 0, `docker ${args.join(" ")} was accepted`);
      assert.match(stderr, pattern);
    };
    const create = ["network", "create", "-d", "manx", "--ipam-driver", "manx"];
    const sleeper = ["busybox", "sleep", "100000"];
    const addressOf = async (name: string): Promise<string> =>
      docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}", name);

    before(async () => {
      world = await World.start(`plugin-${engine.replace(".", "")}`, { engine });
    });
    // What a test that failed left must not fail the next ones.
    afterEach(async () => {
      const containers = (await docker("ps", "-aq")).split("\n").filter((id) => id !== "");
      if (containers.length > 0) await docker("rm", "-f", ...containers);
      const networks = (await docker("network", "ls", "-q", "--filter", "driver=manx")).split("\n");
      for (const id of networks) if (id !== "") await docker("network", "rm", id);
    });
    after(() => world?.[Symbol.asyncDispose]());

    describe("network create", () => {
      it("says in one line what to type where the IPAM driver was left out", async () => {
        const line = /docker network create -d manx --ipam-driver manx --internal -o mtu=1400 NAME/;
        await refused(line, "network", "create", "-d", "manx", "--internal", "-o", "mtu=1400", "apps");
        await refused(
          line,
          "network",
          "create",
          "-d",
          "manx",
          "--internal",
          "-o",
          "mtu=1400",
          "--subnet",
          "10.9.0.0/16",
          "apps",
        );
        assert.equal(await docker("network", "ls", "-q", "--filter", "name=apps"), "");
      });

      const wrong: [string[], RegExp][] = [
        [["-o", "colour=red"], /no option "colour".*pools/],
        [["-o", "com.docker.network.bridge.enable_icc=false"], /isolation=endpoint/],
        [["--ipam-opt", "colour=red"], /colour/],
        [["--ipam-opt", "ipv4=off"], /neither IPv4 nor IPv6/],
        [["--ipam-opt", "ipv4=maybe", "--ipv6"], /on, off/],
        [["-o", "mtu=1000", "--ipv6"], /1280/],
        [["-o", "pools=nosuch"], /nosuch/],
        [["--subnet", "10.65.0.0/16", "--ip-range", "10.66.0.0/24"], /10\.66\.0\.0/],
        [["--subnet", "127.0.0.0/8"], /127\.0\.0\.0/],
      ];
      for (const [args, why] of wrong)
        it(`refuses ${args.join(" ")}, and keeps nothing`, async () => {
          await refused(why, ...create, ...args, "apps");
          assert.equal(await docker("network", "ls", "-q", "--filter", "name=apps"), "");
        });

      it("keeps --gateway and --aux-address free of containers, and --ip-range in use", async () => {
        await docker(
          ...create,
          "--subnet=10.77.0.0/24",
          "--ip-range=10.77.0.0/29",
          "--gateway=10.77.0.1",
          "--aux-address=router=10.77.0.2",
          "apps",
        );
        const got = new Set<string>();
        for (let i = 0; i < 6; i++) {
          await docker("run", "-d", "--name", `c${i}`, "--network", "apps", ...sleeper);
          got.add((await addressOf(`c${i}`)).trim());
        }
        assert.deepEqual(
          [...got].sort(),
          [0, 3, 4, 5, 6, 7].map((n) => `10.77.0.${n}`),
        );
        await refused(/10\.77\.0\.0\/29/, "run", "-d", "--name", "over", "--network", "apps", ...sleeper);
        await docker("rm", "-f", "over");
        await refused(/10\.77\.0\.2/, "run", "--rm", "--network", "apps", "--ip", "10.77.0.2", "busybox", "true");
        await docker("run", "--rm", "--network", "apps", "--ip", "10.77.0.99", "busybox", "true");
      });
    });

    describe("an IPv6-only network", () => {
      it("has no IPv4 way out, an IPv6 one, and no bridge beside it", async () => {
        await docker(...create, "--ipv6", "--ipam-opt", "ipv4=off", "six");
        await docker("run", "-d", "--name", "aa", "--network", "six", ...sleeper);
        await docker("run", "-d", "--name", "bb", "--network", "six", ...sleeper);
        assert.ok(await world.pings("aa", await world.address("bb", 6)));
        assert.ok(await world.pings("aa", "2001:db8:113::10"));
        const { out } = await world.at("aa", ["ip", "-o", "addr"]);
        assert.doesNotMatch(out, /172\.1[78]\./, "docker_gwbridge");
        assert.equal((await world.at("aa", ["ip", "-4", "route"])).out, "");
      });

      it("has its way out before the process starts, every time", async () => {
        await docker(...create, "--ipv6", "--ipam-opt", "ipv4=off", "six");
        const late: string[] = [];
        for (let i = 0; i < 10; i++) {
          const out = await docker(
            "run",
            "--rm",
            "--network",
            "six",
            "busybox",
            "ip",
            "-6",
            "route",
            "show",
            "default",
          );
          if (!out.includes("fe80::1")) late.push(out);
        }
        assert.deepEqual(late, []);
      });

      it("goes together with others on one container, in any order, through a restart", async () => {
        for (const name of ["six", "six2"]) await docker(...create, "--ipv6", "--ipam-opt", "ipv4=off", name);
        await docker(...create, "--ipv6", "apps");
        await docker("run", "-d", "--name", "aa", "--network", "six", ...sleeper);
        for (const [name, network] of [
          ["bb", "six"],
          ["cc", "six2"],
          ["dd", "apps"],
        ] as const)
          await docker("run", "-d", "--name", name, "--network", network, ...sleeper);
        await docker("network", "connect", "apps", "aa");
        await docker("network", "connect", "six2", "aa");
        const all = async (): Promise<void> => {
          for (const name of ["bb", "cc", "dd"]) assert.ok(await world.pings("aa", await world.address(name, 6)), name);
          assert.ok(await world.pings("aa", await world.address("dd", 4)));
        };
        await all();
        await docker("restart", "-t", "0", "aa");
        await all();
      });
    });

    it("puts more addresses on a container, at run and at connect, and takes them off again", async () => {
      await docker(...create, "--ipv6", "--subnet", "10.65.0.0/16", "apps"); // Docker wants a subnet for --ip
      await docker(...create, "other");
      await docker("run", "-d", "--name", "peer", "--network", "apps", ...sleeper);
      const opt = "addresses=10.65.200.9+10.65.200.10+fd65:6d61:6e78::9";
      await docker("run", "-d", "--name", "aa", "--network", `name=apps,driver-opt=${opt}`, ...sleeper);
      const extra = ["10.65.200.9", "10.65.200.10", "fd65:6d61:6e78::9"];
      for (const address of extra) assert.ok(await world.pings("peer", address), address);
      await refused(/10\.65\.200\.9/, "run", "--rm", "--network", "apps", "--ip", "10.65.200.9", "busybox", "true");
      await docker("run", "-d", "--name", "bb", "--network", "other", ...sleeper);
      await refused(/no --driver-opt "colour"/, "network", "connect", "--driver-opt", "colour=red", "apps", "bb");
      await docker("network", "connect", "--driver-opt", "addresses=10.65.200.11", "apps", "bb");
      await world.eventually(async () => assert.ok(await world.pings("peer", "10.65.200.11")), 3);
      await docker("rm", "-f", "aa");
      await docker("run", "--rm", "--network", "apps", "--ip", "10.65.200.9", "busybox", "true");
    });

    describe("a container that comes back", () => {
      const names = ["c1", "c2", "c3", "c4"];
      const had = new Map<string, string>();
      const back = async (what: string): Promise<void> => {
        for (const name of names) assert.equal(await addressOf(name), had.get(name), `${name}: ${what}`);
      };

      it("has its addresses again: restart, stop and start, made anew, reconnected, killed", async () => {
        await docker(...create, "--ipv6", "apps");
        for (const name of names) {
          await docker("run", "-d", "--restart", "always", "--name", name, "--network", "apps", ...sleeper);
          had.set(name, await addressOf(name));
        }
        for (const name of ["c3", "c1"]) await docker("restart", "-t", "0", name);
        await back("docker restart");
        await docker("stop", "-t", "0", ...names);
        await docker("run", "-d", "--name", "fresh", "--network", "apps", ...sleeper);
        for (const name of ["c4", "c2", "c1", "c3"]) await docker("start", name);
        await back("all stopped, a fresh one in between, started in another order");
        for (const name of ["c2", "c1"]) await docker("network", "disconnect", "apps", name);
        for (const name of ["c1", "c2"]) await docker("network", "connect", "apps", name);
        await back("disconnect, connect");
        await docker("rm", "-f", ...names);
        for (const name of ["c3", "c4", "c2", "c1"])
          await docker("run", "-d", "--restart", "always", "--name", name, "--network", "apps", ...sleeper);
        await back("made anew under the same name");
        for (const name of names) {
          await world.host.mustExec(["kill", "-9", String((await world.inspect(name)).pid)]);
          await world.eventually(async () => assert.equal(await addressOf(name), had.get(name), `${name} killed`), 15);
        }
        await back("its restart policy");
      });

      it("started side by side keeps the address within the group", async () => {
        await docker(...create, "apps");
        for (const name of names) await docker("run", "-d", "--name", name, "--network", "apps", ...sleeper);
        const before = new Set(await Promise.all(names.map(addressOf)));
        await docker("stop", "-t", "0", ...names);
        await Promise.all(names.map((name) => docker("start", name)));
        assert.deepEqual(new Set(await Promise.all(names.map(addressOf))), before);
      });
    });

    describe("kill -9 of the agent in the middle of a call", () => {
      let proxy: CallProxy;
      const AGENT_SOCKET = "/run/manx/plugin.sock";
      const startAgent = () => world.host.startAgent({ env: { MANX_PLUGIN_SOCKET: AGENT_SOCKET } });
      const kill = async (): Promise<void> => {
        await world.host.stopAgent("SIGKILL");
        void startAgent();
      };

      before(async () => {
        await world.host.stopAgent();
        proxy = await CallProxy.start(world.host.path("/run/docker/plugins/manx.sock"), world.host.path(AGENT_SOCKET));
        await startAgent();
      });
      after(async () => {
        await proxy[Symbol.asyncDispose]();
        await world.host.stopAgent("SIGKILL");
        await world.host.startAgent();
      });

      const starting: [string, Moment][] = [
        ["IpamDriver.RequestAddress", "after"],
        ["IpamDriver.RequestAddress", "before"],
        ["NetworkDriver.CreateEndpoint", "during"],
        ["NetworkDriver.CreateEndpoint", "after"],
        ["NetworkDriver.Join", "during"],
        ["NetworkDriver.Join", "after"],
        ["NetworkDriver.ProgramExternalConnectivity", "during"],
        ["NetworkDriver.EndpointOperInfo", "during"],
      ];
      const ending: [string, Moment][] = [
        ["NetworkDriver.RevokeExternalConnectivity", "during"],
        ["NetworkDriver.Leave", "during"],
        ["NetworkDriver.Leave", "after"],
        ["NetworkDriver.DeleteEndpoint", "before"],
        ["NetworkDriver.DeleteEndpoint", "after"],
        ["IpamDriver.ReleaseAddress", "before"],
        ["IpamDriver.ReleaseAddress", "after"],
      ];

      /** A start right after it works, on an address that nobody has. */
      const healthy = async (): Promise<void> => {
        await docker("run", "-d", "--name", "after", "--network", "apps", ...sleeper);
        assert.ok(await world.pings("after", await world.address("keeper", 4)));
        assert.ok(await world.pings("after", await world.address("keeper", 6)));
        await docker("rm", "-f", "after");
      };

      it("leaves a start that works or fails, and a host that goes on", { timeout: 400_000 }, async () => {
        await docker(...create, "--ipv6", "apps");
        await docker("run", "-d", "--name", "keeper", "--network", "apps", ...sleeper);
        for (const [call, moment] of starting) {
          proxy.trap(call, moment, kill);
          const { code } = await world.host.exec(
            ["docker", "run", "-d", "--name", "web", "--network", "apps", ...sleeper],
            {
              timeoutMs: 60_000,
            },
          );
          assert.ok(!proxy.armed, `${call} did not come`);
          if (code === 0) assert.ok(await world.pings("web", await world.address("keeper", 4)), `${call} ${moment}`);
          await docker("rm", "-f", "web");
          await healthy();
        }
        for (const [call, moment] of ending) {
          await docker("run", "-d", "--name", "web", "--network", "apps", ...sleeper);
          proxy.trap(call, moment, kill);
          await docker("rm", "-f", "web");
          assert.ok(!proxy.armed, `${call} did not come`);
          await healthy();
        }
        await docker("rm", "-f", "keeper");
        await docker("network", "rm", "apps");
      });

      it("leaves a network that is there or not, and nothing of one that was removed", {
        timeout: 200_000,
      }, async () => {
        const calls: [string, Moment][] = [
          ["IpamDriver.RequestPool", "after"],
          ["NetworkDriver.CreateNetwork", "during"],
          ["NetworkDriver.CreateNetwork", "after"],
        ];
        for (const [call, moment] of calls) {
          proxy.trap(call, moment, kill);
          const { code } = await world.host.exec(["docker", ...create, "apps"], { timeoutMs: 60_000 });
          assert.ok(!proxy.armed, `${call} did not come`);
          if (code === 0) await docker("network", "rm", "apps");
          await docker(...create, "apps");
          await docker("run", "--rm", "--network", "apps", "busybox", "true");
          await docker("network", "rm", "apps");
        }
        for (const [call, moment] of [
          ["IpamDriver.ReleasePool", "before"],
          ["NetworkDriver.DeleteNetwork", "before"],
        ] as const) {
          await docker(...create, "apps");
          proxy.trap(call, moment, kill);
          await docker("network", "rm", "apps");
          assert.ok(!proxy.armed, `${call} did not come`);
        }
        await docker(...create, "apps");
        await docker("run", "--rm", "--network", "apps", "busybox", "true");
        await docker("network", "rm", "apps");
      });

      it("understood all that the engine sent, also what it repeated without its content", () => {
        const failed = proxy.seen.filter(({ answer }) => /unforeseen|is not understood/.test(answer));
        assert.deepEqual(failed, []);
        const empty = proxy.seen.filter(
          ({ name, body }) => body === "" && /Create|Join|Leave|Delete|Request|Release/.test(name),
        );
        assert.ok(empty.length > 0, "an engine repeats a call without its content");
      });

      it("finds what was stopped or removed while it was away", { timeout: 400_000 }, async () => {
        await docker(...create, "apps");
        await docker("run", "-d", "--name", "web", "--network", "apps", ...sleeper);
        await world.host.stopAgent("SIGKILL");
        proxy.trap("none", "before", () => Promise.resolve());
        await proxy[Symbol.asyncDispose]();
        await docker("rm", "-f", "web"); // Docker gives each call 15 s, and forgets
        proxy = await CallProxy.start(world.host.path("/run/docker/plugins/manx.sock"), world.host.path(AGENT_SOCKET));
        await startAgent();
        await world.eventually(async () => {
          assert.deepEqual(await rows("endpoints"), []);
          await Promise.resolve();
        }, 100);
        await docker("network", "rm", "apps");
        await nothingLeft(150);
      });

      const rows = (table: string): Promise<unknown[]> => {
        using db = new DatabaseSync(join(world.host.folder, "manx/manx.db"), { readOnly: true });
        return Promise.resolve(db.prepare(`SELECT id FROM ${table}`).all());
      };

      async function nothingLeft(seconds = 20): Promise<void> {
        await world.eventually(async () => {
          for (const table of ["networks", "endpoints", "allocations"]) assert.deepEqual(await rows(table), [], table);
          const links = await world.host.mustExec(["ip", "-o", "link"]);
          assert.doesNotMatch(links, /: (manx|mxp)/);
        }, seconds);
        await sleep(0);
      }
    });
  });

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
