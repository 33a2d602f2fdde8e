/** Names and labels come from whoever may start a container. Nothing of them may act on the terminal or on the shell. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { ApiError } from "../../src/api/error.ts";
import { FakeAgent, fakeEndpoint, fakeNetwork, fakeSnapshot } from "../../src/api/fake-agent.ts";
import { type Bench, setUp } from "./harness.ts";

const EVIL = "\x1b[2J\x1b]0;owned\x07\r\n\t\x9b31m\u202e\u2066\u200b$(touch /tmp/owned)`id`\x00\u2028";
/** What must not stand in any output, in any format. */
const DANGER = /(?!\n)\p{Cc}|[\u200b-\u200f\u2028-\u202e\u2060-\u206f]/u;

describe("manx, with hostile names", () => {
  let bench: Bench;
  before(async () => {
    const endpoint = fakeEndpoint({
      container: `web${EVIL}`,
      network: `apps${EVIL}`,
      addresses: ["10.65.0.2"],
      labels: { [`role${EVIL}`]: EVIL, json: '{"a":"b"}', wide: "日本語" },
    });
    const snapshot = fakeSnapshot({
      networks: [fakeNetwork(`apps${EVIL}`, { pools: [EVIL] })],
      endpoints: [endpoint],
      host: EVIL,
    });
    bench = await setUp(new FakeAgent(snapshot));
  });
  after(() => bench[Symbol.asyncDispose]());

  for (const words of [["ls"], ["network", "ls"], ["status"], ["network", "inspect", `apps${EVIL.replace("\0", "")}`]])
    for (const format of ["table", "wide", "json", "yaml", "name"])
      it(`prints nothing dangerous: ${words
        .slice(0, 2)
        .join(" ")
        .replaceAll(/[^a-z ]/g, "")
        .slice(0, 20)} -o ${format}`, async () => {
        const { out, err } = await bench.manx(...words, "-o", format);
        assert.doesNotMatch(out, DANGER);
        assert.doesNotMatch(err, DANGER);
        assert.notEqual(out + err, "");
      });

  it("loses nothing in JSON and YAML", async () => {
    const json = JSON.parse((await bench.manx("ls", "-o", "json")).out) as { container: string; labels: object }[];
    assert.equal(json[0]?.container, `web${EVIL}`);
    assert.deepEqual(
      Object.entries(json[0]?.labels ?? {}).find(([key]) => key.startsWith("role")),
      [`role${EVIL}`, EVIL],
    );
    assert.deepEqual(parse((await bench.manx("ls", "-o", "yaml")).out), json);
  });

  it("keeps one line a container, with columns in line", async () => {
    const { out } = await bench.manx("ls");
    assert.equal(out.split("\n").length, 3);
    const [heading = "", row = ""] = out.split("\n");
    assert.equal(row.indexOf("10.65.0.2"), heading.indexOf("IPV4"));
  });

  it("shows the agent's own words safely", async () => {
    bench.agent.failure = new ApiError("refused", `Cannot do "${EVIL}"`, { remedy: EVIL });
    const { err } = await bench.manx("ls");
    assert.doesNotMatch(err, DANGER);
    bench.agent.failure = undefined;
  });

  it("shows what was typed safely", async () => {
    for (const words of [
      ["\x1b[31mx"],
      ["ls", "\x1b[31mx"],
      ["ls", "--\x1b[31mx"],
      ["ls", "-l", "\x1b[31mx"],
      ["help", "\x1b[31mx"],
    ]) {
      const { exit, err } = await bench.manx(...words);
      assert.ok(exit > 0);
      assert.doesNotMatch(err, DANGER);
    }
  });

  it("offers no name to the shell that would need quotes", async () => {
    const { out } = await bench.manx("complete", "--", "ls", "");
    assert.equal(out, "");
  });

  it("survives huge names", async () => {
    await using huge = await setUp(
      new FakeAgent(
        fakeSnapshot({
          endpoints: [fakeEndpoint({ container: "x".repeat(1_000_000), network: "apps", addresses: ["10.65.0.2"] })],
        }),
      ),
    );
    const { exit, out } = await huge.manx("ls");
    assert.equal(exit, 0);
    assert.ok(out.includes("10.65.0.2"));
  });
});
