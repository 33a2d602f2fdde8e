/**
 * The plugin on real engines: what only they can tell. (Reachability, policy and the rest of the main job are in tests/e2e.)
 */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { ENGINES, World } from "../e2e/world.ts";
import { CREATE, clearHost, SLEEPER } from "./host.ts";

for (const engine of ENGINES) {
  describe(`the plugin with Docker ${engine}`, () => {
    let world: World;
    const docker = (...args: string[]) => world.host.docker(...args);
    const refused = async (pattern: RegExp, ...args: string[]): Promise<void> => {
      const { code, stderr } = await world.host.exec(["docker", ...args], { timeoutMs: 120_000 });
      assert.notEqual(code, 0, `docker ${args.join(" ")} was accepted`);
      assert.match(stderr, pattern);
    };
    /** On its only network, in both families. */
    const addressOf = async (name: string): Promise<string> => {
      const [on] = [...(await world.inspect(name)).networks.values()];
      return `${on?.ipv4 ?? ""} ${on?.ipv6 ?? ""}`;
    };

    before(async () => {
      world = await World.start(`plugin-${engine.replace(".", "")}`, { engine });
    });
    afterEach(() => clearHost(world.host));
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
          await refused(why, ...CREATE, ...args, "apps");
          assert.equal(await docker("network", "ls", "-q", "--filter", "name=apps"), "");
        });

      it("keeps --gateway and --aux-address free of containers, and --ip-range in use", async () => {
        await docker(
          ...CREATE,
          "--subnet=10.77.0.0/24",
          "--ip-range=10.77.0.0/29",
          "--gateway=10.77.0.1",
          "--aux-address=router=10.77.0.2",
          "apps",
        );
        const got = new Set<string>();
        for (let i = 0; i < 6; i++) {
          await docker("run", "-d", "--name", `c${i}`, "--network", "apps", ...SLEEPER);
          got.add((await addressOf(`c${i}`)).trim());
        }
        assert.deepEqual(
          [...got].sort(),
          [0, 3, 4, 5, 6, 7].map((n) => `10.77.0.${n}`),
        );
        await refused(/10\.77\.0\.0\/29/, "run", "-d", "--name", "over", "--network", "apps", ...SLEEPER);
        await docker("rm", "-f", "over");
        await refused(/10\.77\.0\.2/, "run", "--rm", "--network", "apps", "--ip", "10.77.0.2", "busybox", "true");
        await docker("run", "--rm", "--network", "apps", "--ip", "10.77.0.99", "busybox", "true");
      });
    });

    describe("an IPv6-only network", () => {
      it("has no IPv4 way out, an IPv6 one, and no bridge beside it", async () => {
        await docker(...CREATE, "--ipv6", "--ipam-opt", "ipv4=off", "six");
        await docker("run", "-d", "--name", "aa", "--network", "six", ...SLEEPER);
        await docker("run", "-d", "--name", "bb", "--network", "six", ...SLEEPER);
        assert.ok(await world.canPing("aa", await world.address("bb", 6)));
        assert.ok(await world.canPing("aa", "2001:db8:113::10"));
        const { out } = await world.at("aa", ["ip", "-o", "addr"]);
        assert.doesNotMatch(out, /172\.1[78]\./, "docker_gwbridge");
        assert.equal((await world.at("aa", ["ip", "-4", "route"])).out, "");
      });

      it("has its way out before the process starts, every time", async () => {
        await docker(...CREATE, "--ipv6", "--ipam-opt", "ipv4=off", "six");
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
        for (const name of ["six", "six2"]) await docker(...CREATE, "--ipv6", "--ipam-opt", "ipv4=off", name);
        await docker(...CREATE, "--ipv6", "apps");
        await docker("run", "-d", "--name", "aa", "--network", "six", ...SLEEPER);
        for (const [name, network] of [
          ["bb", "six"],
          ["cc", "six2"],
          ["dd", "apps"],
        ] as const)
          await docker("run", "-d", "--name", name, "--network", network, ...SLEEPER);
        await docker("network", "connect", "apps", "aa");
        await docker("network", "connect", "six2", "aa");
        const all = async (): Promise<void> => {
          for (const name of ["bb", "cc", "dd"])
            assert.ok(await world.canPing("aa", await world.address(name, 6)), name);
          assert.ok(await world.canPing("aa", await world.address("dd", 4)));
        };
        await all();
        await docker("restart", "-t", "0", "aa");
        await all();
      });
    });

    it("puts more addresses on a container, at run and at connect, and takes them off again", async () => {
      await docker(...CREATE, "--ipv6", "--subnet", "10.65.0.0/16", "apps"); // Docker wants a subnet for --ip
      await docker(...CREATE, "other");
      await docker("run", "-d", "--name", "peer", "--network", "apps", ...SLEEPER);
      const opt = "addresses=10.65.200.9+10.65.200.10+fd65:6d61:6e78::9";
      await docker("run", "-d", "--name", "aa", "--network", `name=apps,driver-opt=${opt}`, ...SLEEPER);
      const extra = ["10.65.200.9", "10.65.200.10", "fd65:6d61:6e78::9"];
      for (const address of extra) assert.ok(await world.canPing("peer", address), address);
      await refused(/10\.65\.200\.9/, "run", "--rm", "--network", "apps", "--ip", "10.65.200.9", "busybox", "true");
      await docker("run", "-d", "--name", "bb", "--network", "other", ...SLEEPER);
      await refused(/no --driver-opt "colour"/, "network", "connect", "--driver-opt", "colour=red", "apps", "bb");
      await docker("network", "connect", "--driver-opt", "addresses=10.65.200.11", "apps", "bb");
      await world.eventually(async () => assert.ok(await world.canPing("peer", "10.65.200.11")), 3);
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
        await docker(...CREATE, "--ipv6", "apps");
        for (const name of names) {
          await docker("run", "-d", "--restart", "always", "--name", name, "--network", "apps", ...SLEEPER);
          had.set(name, await addressOf(name));
        }
        for (const name of ["c3", "c1"]) await docker("restart", "-t", "0", name);
        await back("docker restart");
        await docker("stop", "-t", "0", ...names);
        await docker("run", "-d", "--name", "fresh", "--network", "apps", ...SLEEPER);
        for (const name of ["c4", "c2", "c1", "c3"]) await docker("start", name);
        await back("all stopped, a fresh one in between, started in another order");
        for (const name of ["c2", "c1"]) await docker("network", "disconnect", "apps", name);
        for (const name of ["c1", "c2"]) await docker("network", "connect", "apps", name);
        await back("disconnect, connect");
        await docker("rm", "-f", ...names);
        for (const name of ["c3", "c4", "c2", "c1"])
          await docker("run", "-d", "--restart", "always", "--name", name, "--network", "apps", ...SLEEPER);
        await back("made anew under the same name");
        for (const name of names) {
          const { pid: killed } = await world.inspect(name);
          await world.host.mustExec(["kill", "-9", String(killed)]);
          await world.eventually(async () => {
            const { pid } = await world.inspect(name);
            assert.ok(pid !== 0 && pid !== killed, `${name} is started again`);
            assert.equal(await addressOf(name), had.get(name), `${name} killed`);
          }, 15);
        }
        await back("its restart policy");
      });

      it("started side by side keeps the address within the group", async () => {
        await docker(...CREATE, "apps");
        for (const name of names) await docker("run", "-d", "--name", name, "--network", "apps", ...SLEEPER);
        const before = new Set(await Promise.all(names.map(addressOf)));
        await docker("stop", "-t", "0", ...names);
        await Promise.all(names.map((name) => docker("start", name)));
        assert.deepEqual(new Set(await Promise.all(names.map(addressOf))), before);
      });
    });
  });
}
