/** Drops that are none of Manx's doing: `manx drops` and `manx why --live` name the rule, or what the kernel says. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { FlowList, LiveResult } from "../../src/api/client.ts";
import { World } from "./world.ts";

/** Nobody's (RFC 5737). */
const ELSEWHERE = "198.51.100.7";
const NOWHERE = "203.0.113.9";
const AWAY = "ip link add away type veth peer name away-too && ip link set away up && ip link set away-too up";

describe("drops by others", () => {
  let world: World;
  const expectDrop = (args: readonly string[], wanted: RegExp, seconds = 20): Promise<void> =>
    world.eventually(async () => {
      const { flows } = { flows: (await world.manx("drops", ...args)) as FlowList["flows"] };
      assert.match(flows.flatMap(({ reasons }) => reasons.map(({ text }) => text)).join("\n"), wanted);
    }, seconds);
  const live = async (args: readonly string[], send: () => Promise<unknown>): Promise<LiveResult> => {
    const asked = Promise.withResolvers<void>();
    const onOutput = (text: string): void => {
      if (text.includes("waiting for the next packet")) asked.resolve();
    };
    const done = world.host.exec(["manx", "why", ...args, "--live", "--timeout", "20s", "-o", "json"], { onOutput });
    await Promise.race([asked.promise, done]);
    await send();
    const { stdout, stderr } = await done;
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout) as LiveResult;
  };
  /** Three attempts of a connection, a second and two apart, as TCP repeats its first segment. */
  const connect = async (to: string, port: number): Promise<void> => {
    await world.at("web", ["timeout", "4", "bash", "-c", `exec 3<>/dev/tcp/${to}/${port}`]);
  };

  before(async () => {
    world = await World.start("live-foreign", { engine: "installed" });
    await world.network("apps");
    await Promise.all([world.run("web", "apps"), world.run("db", "apps")]);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("a foreign nftables table's rule", async () => {
    const rules =
      "table inet other { chain guard { type filter hook forward priority 5; tcp dport 82 counter drop; }; }";
    await writeFile(world.host.path("/tmp/other.nft"), rules);
    await world.host.mustExec(["nft", "-f", "/tmp/other.nft"]);
    await connect(await world.address("db", 4), 82);
    await expectDrop(
      ["--from", "web", "--to", "db", "--port", "82"],
      /nftables: inet other, chain guard: tcp dport 82 .*drop/,
    );
  });

  it("a rule of iptables in FORWARD", async () => {
    await world.host.mustExec([
      "iptables",
      "-t",
      "mangle",
      "-I",
      "FORWARD",
      "-p",
      "tcp",
      "--dport",
      "83",
      "-j",
      "DROP",
    ]);
    await connect(await world.address("db", 4), 83);
    await expectDrop(["--from", "web", "--to", "db", "--port", "83"], /iptables: ip mangle, chain FORWARD: .*drop/);
  });

  it("no route", async () => {
    await world.host.mustExec(["ip", "route", "add", "throw", `${NOWHERE}/32`]);
    const send = (): Promise<void> => connect(NOWHERE, 80);
    const { outcome, text } = await live(["web", NOWHERE, "80"], send);
    // The host also tells the sender, and is heard first now and then.
    const said =
      /^(dropped host h1: dropped by the kernel: no route to 203\.0\.113\.9|unreachable 10\.99\.0\.11 says .*no route)/;
    assert.match(`${outcome} ${text}`, said);
    await expectDrop(["--from", "web", "--to", NOWHERE], /the kernel: no route to 203\.0\.113\.9/);
  });

  it("the reverse path filter", async () => {
    const web = await world.address("web", 4);
    const { lan } = world.lab;
    const mac = (await world.host.mustExec(["cat", "/sys/class/net/eth0/address"])).trim();
    await world.host.mustExec(["sh", "-c", AWAY]);
    await world.host.mustExec(["ip", "route", "add", `${ELSEWHERE}/32`, "dev", "away"]);
    await world.host.mustExec(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/conf/eth0/rp_filter"]);
    await lan.mustExec(["ip", "addr", "add", `${ELSEWHERE}/32`, "dev", "lo"]);
    await lan.mustExec(["ip", "route", "replace", `${web}/32`, "via", world.host.addresses.ipv4]);
    // Else it would ask for the host's MAC address in the name of an address that the filter refuses as well.
    await lan.mustExec(["ip", "neigh", "replace", world.host.addresses.ipv4, "lladdr", mac, "dev", "eth0"]);
    const send = (): Promise<unknown> => world.at(lan, ["ping", "-n", "-c", "3", "-W", "1", "-I", ELSEWHERE, web]);
    const { outcome, text } = await live([ELSEWHERE, "web", "icmp"], send);
    assert.match(
      `${outcome} ${text}`,
      /^dropped .*the kernel: reverse path filter \(rp_filter\): .* 198\.51\.100\.7 is not by eth0/,
    );
    await expectDrop(["--from", ELSEWHERE, "--to", "web"], /the kernel: reverse path filter/);
  });

  it("the MTU", async () => {
    const to = world.lab.lan.addresses.ipv4;
    await world.host.mustExec(["ip", "route", "add", `${to}/32`, "dev", "eth0", "mtu", "lock", "1000"]);
    await world.at("web", ["ping", "-n", "-c", "2", "-W", "1", "-M", "do", "-s", "1200", to]);
    await expectDrop(["--from", "web", "--to", to], /the kernel: \d+ bytes are more than the MTU/);
  });

  it("are not those that Manx's own rules drop", async () => {
    const policy = {
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkPolicy",
      metadata: { name: "no-84" },
      spec: {
        selector: "manx/container == 'db'",
        ingress: [{ action: "Deny", protocol: "TCP", destination: { ports: [84] } }, { action: "Allow" }],
      },
    };
    await world.host.mustExec(["manx", "apply", "-f", "-"], { input: JSON.stringify(policy) });
    await connect(await world.address("db", 4), 84);
    await expectDrop(["--to", "db", "--port", "84"], /GlobalNetworkPolicy no-84/);
    const flows = (await world.manx("drops", "--to", "db", "--port", "84")) as FlowList["flows"];
    assert.equal(flows.length, 1, JSON.stringify(flows));
  });
});
