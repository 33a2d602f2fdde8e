/** The main job on one host, on each engine: stock Docker commands, real containers, real packets. */
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ENGINES, World } from "./world.ts";

for (const engine of ENGINES) {
  describe(`one host with Docker ${engine}`, () => {
    let world: World;
    const docker = (...args: string[]) => world.host.docker(...args);
    const refused = async (pattern: RegExp, ...args: string[]): Promise<void> => {
      const { code, stderr } = await world.host.exec(["docker", ...args], { timeoutMs: 120_000 });
      assert.notEqual(code, 0, `docker ${args.join(" ")} was accepted`);
      assert.match(stderr, pattern);
    };

    before(async () => {
      world = await World.start(`e2e-${engine.replace(".", "")}`, { engine });
      await world.network("apps", "--ipv6");
      await world.network("other", "--ipv6");
      await Promise.all([world.run("web", "apps"), world.run("db", "apps"), world.run("stranger", "other")]);
    });
    // What a test that failed left must not fail the next ones.
    afterEach(async () => {
      const names = (await docker("ps", "-a", "--format", "{{.Names}}")).split("\n");
      const left = names.filter((name) => name !== "" && !["web", "db", "stranger"].includes(name));
      if (left.length > 0) await docker("rm", "-f", ...left);
      for (const network of ["other", "third"])
        await world.host.exec(["docker", "network", "disconnect", network, "web"]);
    });
    after(() => world?.[Symbol.asyncDispose]());

    it("lets containers of one network talk, in both families", async () => {
      await world.expectReach("web", "db", true);
      await world.expectReach("db", "web", true);
    });

    it("keeps other networks, the LAN and the internet out, and lets the host in", async () => {
      await world.expectReach("stranger", "web", false);
      await world.expectReach("web", "stranger", false);
      const { lab, host } = world;
      await lab.route("10.65.0.0/16", host);
      await lab.route("fd65:6d61:6e78::/64", host);
      await world.expectReach(lab.lan, "web", false);
      await world.expectReach(lab.internet, "web", false);
      await world.expectReach(host, "web", true);
    });

    it("lets containers out, with the host's address where the pool says so", async () => {
      assert.ok(await world.canPing("web", "203.0.113.10"));
      assert.ok(await world.canPing("web", "2001:db8:113::10"));
      assert.ok(await world.canPing("web", world.lab.lan.addresses.ipv4));
      const seen = await world.at(world.lab.lan, ["ip", "neigh", "show"]);
      assert.doesNotMatch(seen.out, /10\.65\./);
    });

    it("lets a container ask its host for DNS and echo, and for nothing else", async () => {
      const { addresses } = world.host;
      await world.host.mustExec(["sh", "-c", "mkdir -p /tmp/www; busybox httpd -p 8081 -h /tmp/www"]);
      assert.ok(await world.canPing("web", addresses.ipv4));
      assert.ok(await world.canPing("web", addresses.ipv6));
      assert.ok(!(await world.fetches("web", addresses.ipv4, 8081)));
      assert.ok(!(await world.fetches("web", "169.254.1.1", 8081)));
    });

    it("gives the address, MAC and range that the user asks for, and refuses what is taken or outside", async () => {
      const subnet = ["--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd77::/64", "--ip-range", "10.77.0.128/28"];
      await world.network("chosen", ...subnet, "--aux-address", "printer=10.77.0.130");
      const args = ["--ip", "10.77.0.9", "--ip6", "fd77::9", "--mac-address", "02:11:22:33:44:55"];
      const { networks } = await world.run("fixed", "chosen", ...args);
      assert.deepEqual(networks.get("chosen"), { ipv4: "10.77.0.9", ipv6: "fd77::9", mac: "02:11:22:33:44:55" });
      await world.run("ranged", "chosen");
      const ranged = await world.address("ranged", 4);
      assert.match(ranged, /^10\.77\.0\.1(2[89]|3[0-9]|4[0-3])$/);
      assert.notEqual(ranged, "10.77.0.130");
      await world.expectReach("ranged", "fixed", true);
      const run = ["run", "--rm", "--network", "chosen"];
      await refused(/10\.77\.0\.9/, ...run, "--ip", "10.77.0.9", "busybox", "true");
      await refused(/10\.77\.0\.130/, ...run, "--ip", "10.77.0.130", "busybox", "true");
      await refused(/./, ...run, "--ip", "10.78.0.1", "busybox", "true");
      await docker("rm", "-f", "fixed", "ranged");
      await docker("network", "rm", "chosen");
    });

    it("keeps an internal network to itself", async () => {
      await world.network("vault", "--ipv6", "--internal");
      await Promise.all([world.run("v1", "vault"), world.run("v2", "vault")]);
      await world.expectReach("v1", "v2", true);
      assert.ok(!(await world.pings("v1", "203.0.113.10")));
      assert.ok(!(await world.pings("v1", "2001:db8:113::10")));
      await world.expectReach("v1", "web", false);
      await docker("rm", "-f", "v1", "v2");
      await docker("network", "rm", "vault");
    });

    it("connects a running container to a second and third network, and takes it off again", async () => {
      await world.network("third", "--ipv6");
      await docker("network", "connect", "other", "web");
      await docker("network", "connect", "third", "web");
      // The container's own duplicate address detection (RFC 4862) may cost the first packets.
      await world.eventually(() => world.expectReach("stranger", "web", true, "other"), 5);
      await world.eventually(() => world.expectReach("db", "web", true, "apps"), 5);
      await world.expectReach("stranger", "db", false);
      await docker("restart", "-t", "0", "web");
      await world.eventually(() => world.expectReach("stranger", "web", true, "other"), 5);
      await world.eventually(() => world.expectReach("db", "web", true, "apps"), 5);
      await docker("network", "disconnect", "third", "web");
      await docker("network", "disconnect", "other", "web");
      await world.expectReach("db", "web", true);
      await docker("network", "rm", "third");
    });

    it("resolves names and aliases", async () => {
      await world.run("aliased", "apps", "--network-alias", "cache");
      for (const name of ["aliased", "cache"])
        assert.match(await docker("exec", "db", "nslookup", name, "127.0.0.11"), /10\.65\./);
      await docker("rm", "-f", "aliased");
    });

    it("opens what -p names on the container's own address, to everybody, and only that", async () => {
      await world.run("shop", "apps", "-p", "8080:80");
      assert.ok(await world.canFetch(world.lab.lan, await world.address("shop", 4)));
      assert.ok(await world.canFetch(world.lab.lan, await world.address("shop", 6)));
      assert.ok(await world.canFetch("stranger", await world.address("shop", 4)));
      assert.ok(!(await world.pings(world.lab.lan, await world.address("shop", 4))));
      assert.ok(!(await world.fetches(world.lab.lan, world.host.addresses.ipv4, 8080)));
      await docker("rm", "-f", "shop");
    });

    it("with publish=host opens the host's port as well", async () => {
      await world.network("front", "--ipv6", "-o", "publish=host");
      await world.run("shop", "front", "-p", "8080:80");
      assert.ok(await world.canFetch(world.lab.lan, world.host.addresses.ipv4, 8080));
      assert.ok(await world.canFetch(world.lab.lan, world.host.addresses.ipv6, 8080));
      assert.ok(await world.canFetch(world.host, world.host.addresses.ipv4, 8080));
      assert.ok(await world.canFetch("web", world.host.addresses.ipv4, 8080));
      await refused(/8080/, "run", "--rm", "--network", "front", "-p", "8080:80", "busybox", "true");
      await docker("rm", "-f", "shop");
      assert.ok(!(await world.fetches(world.lab.lan, world.host.addresses.ipv4, 8080)));
      await docker("network", "rm", "front");
    });

    it("makes IPv4-only networks", async () => {
      await world.network("four");
      const { networks } = await world.run("f1", "four");
      assert.equal(networks.get("four")?.ipv6, "");
      await world.run("f2", "four");
      await world.expectReach("f1", "f2", true);
      await docker("rm", "-f", "f1", "f2");
      await docker("network", "rm", "four");
    });

    it("refuses what it does not support with a sentence, and leaves nothing behind", async () => {
      const create = ["network", "create", "-d", "manx", "--ipam-driver", "manx"];
      await refused(/colour.*(mtu|publish)/s, ...create, "-o", "colour=red", "x");
      await refused(/mtu/, ...create, "-o", "mtu=lots", "x");
      await refused(/publish/, ...create, "-o", "publish=maybe; drop table", "x");
      await refused(/./, ...create, "--ipam-opt", "colour=red", "x");
      await refused(/--ipam-driver manx/, "network", "create", "-d", "manx", "x");
      assert.equal(await docker("network", "ls", "-q", "--filter", "name=^x$"), "");
    });

    it("gives a container that is made anew its old address back", async () => {
      await world.run("keeper", "apps");
      const before = await world.inspect("keeper");
      await docker("rm", "-f", "keeper");
      await world.run("somebody", "apps");
      await world.run("keeper", "apps");
      assert.deepEqual((await world.inspect("keeper")).networks, before.networks);
      await docker("rm", "-f", "keeper", "somebody");
    });

    it("keeps every packet of a running container while the agent is killed, and changes nothing when it is back", async () => {
      const ruleset = () => world.host.mustExec(["nft", "-s", "-a", "list", "table", "inet", "manx"]);
      const before = await ruleset();
      await world.host.stopAgent("SIGKILL");
      await world.expectReach("web", "db", true);
      await world.expectReach("stranger", "web", false);
      await world.host.startAgent();
      await sleep(1000);
      assert.equal(await ruleset(), before);
      await world.expectReach("web", "db", true);
    });

    it("repairs what somebody else broke", async () => {
      await world.host.mustExec(["nft", "flush", "ruleset"]);
      await world.eventually(() => world.expectReach("stranger", "web", false));
      await world.expectReach("web", "db", true);
      await world.host.mustExec(["iptables", "-w", "-P", "FORWARD", "DROP"]);
      await world.eventually(() => world.expectReach("web", "db", true));
      const address = await world.address("db", 4);
      await world.host.mustExec(["ip", "route", "del", address]);
      await world.eventually(() => world.expectReach("web", "db", true));
    });

    it("gives a container its interface back that somebody deleted, with or without an agent that saw it", async () => {
      const deleteLink = async () => {
        const route = await world.host.mustExec(["ip", "route", "get", await world.address("db", 4)]);
        await world.host.mustExec(["ip", "link", "del", /manx[0-9a-f]+/.exec(route)?.[0] ?? ""]);
      };
      const isWell = async () => {
        await world.expectReach("web", "db", true);
        await world.expectReach("db", "web", true);
        await world.expectReach("stranger", "db", false);
      };
      await deleteLink();
      await world.eventually(isWell, 60); // of a container that started just now it may be Docker's to take
      await world.host.stopAgent("SIGKILL");
      await deleteLink();
      await world.host.startAgent();
      await world.eventually(isWell);
      await docker("restart", "-t", "0", "db");
      await isWell();
    });

    it("frees everything of a container that is gone", async () => {
      const links = async () => (await world.host.mustExec(["ip", "-o", "link"])).match(/manx/g)?.length ?? 0;
      const count = await links();
      await world.run("short", "apps");
      assert.equal(await links(), count + 1);
      const address = await world.address("short", 4);
      await docker("rm", "-f", "short");
      await world.eventually(async () => assert.equal(await links(), count));
      assert.equal(await world.host.mustExec(["ip", "route", "show", address]), "");
    });

    it("survives a restart policy, docker restart, and kill -9 of the engine", async () => {
      await world.run("phoenix", "apps", "--restart", "always");
      const { pid } = await world.inspect("phoenix");
      await world.host.mustExec(["kill", "-9", String(pid)]);
      await world.eventually(async () => assert.ok(![0, pid].includes((await world.inspect("phoenix")).pid)), 20);
      await world.eventually(() => world.expectReach("web", "phoenix", true));
      await world.host.stopEngine("SIGKILL");
      await world.host.startEngine();
      await world.eventually(() => world.expectReach("phoenix", "phoenix", true), 30);
      await docker("start", "web", "db", "stranger");
      await world.expectReach("web", "phoenix", true);
      await world.expectReach("stranger", "phoenix", false);
      await docker("rm", "-f", "phoenix");
    });

    it("takes over what runs when its state is lost: no container loses its interface", async () => {
      const links = () => world.host.mustExec(["sh", "-c", "ip -o link | grep -o '^[0-9]*: manx[0-9a-f]*' | sort"]);
      const before = await links();
      await world.host.stopAgent();
      await world.host.mustExec(["sh", "-c", "rm /var/lib/manx/manx.db*"]);
      await world.host.startAgent();
      await world.eventually(() => world.expectReach("web", "db", true), 30);
      await world.expectReach("stranger", "web", false);
      assert.equal(await links(), before);
    });

    it("shows all of it", async () => {
      const listed = (await world.manx("ls")) as { items?: unknown[] } | unknown[];
      const items = (Array.isArray(listed) ? listed : (listed.items ?? [])) as { container: string }[];
      assert.deepEqual(items.map(({ container }) => container).sort(), ["db", "stranger", "web"]);
      assert.match(await world.host.mustExec(["manx", "ls"]), /web/);
    });
  });
}
