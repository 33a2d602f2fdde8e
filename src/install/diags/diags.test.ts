import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import type { Piece } from "./collect.ts";
import { readArchive, writeDiags } from "./diags.ts";
import { enginePieces } from "./engine-pieces.ts";
import { looksSecret, namesSecret, Redactor } from "./redact.ts";
import { learnFiles } from "./secrets.ts";

/** Each planted where users put such things; none may be in the archive, whatever stands around it. */
const PLANTED = {
  bgp: "bgp-hunter2!x",
  env: "Env$ecret/with+odd=chars",
  label: "aZ09kfhWQ77bnm2LLpo9xYvU",
  tokenLabel: "let-me-in-please",
  url: "pa55w0rd-of-url",
  bearer: "abcdef0123456789token",
  join: "manx1.eyJlbmRwb2ludHMiOlsi",
  pem: "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ",
  yaml: "swordfish9000",
  jwt: "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
  aws: "AKIAIOSFODNN7EXAMPLE",
  flag: "cl1-argument-secret",
  annotation: "annotated-topsecret",
} as const;

const text = (path: string, content: string): Piece => ({ path, what: path, make: async () => ({ text: content }) });
const data = (path: string, content: unknown): Piece => ({ path, what: path, make: async () => ({ data: content }) });

async function folder() {
  const path = await mkdtemp(join(tmpdir(), "manx-diags-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** An engine with one container whose environment has secrets. */
async function engine(path: string) {
  const container = {
    Id: "c1",
    Name: "/web",
    Config: {
      Image: "web:1",
      Env: [`DB_PASSWORD=${PLANTED.env}`, "LANG=C.UTF-8"],
      Cmd: ["serve", "--token", PLANTED.flag],
      Labels: { "app.build": PLANTED.label, "app.token": PLANTED.tokenLabel, role: "web" },
    },
    HostConfig: { NetworkMode: "apps" },
  };
  const server = createServer((request, response) => {
    const answer = request.url?.startsWith("/containers/json") ? [{ Id: "c1" }] : container;
    response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
  });
  const socket = join(path, "docker.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("diags", () => {
  it("has no secret in it, in the raw bytes either, and keeps what is needed", async () => {
    await using place = await folder();
    await using docker = await engine(place.path);
    await mkdir(join(place.path, "secrets/router"), { recursive: true });
    await writeFile(join(place.path, "secrets/router/password"), `${PLANTED.bgp}\n`);
    const redactor = new Redactor();
    await learnFiles([join(place.path, "secrets")], redactor);
    const log = [
      `level=info msg="connecting" env="DB_PASSWORD=${PLANTED.env}"`,
      `plain ${PLANTED.env} and ${PLANTED.bgp}, base64 ${Buffer.from(PLANTED.env).toString("base64")}`,
      `{"msg":"${JSON.stringify(PLANTED.env).slice(1, -1)}","token":"${PLANTED.tokenLabel}"}`,
      `GET https://user:${PLANTED.url}@example.net/ with Authorization: Bearer ${PLANTED.bearer}`,
      `manx join ${PLANTED.join}`,
      `jwt ${PLANTED.jwt} ${PLANTED.aws}; run --api-token ${PLANTED.flag}`,
      `-----BEGIN PRIVATE KEY-----\n${PLANTED.pem}\n-----END PRIVATE KEY-----`,
    ];
    const last = JSON.stringify({ spec: { password: PLANTED.annotation } });
    const pieces = [
      text("host/agent-log.txt", log.join("\n")),
      text("host/bird.conf", `protocol bgp 'peer' {\n  neighbor 192.0.2.1 as 64512;\n  password "${PLANTED.bgp}";\n}`),
      text("host/agent.yaml", `host: h1\npassword: ${PLANTED.yaml}\n`),
      data("endpoints.json", [{ container: "web", labels: { "app.build": PLANTED.label, role: "web" } }]),
      data("resources/BGPPeer.json", [
        {
          metadata: { name: "r", annotations: { "kubectl.kubernetes.io/last-applied-configuration": last } },
          spec: { password: { secretKeyRef: { name: "router", key: "password" } }, peerIP: "192.0.2.1" },
        },
      ]),
      // The same value under a harmless name.
      data("flows.json", [{ reasons: [`app.build == "${PLANTED.label}"`], note: PLANTED.tokenLabel }]),
      ...enginePieces(docker.socket, redactor).filter(({ path }) => path.includes("containers")),
    ];
    const file = join(place.path, "out.tar.gz");
    const report = await writeDiags({ pieces, redactor, file, signal: new AbortController().signal });
    assert.deepEqual(
      report.entries.map(({ path, problem }) => [path, problem]),
      pieces.map(({ path }) => [path, undefined]),
    );
    const archive = await readFile(file);
    const raw = gunzipSync(archive).toString("latin1");
    for (const [where, secret] of Object.entries(PLANTED))
      for (const writing of [
        secret,
        Buffer.from(secret).toString("base64").replace(/=+$/, ""),
        encodeURIComponent(secret),
      ])
        assert.ok(!raw.includes(writing), `${where}: ${writing}`);
    const files = readArchive(archive);
    assert.match(files.get("manx-diags/host/bird.conf") ?? "", /neighbor 192\.0\.2\.1 as 64512;/);
    assert.match(files.get("manx-diags/endpoints.json") ?? "", /"role": "web"/);
    assert.match(files.get("manx-diags/resources/BGPPeer.json") ?? "", /"peerIP": "192\.0\.2\.1"/);
    assert.match(files.get("manx-diags/resources/BGPPeer.json") ?? "", /"name": "router"/);
    assert.match(files.get("manx-diags/docker/containers.json") ?? "", /"DB_PASSWORD"/);
    assert.match(files.get("manx-diags/README.txt") ?? "", /Taken out: passwords/);
    assert.equal((await stat(file)).mode & 0o777, 0o600);
  });

  it("goes on where a piece fails or hangs, and says so", async () => {
    await using place = await folder();
    const pieces: Piece[] = [
      { path: "a.txt", what: "a", make: () => Promise.reject(new Error("password=swordfish99 refused")) },
      { path: "b.txt", what: "b", make: () => new Promise(() => {}) },
      text("c.txt", "whole"),
    ];
    const file = join(place.path, "out.tar.gz");
    const { signal } = new AbortController();
    const { entries } = await writeDiags({ pieces, redactor: new Redactor(), file, signal, limit: 30 });
    assert.deepEqual(
      entries.map(({ path, problem }) => [path, problem]),
      [
        ["a.txt", "password=(removed) refused"],
        ["b.txt", "it took too long"],
        ["c.txt", undefined],
      ],
    );
  });

  it("is bounded, and cuts no secret in two", async () => {
    await using place = await folder();
    const redactor = new Redactor();
    redactor.learn("bgp-hunter2!x");
    const pieces = [text("a.txt", `${"x".repeat(95)}bgp-hunter2!x`), text("b.txt", "y".repeat(500))];
    const file = join(place.path, "out.tar.gz");
    const { signal } = new AbortController();
    const { entries } = await writeDiags({ pieces, redactor, file, signal, mostBytes: 100, mostInAll: 150 });
    assert.deepEqual(
      entries.map(({ bytes }) => bytes),
      [100, 50],
    );
    const files = readArchive(await readFile(file));
    assert.doesNotMatch([...files.values()].join(""), /bgp-h/);
  });

  it("replaces no file, and leaves none where it fails", async () => {
    await using place = await folder();
    const file = join(place.path, "out.tar.gz");
    await writeFile(file, "mine");
    const { signal } = new AbortController();
    await assert.rejects(writeDiags({ pieces: [], redactor: new Redactor(), file, signal }), { code: "exists" });
    assert.equal(await readFile(file, "utf8"), "mine");
  });
});

describe("what looks secret", () => {
  for (const name of [
    "DB_PASSWORD",
    "POSTGRES_PASSWORD",
    "app.token",
    "API_KEY",
    "aws_secret_access_key",
    "PGPASSFILE_pwd",
    "db.key",
  ])
    it(`the name ${name}`, () => assert.ok(namesSecret(name)));
  for (const name of ["role", "container", "network", "keyboard", "com.docker.compose.service", "policy"])
    it(`not the name ${name}`, () => assert.ok(!namesSecret(name)));
  it("not words and names", () => {
    for (const value of ["web", "com.docker.compose.project", "a-rather-long-name-of-a-service"])
      assert.ok(!looksSecret(value));
  });
});
