/** Commands that change pools, the command line itself, and completion. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ApiError } from "../../src/api/error.ts";
import { FakeAgent, fakeNode } from "../../src/api/fake-agent.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { SHELLS } from "../../src/cli/completion-scripts.ts";
import { EXIT_CODES } from "../../src/cli/exit-codes.ts";
import { golden } from "./golden.ts";
import { type Bench, execute, setUp } from "./harness.ts";

describe("manx pool", () => {
  it("adds and removes pools, and refuses what makes no sense", async () => {
    await using bench = await setUp();
    golden("pool-add", await bench.manx("pool", "add", "10.66.0.0/16", "--nat-outgoing"));
    golden(
      "pool-add-routed",
      await bench.manx("pool", "add", "fd66::/64", "--name", "lan", "--manual", "--block-size", "/120"),
    );
    golden("pool-add-host-bits", await bench.manx("pool", "add", "10.66.0.1/16"));
    golden("pool-add-overlap", await bench.manx("pool", "add", "10.66.4.0/24"));
    golden("pool-add-block-size", await bench.manx("pool", "add", "10.67.0.0/16", "--block-size", "huge"));
    golden("pool-add-name-first", await bench.manx("pool", "add", "lan2", "10.67.0.0/16"));
    assert.equal((await bench.manx("pool", "add", "10.67.0.0/16", "10.68.0.0/16")).exit, 2);
    golden("pool-set-nothing", await bench.manx("pool", "set", "lan"));
    assert.equal((await bench.manx("pool", "set", "nope", "--disabled", "on")).exit, 4);
    assert.equal((await bench.manx("pool", "set", "lan", "--disabled", "maybe")).exit, 2);
    golden("pool-rm", await bench.manx("pool", "rm", "lan", "10.66.0.0/16"));
    golden("pool-rm-used", await bench.manx("pool", "rm", "default-v4"));
  });
});

describe("manx node, manx ipam", () => {
  it("forget hosts that are gone, not those that live; release what nobody has", async () => {
    const agent = new FakeAgent();
    agent.hosts = [
      ...agent.hosts,
      fakeNode("h2"),
      fakeNode("h3", { state: "silent", addresses: ["192.168.7.12"], blocks: [{ cidr: "10.65.0.64/26", pool: "p" }] }),
    ];
    await using bench = await setUp(agent);
    golden("node-rm-self", await bench.manx("node", "rm", "h1"));
    golden("node-rm-alive", await bench.manx("node", "rm", "h2", "--force"));
    golden("node-rm-answers", await bench.manx("node", "rm", "h3"));
    golden("node-rm", await bench.manx("node", "rm", "h3", "--force"));
    assert.equal((await bench.manx("node", "rm", "h3")).exit, 4);
    assert.equal((await bench.manx("node", "show", "nope")).exit, 4);
    assert.equal((await bench.manx("ipam", "explain", "nope")).exit, 2);
    golden("ipam-release", await bench.manx("ipam", "release", "10.65.0.9"));
    assert.equal((await bench.manx("ipam", "release", "10.65.0.0/26")).exit, 5);
    const message = "the containers a and b both have it";
    agent.problems = [{ kind: "address-twice", subject: "10.65.0.2", message, repair: "person" }];
    golden("ipam-check-wrong", await bench.manx("ipam", "check"));
  });
});

describe("manx, the command line", () => {
  let bench: Bench;
  before(async () => {
    bench = await setUp();
  });
  after(() => bench[Symbol.asyncDispose]());

  it("takes --version for version", async () => {
    assert.deepEqual(await bench.manx("--version"), await bench.manx("version"));
  });

  it("shows its commands, and how to begin", async () => {
    const bare = await bench.manx();
    golden("help", bare);
    assert.deepEqual(await bench.manx("--help"), bare);
    assert.deepEqual(await bench.manx("help"), bare);
  });

  it("has help with examples for every command", async () => {
    for (const { name } of COMMANDS) {
      const { exit, out } = await bench.manx(name, "--help");
      assert.equal(exit, 0, name);
      assert.match(out, new RegExp(`^Usage: manx ${name}`), name);
      if (name !== "help") assert.match(out, /\nExamples:\n {2}/, name);
      assert.deepEqual((await bench.manx("help", name)).out, out, name);
    }
  });

  it("documents every exit status", async () => {
    const { out } = await bench.manx("help", "exit-codes");
    for (const [code, meaning] of EXIT_CODES) assert.ok(out.includes(`${String(code).padStart(3)}  ${meaning}`));
  });

  it("suggests the nearest where a word is wrong, and exits 2", async () => {
    golden("typo-command", await bench.manx("stauts"));
    golden("typo-option", await bench.manx("ls", "--netwrok", "apps"));
    golden("typo-subcommand", await bench.manx("pool", "ad"));
    golden("wrong-format", await bench.manx("ls", "-o", "xml"));
    golden("missing-argument", await bench.manx("pool", "add"));
    golden("no-subcommand", await bench.manx("pool"));
    golden("help-nothing", await bench.manx("help", "nothing"));
  });

  it("gives each kind of refusal its own exit status", async () => {
    const statuses = [
      ["invalid", 2],
      ["not-found", 4],
      ["exists", 5],
      ["conflict", 5],
      ["refused", 5],
      ["denied", 6],
      ["unavailable", 7],
      ["timeout", 7],
      ["internal", 7],
    ] as const;
    for (const [code, exit] of statuses) {
      bench.agent.failure = new ApiError(code, "Cannot: no", { problems: [{ path: "a", message: "b" }], remedy: "Do" });
      const ran = await bench.manx("ls");
      assert.deepEqual(ran, { exit, out: "", err: "manx: Cannot: no:\n  a: b\nDo\n" }, code);
    }
    bench.agent.failure = undefined;
  });
});

describe("manx completion", () => {
  let bench: Bench;
  before(async () => {
    bench = await setUp();
  });
  after(() => bench[Symbol.asyncDispose]());
  const complete = async (...words: readonly string[]) => {
    const { out } = await bench.manx("complete", "--", ...words);
    return out
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.split("\t")[0]);
  };

  it("prints scripts that the shells can read", async (t) => {
    for (const shell of SHELLS) {
      const { out, exit } = await bench.manx("completion", shell);
      assert.equal(exit, 0);
      const installed = ["/bin", "/usr/bin", "/usr/local/bin"].some((folder) => existsSync(`${folder}/${shell}`));
      const file = join(bench.folder, `completion.${shell}`);
      writeFileSync(file, out);
      if (installed) assert.deepEqual(await execute(shell, ["-n", file]), { exit: 0, out: "", err: "" }, shell);
      else t.diagnostic(`${shell} is not installed: its script was not tried`);
    }
    assert.equal((await bench.manx("completion", "tcsh")).exit, 2);
  });

  it("works in a real bash", async () => {
    const script = `
      manx() { ${JSON.stringify(process.execPath)} src/cli/main.ts "$@"; }
      source <(manx completion bash)
      source <(manx completion bash)
      COMP_WORDS=(manx ls a); COMP_CWORD=2; _manx; echo "\${COMPREPLY[*]}"
      COMP_WORDS=(manx ls --output = j); COMP_CWORD=4; _manx; echo "\${COMPREPLY[*]}"
      COMP_WORDS=(manx ls --socket src/cl); COMP_CWORD=3; _manx; echo "\${COMPREPLY[*]}"`;
    const cwd = new URL("../..", import.meta.url).pathname;
    const { out, err } = await execute("bash", ["-c", `cd ${cwd}; ${script}`], {
      ...process.env,
      MANX_SOCKET: bench.socket,
    });
    assert.deepEqual([out, err], ["api\njson\nsrc/cli\n", ""]);
  });

  it("knows commands, options, and the agent's names", async () => {
    assert.deepEqual(await complete("st"), ["status"]);
    assert.deepEqual(await complete("pool", ""), ["ls", "add", "set", "rm"]);
    assert.deepEqual(await complete("pool", "rm", ""), ["default-v4", "default-v6"]);
    assert.deepEqual(await complete("network", "inspect", "a"), ["apps"]);
    assert.deepEqual(await complete("ls", ""), ["api", "web", "postgres"]);
    assert.deepEqual(await complete("ls", "--network", "d"), ["db"]);
    assert.deepEqual(await complete("ls", "--network=d"), ["db"]);
    assert.deepEqual(await complete("ls", "-o", "j"), ["json"]);
    assert.deepEqual(await complete("ls", "--se"), ["--selector"]);
    assert.deepEqual(await complete("ls", "--socket", ""), [":files"]);
    assert.deepEqual(await complete("get", "IPP"), ["IPPool"]);
    assert.deepEqual(await complete("get", "ippool", ""), ["default-v4", "default-v6"]);
    assert.deepEqual(await complete("label", "ippool", "default-v4", ""), []);
    assert.deepEqual(await complete("apply", "-f", ""), [":files"]);
    assert.deepEqual(await complete("why", "in"), ["internet"]);
    assert.deepEqual(await complete("allow", "web", "po"), ["postgres"]);
    assert.deepEqual(await complete("why", "web", "postgres", ""), []);
    assert.deepEqual(await complete("help", "exit"), ["exit-codes"]);
    assert.deepEqual(await complete("nothing", ""), []);
  });

  it("says nothing where the agent does not answer", async () => {
    const env = { MANX_SOCKET: "/nowhere" };
    assert.deepEqual(await bench.manxWith({ env }, "complete", "--", "ls", ""), { exit: 0, out: "", err: "" });
  });
});
