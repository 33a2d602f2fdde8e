/** `manx top`, `manx suggest`, `manx diags` as a user runs them. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { FakeAgent, fakeFlows } from "../../src/api/fake-agent.ts";
import { readArchive } from "../../src/install/diags/diags.ts";
import { type Bench, MANX, setUp } from "./harness.ts";

let bench: Bench;
before(async () => {
  const agent = new FakeAgent();
  agent.seen = fakeFlows();
  bench = await setUp(agent);
});
after(() => bench[Symbol.asyncDispose]());

it("top is one table where nobody looks, what is most first", async () => {
  const { exit, out } = await bench.manx("top", "--interval", "0.1");
  assert.equal(exit, 0);
  const lines = out.trimEnd().split("\n");
  assert.match(lines[0] ?? "", /^CONTAINER +NETWORK +SENT +RECEIVED +PACKETS +NEW FLOWS +DROPS$/);
  assert.match(lines[1] ?? "", /^postgres +db +3kB\/s +3kB\/s +20\/s +1\/s +0\/s$/);
  assert.equal(lines.length, 4);
  const named = await bench.manx("top", "--interval", "0.1", "--sort", "name", "-o", "json");
  const rows = JSON.parse(named.out) as { container: string; sentBytes: number }[];
  assert.deepEqual(
    rows.map(({ container }) => container),
    ["api", "postgres", "web"],
  );
  assert.equal((await bench.manx("top", "--interval", "0")).exit, 2);
});

it("suggest prints a policy that validates, with where it comes from", async () => {
  const { exit, out } = await bench.manx("suggest", "api", "--direction", "ingress");
  assert.equal(exit, 0);
  assert.match(out, /^# ingress\[0\]: 12 connections of 1 flow with web, since 2026-/m);
  const checked = await bench.manxWith({ input: out }, "validate", "-f", "-");
  assert.equal(checked.exit, 0, checked.err);
  assert.equal((await bench.manx("suggest", "nobody")).exit, 4);
  const quiet = await bench.manx("suggest", "postgres");
  assert.equal(quiet.exit, 1);
  assert.match(quiet.err, /no connection of it was seen/);
});

it("diags says what is in the archive and where it lies; only its owner may read it", async () => {
  const file = join(bench.folder, "report.tar.gz");
  const { exit, out, err } = await bench.manx("diags", "--file", file);
  assert.equal(exit, 0, err);
  assert.match(out, /^status\.json +[0-9]+ +health of each part/m);
  assert.ok(err.includes(file));
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  const files = readArchive(await readFile(file));
  assert.match(files.get("manx-diags/endpoints.json") ?? "", /"container": "web"/);
  assert.match(files.get("manx-diags/metrics.txt") ?? "", /^manx_endpoints 3$/m);
  const again = await bench.manx("diags", "--file", file);
  assert.equal(again.exit, 7);
  assert.match(again.err, /there is a file of that name/);
});

it("why --live waits, then tells the way hop by hop; the exit status says whether it arrived", async () => {
  const hop = { hook: "forward", family: "ip", table: "filter", chain: "DOCKER-USER", owner: "Docker" } as const;
  const watching = { kind: "watching", flows: ["10.65.0.2 -> 10.65.0.4  tcp 5432"], hosts: ["h1", "h2"] } as const;
  bench.agent.liveEvents = [
    watching,
    {
      kind: "result",
      outcome: "dropped",
      text: "host h1: dropped by Docker",
      hosts: [
        {
          host: "h1",
          state: "seen",
          passage: {
            from: "manxa",
            hops: [{ ...hop, verdict: "drop", text: "ip daddr 10.65.0.4 drop" }],
            end: "dropped",
            text: "dropped by Docker",
          },
        },
        { host: "h2", state: "nothing" },
      ],
    },
  ];
  const { exit, out, err } = await bench.manx("why", "web", "postgres", "5432", "--live", "--timeout", "5m");
  assert.equal(exit, 1);
  assert.match(err, /10\.65\.0\.2 -> 10\.65\.0\.4 {2}tcp 5432\n.*on h1, h2: waiting for the next packet, 300 s/);
  assert.equal(
    out,
    `host h1, in by manxa
  drop   forward     Docker: ip filter, chain DOCKER-USER
         ip daddr 10.65.0.4 drop
  died   dropped by Docker
host h2: did not come by
DROPPED: host h1: dropped by Docker
`,
  );
  assert.deepEqual(bench.agent.liveQueries.at(-1), {
    from: "web",
    to: "postgres",
    protocol: "tcp",
    port: 5432,
    timeout: 300,
  });
  bench.agent.liveEvents = [{ kind: "result", outcome: "answered", text: "it arrived", hosts: [] }];
  const json = await bench.manx("why", "web", "postgres", "5432", "--live", "-o", "json");
  assert.equal(json.exit, 0);
  assert.equal((JSON.parse(json.out) as { outcome: string }).outcome, "answered");
  bench.agent.liveEvents = [watching];
  assert.match((await bench.manx("why", "web", "postgres", "5432", "--live")).err, /the agent ended before/);
  assert.equal((await bench.manx("why", "web", "postgres", "--timeout", "5s")).exit, 2);
  assert.equal((await bench.manx("why", "web", "postgres", "--live", "--timeout", "1h")).exit, 2);
});

it("top goes on on a terminal, sorted by the key that was pressed, until q; then the terminal is as before", async () => {
  // script(1) gives it a terminal of its own.
  const line = `stty cols 120 rows 30; ${MANX} top --interval 0.2 --socket ${bench.socket}; stty -a`;
  const child = spawn("script", ["-qec", line, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
  let out = "";
  const ends = once(child, "exit");
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const before = out;
    out += text;
    if (!before.includes("by bytes") && out.includes("by bytes")) child.stdin.write("n");
    if (!before.includes("by name") && out.includes("by name")) setTimeout(() => child.stdin.write("q"), 500);
  });
  const [code] = (await ends) as [number];
  assert.equal(code, 0, out);
  const screens = out.split("\x1b[H\x1b[J").slice(1);
  assert.ok(screens.length >= 3, out);
  assert.match(screens[0] ?? "", /3 endpoints, by bytes[\s\S]*CONTAINER[\s\S]*postgres[\s\S]*api/);
  assert.match(screens.at(-1) ?? "", /by name[\s\S]*api[\s\S]*postgres[\s\S]*web/);
  assert.match(out, /[^-]icanon/);
  assert.match(out, /[^-]echo\b/);
});
