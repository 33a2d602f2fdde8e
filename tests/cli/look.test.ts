/** Commands that look: what they print, in every format, and the exit status. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import {
  FakeAgent,
  fakeEndpoint,
  fakeFacts,
  fakeFlows,
  fakeNetwork,
  fakeNode,
  fakeSnapshot,
} from "../../src/api/fake-agent.ts";
import type { Flow, Party } from "../../src/core/flows/flow.ts";
import { golden } from "./golden.ts";
import { type Bench, execute, MANX, setUp } from "./harness.ts";

/** A bit of everything: two networks, published ports, a stopped container, another host. */
function state() {
  const base = fakeSnapshot();
  return fakeSnapshot({
    networks: [...base.networks, fakeNetwork("edge", { publish: "host", isolation: "off", mtu: 1400 })],
    endpoints: [
      ...base.endpoints,
      fakeEndpoint({ container: "old", network: "apps", addresses: ["10.65.0.9"], joined: false }),
      fakeEndpoint({
        container: "proxy",
        network: "edge",
        addresses: ["10.65.0.5", "fd65::5"],
        host: "h2",
        published: [{ protocol: "TCP", port: 443, host: { address: "", port: 8443 } }],
      }),
    ],
  });
}

const LISTINGS: readonly (readonly [string, readonly string[]])[] = [
  ["ls", ["ls"]],
  ["ls-wide", ["ls", "-o", "wide"]],
  ["ls-name", ["ls", "-o", "name"]],
  ["ls-one", ["ls", "api"]],
  ["ls-selector", ["ls", "-l", 'role == "web"']],
  ["network-ls", ["network", "ls"]],
  ["network-ls-wide", ["network", "ls", "-o", "wide"]],
  ["network-inspect", ["network", "inspect", "edge"]],
  ["pool-ls", ["pool", "ls"]],
  ["pool-ls-wide", ["pool", "ls", "-o", "wide"]],
  ["node-ls", ["node", "ls"]],
  ["node-ls-wide", ["node", "ls", "-o", "wide"]],
  ["node-show", ["node", "show", "h2"]],
  ["ipam-show", ["ipam", "show"]],
  ["ipam-check", ["ipam", "check"]],
  ["ipam-explain", ["ipam", "explain", "10.65.0.9"]],
  ["status", ["status"]],
  ["version", ["version"]],
  ["doctor", ["doctor"]],
  ["doctor-wide", ["doctor", "-o", "wide"]],
];

