import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { formatFileProblem } from "../core/model/parse.ts";
import { type Config, readConfig, writeConfig } from "./config-file.ts";
import { parseConfig } from "./config-text.ts";
import { agentOptions } from "./options.ts";
import { readSecret } from "./secret-file.ts";

const problemsOf = (text: string): string[] => parseConfig(text, "agent.yaml").problems.map(formatFileProblem);

describe("configuration file", () => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ["a misspelt setting", "host: h1\nstor: {}\n", /^agent\.yaml:2:1.*stor.*no such setting/],
    [
      "a misspelt setting below",
      "store:\n  etcd:\n    endpoints: [http://a]\n    pasword: x\n",
      /^agent\.yaml:4:5.*no such setting/,
    ],
    ["a word that is none of the choices", "endpointToHost: maybe\n", /^agent\.yaml:1:17/],
    [
      "an endpoint that is none",
      "store:\n  etcd:\n    endpoints:\n      - http://a\n      - http://a:99999\n",
      /^agent\.yaml:5:9.*99999 is not a port/,
    ],
    ["no endpoint", "store: { etcd: { endpoints: [] } }\n", /^agent\.yaml:1:\d+.*no member/],
    [
      "a certificate without its key",
      "store: { etcd: { endpoints: [a], certFile: /c } }\n",
      /certFile and keyFile belong together/,
    ],
    [
      "a user without a password",
      "store: { etcd: { endpoints: [a], user: u } }\n",
      /user and passwordFile belong together/,
    ],
    [
      "a path that depends on the folder",
      "store: { etcd: { endpoints: [a], caFile: ca.crt } }\n",
      /not an absolute path/,
    ],
    ["no YAML", "host: [\n", /^agent\.yaml:\d+:\d+/],
    ["a list", "- a\n", /^agent\.yaml:1:1/],
  ];
  for (const [what, text, wanted] of rows)
    it(`refuses ${what}, and says where`, () => assert.match(problemsOf(text).join("\n"), wanted));

  it("tells all problems at once", () => assert.equal(problemsOf("a: 1\nb: 2\nhost: _\n").length, 3));

  it("is read as it was written, and not half", async () => {
    const folder = mkdtempSync(join(tmpdir(), "manx-config-"));
    try {
      const file = join(folder, "deep", "agent.yaml");
      assert.deepEqual(await readConfig(file), {});
      const config: Config = { host: "h1", store: { etcd: { endpoints: ["https://[fd00::1]:2379"], caFile: "/ca" } } };
      await writeConfig(file, config);
      assert.deepEqual(await readConfig(file), config);
      assert.ok(readFileSync(file, "utf8").startsWith("# "));
      writeFileSync(file, "hst: h1\n");
      await assert.rejects(readConfig(file), { name: "DriverError", code: "invalid", message: /agent\.yaml:1:1/ });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is overridden by the environment, the store as a whole", () => {
    const config: Config = { host: "h1", store: { etcd: { endpoints: ["https://a"], caFile: "/ca" } } };
    assert.deepEqual(agentOptions({}, config).etcd, { endpoints: ["https://a"], caFile: "/ca" });
    assert.equal(agentOptions({ MANX_HOST: "h2" }, config).host, "h2");
    assert.equal(agentOptions({ MANX_STORE: "sqlite" }, config).etcd, undefined);
    assert.deepEqual(agentOptions({ MANX_STORE: "etcd://b:1,c" }, config).etcd, { endpoints: ["etcd://b:1,c"] });
    assert.throws(() => agentOptions({ MANX_STORE: "consul://b" }, config), { code: "invalid", message: /consul/ });
  });

  it("uses no secret that others may read", async () => {
    const folder = mkdtempSync(join(tmpdir(), "manx-secret-"));
    try {
      const file = join(folder, "password");
      writeFileSync(file, "s3cret\n", { mode: 0o600 });
      assert.equal(await readSecret(file), "s3cret\n");
      for (const mode of [0o640, 0o604, 0o644]) {
        chmodSync(file, mode);
        const refusal = await readSecret(file).catch((error: unknown) => error as Error);
        assert.match(String(refusal), /others may read it. chmod 600/);
        assert.ok(!String(refusal).includes("s3cret"));
      }
      assert.equal(statSync(file).mode & 0o777, 0o644, "left as it is");
      await assert.rejects(readSecret(join(folder, "none")), { code: "not-found" });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
