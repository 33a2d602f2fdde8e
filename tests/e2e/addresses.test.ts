/** Where addresses come from, and what is refused, as a user of the stock docker command sees it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { World } from "./world.ts";

const pool = (name: string, cidr: string, fields: string): string =>
  `apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: ${name}}\nspec: {cidr: '${cidr}', ${fields}}\n`;

const RESOURCES = [
  pool("elsewhere", "10.101.0.0/24", "nodeSelector: 'rack == \"b\"', blockSize: 28"),
  pool("tunnels", "10.102.0.0/24", "allowedUses: [Tunnel], blockSize: 28"),
  pool("manual", "10.103.0.0/24", "assignmentMode: Manual, blockSize: 28"),
  pool("closed", "10.104.0.0/24", "disabled: true, blockSize: 28"),
  pool("small", "10.105.0.0/30", "assignmentMode: Manual, blockSize: 32"),
  pool("six", "fd06::/126", "assignmentMode: Manual, blockSize: 128"),
  "apiVersion: projectcalico.org/v3\nkind: IPReservation\nmetadata: {name: keep}\nspec: {reservedCIDRs: [10.103.0.0/29, 10.105.0.0/31]}\n",
].join("---\n");

/** Arguments of `docker network create`, and the sentence that refuses them. */
const REFUSED: readonly (readonly [string, readonly string[], RegExp])[] = [
  ["a pool for tunnels", ["-o", "pools=tunnels"], /pool "tunnels" is for Tunnel only/],
  ["a disabled pool", ["-o", "pools=closed"], /pool "closed" is disabled/],
  ["a subnet of a disabled pool", ["--subnet", "10.104.0.0/28"], /pool "closed" is disabled/],
  ["a pool that is not there, besides one that is", ["-o", "pools=manual,nosuch"], /pool "nosuch" does not exist/],
  ["pools of another family only", ["-o", "pools=six"], /none of the pools six is an IPv4 pool.*ipv4=off/],
  ["a pool of a family that it lacks", ["-o", "pools=manual,six"], /pool "six" is for IPv6/],
  ["two opinions", ["--ipam-opt", "pool=manual", "-o", "pools=small"], /"manual" and the pools small: choose one/],
  ["pools and a subnet", ["-o", "pools=manual", "--subnet", "10.103.0.0/24"], /choose one of them/],
  ["a subnet around a pool", ["--subnet", "10.96.0.0/11"], /10\.96\.0\.0\/11": it (contains|overlaps)/],
  ["the host's own network", ["--subnet", "10.99.0.0/25"], /overlaps this host's route 10\.99\.0\.0\/24/],
  ["loopback", ["--subnet", "127.5.0.0/24"], /loopback/],
  ["link-local IPv6", ["--ipv6", "--subnet", "fe80::/64"], /link-local/],
];

describe("addresses with a real engine", () => {
  let world: World;
  const docker = (...args: string[]) => world.host.docker(...args);
  /** Address of a container that lives for as long as it takes to say it. */
  const given = async (network: string, ...args: string[]): Promise<string> => {
    const line = await docker(
      "run",
      "--rm",
      "--network",
      network,
      ...args,
      "busybox",
      "ip",
      "-o",
      "addr",
      "show",
      "eth0",
    );
    return [...line.matchAll(/inet6? ([^ /]+)\/(?:32|128) scope global/g)].map(([, address]) => address).join(" ");
  };
  const refused = async (pattern: RegExp, ...args: string[]): Promise<void> => {
    const { code, stderr } = await world.host.exec(["docker", ...args], { timeoutMs: 120_000 });
    assert.notEqual(code, 0, `docker ${args.join(" ")} was accepted`);
    assert.match(stderr, pattern);
  };
  const create = ["network", "create", "-d", "manx", "--ipam-driver", "manx"];

  before(async () => {
    world = await World.start("addr");
    await world.host.mustExec(["manx", "apply", "-f", "-"], { input: RESOURCES });
  });
  after(() => world?.[Symbol.asyncDispose]());

  for (const [what, args, sentence] of REFUSED)
    it(`refuses ${what}, and leaves no network`, async () => {
      await refused(sentence, ...create, ...args, "refused");
      assert.equal(await docker("network", "ls", "-q", "--filter", "name=^refused$"), "");
    });

  it("takes a pool that is named whatever its mode and selector, shows it, and skips what is reserved", async () => {
    await docker(...create, "--ipv6", "--ipam-opt", "pool=manual,six", "named");
    assert.match(await given("named"), /^10\.103\.0\.(8|9|1\d) fd06::[123]?$/);
    await docker(...create, "-o", "pools=elsewhere", "picked");
    assert.match(await given("picked"), /^10\.101\.0\.\d+$/);
    await docker(...create, "--ipv6", "any");
    const pools = (await world.manx("pool", "ls")) as { name: string; networks: string[] }[];
    const users = (name: string) => pools.find((each) => each.name === name)?.networks;
    assert.deepEqual(["manual", "six"].map(users), [["named"], ["named"]]);
    assert.deepEqual(["default-ipv4", "default-ipv6"].map(users), [["any"], ["any"]]);
  });

  it("gives the first, the last and a reserved address of a pool to who asks for it, and none that is not the network's", async () => {
    await docker(...create, "--subnet", "10.103.0.0/24", "--aux-address", "printer=10.103.0.77", "wide");
    for (const address of ["10.103.0.0", "10.103.0.255", "10.103.0.3"])
      assert.equal(await given("wide", "--ip", address), address);
    await refused(/gateway or auxiliary/, "run", "--rm", "--network", "wide", "--ip", "10.103.0.77", "busybox");
    await docker("run", "-d", "--name", "holder", "--network", "wide", "--ip", "10.103.0.40", "busybox", "sleep", "1d");
    await refused(
      /"holder" on the network "wide" has it/,
      "run",
      "--rm",
      "--network",
      "wide",
      "--ip",
      "10.103.0.40",
      "busybox",
    );
    await docker("rm", "-f", "holder");
  });

  it("says that a range or a small pool is used up", async () => {
    await docker(...create, "-o", "pools=small", "tight");
    for (const name of ["t1", "t2"])
      await docker("run", "-d", "--name", name, "--network", "tight", "busybox", "sleep", "1d");
    await refused(
      /pool "small" \(10\.105\.0\.0\/30\) has no free block left/,
      "run",
      "--rm",
      "--network",
      "tight",
      "busybox",
    );
    await docker("rm", "-f", "t1", "t2");
    assert.match(await given("tight"), /^10\.105\.0\.[23]$/);
  });

  it("names the pools that were tried, and only those", async () => {
    await world.host.mustExec(["manx", "pool", "set", "default-ipv4", "--disabled", "on"]);
    const { stderr } = await world.host.exec(["docker", ...create, "nothing"]);
    assert.match(
      stderr,
      /pool "default-ipv4" is disabled;.*pool "elsewhere" is not for this host \(nodeSelector rack == "b"\)/,
    );
    assert.doesNotMatch(stderr, /default-ipv6|subnet-/);
    await world.host.mustExec(["manx", "pool", "set", "default-ipv4", "--disabled", "off"]);
  });

  it("lets thirty containers start side by side without giving an address twice, and has all of them back", async () => {
    await docker(...create, "--ipv6", "crowd");
    const names = Array.from({ length: 30 }, (_, i) => `c${i}`);
    await Promise.all(
      names.map((name) => docker("run", "-d", "--name", name, "--network", "crowd", "busybox", "sleep", "1d")),
    );
    const seen = await docker(
      "inspect",
      "-f",
      "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}",
      ...names,
    );
    assert.equal(new Set(seen.split(/\s+/)).size, 60);
    await docker("rm", "-f", ...names);
    await world.eventually(async () => {
      const { code, stdout } = await world.host.exec(["manx", "ipam", "check"]);
      assert.equal(code, 0, stdout);
    });
  });
});