describe("manx, looking", () => {
  let bench: Bench;
  before(async () => {
    const agent = new FakeAgent(state());
    const blocks = [{ cidr: "10.65.0.64/26", pool: "default-v4" }];
    agent.hosts = [
      ...agent.hosts,
      fakeNode("h2", { state: "silent", blocks, borrowed: ["10.65.0.7"], asNumber: 64513 }),
    ];
    bench = await setUp(agent);
  });
  after(() => bench[Symbol.asyncDispose]());

  for (const [name, words] of LISTINGS)
    it(`prints ${words.join(" ")}`, async () => golden(name, await bench.manx(...words)));

  it("lists flows and drops, with what decided", async () => {
    bench.agent.seen = fakeFlows(Date.now() - 300_000);
    golden("flows", await bench.manx("flows"));
    golden("drops", await bench.manx("drops"));
    golden("drops-none", await bench.manx("drops", "--from", "nobody"));
    golden("flows-wrong-port", await bench.manx("flows", "--port", "70000"));
    golden("flows-wrong-verdict", await bench.manx("flows", "--verdict", "maybe"));
  });

  it("lists flows of all hosts with who saw them, both families of a name as one, and says what it cannot tell", async () => {
    const [allowed, denied] = fakeFlows(Date.now() - 300_000) as [Flow, Flow];
    const six = (party: Party): Party => ({ ...party, address: "fd65::9" });
    const { source, destination } = allowed;
    const old: Party = { ...source, kind: "endpoint", container: "old-web" } as Party;
    bench.agent.seen = [
      { ...allowed, hosts: ["h1"] },
      { ...allowed, family: 6, source: six(source), destination: six(destination), hosts: ["h2"] },
      { ...denied, source: old, hosts: ["h2"] },
    ];
    bench.agent.unseen = { silent: ["h3"], blind: "Cannot ask the kernel why it drops packets: no" };
    golden("flows-all-hosts", await bench.manx("flows", "--all-hosts"));
    golden("drops-all-hosts", await bench.manx("drops", "-A"));
    bench.agent.unseen = {};
  });

  it("follows flows line by line, as JSON too", async () => {
    bench.agent.seen = fakeFlows();
    const { out } = await bench.manx("flows", "--follow");
    assert.match(out, /allow {2}apps\/web -> apps\/api {2}8080\/tcp {2}x12 /);
    const lines = (await bench.manx("drops", "--follow", "-o", "json")).out.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => (JSON.parse(line) as { verdict: string }).verdict),
      ["deny", "would-deny"],
    );
  });

  it("prints the same facts as JSON and YAML", async () => {
    const commands = [
      ["ls"],
      ["network", "ls"],
      ["network", "inspect", "apps"],
      ["pool", "ls"],
      ["status"],
      ["doctor"],
      ["version"],
    ];
    for (const words of commands) {
      const json = await bench.manx(...words, "-o", "json");
      const yaml = await bench.manx(...words, "-o", "yaml");
      assert.deepEqual([json.exit, json.err, yaml.exit, yaml.err], [0, "", 0, ""], words.join(" "));
      assert.deepEqual(parse(yaml.out), JSON.parse(json.out), words.join(" "));
    }
  });

  it("prints every listing wide", async () => {
    const listings =
      "ls|network ls|network inspect apps|pool ls|status|doctor|node ls|ipam show|ipam check|flows|drops|top --interval 0.1";
    for (const words of listings.split("|")) {
      const { exit, err } = await bench.manx(...words.split(" "), "-o", "wide");
      assert.notEqual(exit, 2, `${words}: ${err}`);
    }
  });

  it("says what to type where there is nothing", async () => {
    await using empty = await setUp(new FakeAgent(fakeSnapshot({ endpoints: [], networks: [], pools: [] })));
    golden("ls-empty", await empty.manx("ls"));
    golden("network-ls-empty", await empty.manx("network", "ls"));
    golden("pool-ls-empty", await empty.manx("pool", "ls"));
    assert.deepEqual(await empty.manx("ls", "-o", "json"), { exit: 0, out: "[]\n", err: "" });
    assert.deepEqual(await empty.manx("ls", "-o", "name"), { exit: 0, out: "", err: "" });
  });

  it("exits 4 and names what is not there", async () => {
    golden("ls-missing", await bench.manx("ls", "nobody"));
    golden("ls-network", await bench.manx("ls", "apps"));
    golden("network-inspect-missing", await bench.manx("network", "inspect", "nobody"));
    golden("pool-rm-missing", await bench.manx("pool", "rm", "nobody"));
  });

  it("tells who guesses what does it here", async () => {
    const said = async (...words: string[]) => {
      const { exit, err } = await bench.manx(...words);
      assert.equal(exit, 2, words.join(" "));
      return err;
    };
    assert.match(await said("describe", "np", "db"), /Try: manx get KIND NAME -o yaml/);
    assert.match(await said("get", "pods"), /Try: manx get wep/);
    assert.match(await said("ls", "--wide"), /Try: -o wide/);
    assert.match(await said("toString"), /Try: manx --help/);
    assert.match(await said("egress", "web"), /where to\?\nmanx egress NAME none/);
    assert.match((await bench.manx("-v")).out, /^manx +\d/);
  });

  it("exits 2 and points at the place where a selector is wrong", async () => {
    golden("selector-wrong", await bench.manx("ls", "-l", 'role == "web" && tier'));
    golden("selector-kubectl", await bench.manx("ls", "-l", "role=web"));
  });

  it("exits 1 where a part is not well, and says why and what to do", async () => {
    const facts = fakeFacts({
      drift: ["route 10.65.0.2/32 is missing"],
      sysctls: [{ path: "net/ipv4/ip_forward", want: "1", have: "0" }],
    });
    await using ill = await setUp(new FakeAgent(fakeSnapshot(), facts));
    ill.agent.parts = ill.agent.parts.map((part) =>
      part.name === "dataplane"
        ? {
            name: "dataplane",
            state: "failed",
            summary: "3 interfaces",
            why: "nftables said no",
            remedy: "manx doctor",
          }
        : part,
    );
    golden("status-failed", await ill.manx("status"));
    golden("doctor-failed", await ill.manx("doctor"));
    golden("doctor-fix", await ill.manx("doctor", "--fix"));
    assert.deepEqual(
      ill.agent.fixed.map(({ kind }) => kind),
      ["resync", "sysctl"],
    );
  });

  it("exits 3 where the agent does not answer, and says how to start it", async () => {
    const nowhere = { MANX_SOCKET: "/nowhere/manx.sock" };
    golden("ls-no-agent", await bench.manxWith({ env: nowhere }, "ls"));
    golden("join-cut-line", await bench.manxWith({ env: nowhere }, "join", "manx1.cut"));
    golden("version-no-agent", await bench.manxWith({ env: nowhere }, "version"));
    const doctor = await bench.manxWith({ env: nowhere }, "doctor");
    assert.equal(doctor.exit, 1);
    assert.match(doctor.out, /^FAILED {3}The agent runs: Cannot reach the agent at \/nowhere/);
    assert.match(doctor.out, /Start the agent first/);
    assert.equal((await bench.manxWith({ env: nowhere }, "doctor", "--fix")).exit, 3);
    const version = await bench.manxWith({ env: nowhere }, "version", "-o", "json");
    assert.deepEqual(JSON.parse(version.out), { client: "0.1.0", agent: null });
    assert.equal((await bench.manxWith({ env: nowhere }, "ls", "--socket", bench.socket)).exit, 0);
  });

  it("colours on a terminal only, and never with NO_COLOR", async () => {
    const script = (env: NodeJS.ProcessEnv) =>
      execute("script", ["-qec", `${MANX} status`, "/dev/null"], {
        ...process.env,
        MANX_SOCKET: bench.socket,
        TERM: "xterm",
        ...env,
      });
    assert.ok((await script({ NO_COLOR: "" })).out.includes("\u001b[32mok"));
    assert.ok(!(await script({ NO_COLOR: "1" })).out.includes("\u001b"));
    assert.ok(!(await bench.manx("status")).out.includes("\u001b"));
  });

  it("is silent when its reader has read enough", async () => {
    const many = Array.from({ length: 2000 }, (_, index) =>
      fakeEndpoint({ container: `c${index}`, network: "apps", addresses: [`10.65.${index >> 8}.${index & 255}`] }),
    );
    await using big = await setUp(new FakeAgent(fakeSnapshot({ endpoints: many })));
    const env = { ...process.env, MANX_SOCKET: big.socket };
    const { out, err } = await execute("bash", ["-c", `${MANX} ls -o json | head -n 1`], env);
    assert.deepEqual([out, err], ["[\n", ""]);
    const watched = await execute(
      "bash",
      ["-c", `${MANX} ls -o wide 2>/dev/null | head -n 1; echo \${PIPESTATUS[0]}`],
      env,
    );
    assert.match(watched.out, /^CONTAINER .*\n0\n$/);
  });

  it("leaves no connection open", async () => {
    await bench.manx("ls");
    await new Promise<void>((resolve, reject) => connect(bench.socket, resolve).on("error", reject).end());
  });
});
