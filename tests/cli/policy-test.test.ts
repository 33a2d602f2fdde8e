/** `manx test`: no agent, no root. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { golden } from "./golden.ts";
import { type Bench, execute, setUp } from "./harness.ts";

const SHOP = `apiVersion: manx/v1
kind: PolicyTest
metadata: {name: shop}
endpoints:
  - {name: web, addresses: [10.65.0.10, "fd65::10"], labels: {role: web}, profiles: [apps]}
  - {name: db, addresses: [10.65.0.11, "fd65::11"], labels: {role: db}, profiles: [apps]}
  - {name: world, external: true, addresses: [203.0.113.9, "2001:db8::9"]}
files: [policies]
steps:
  - flows:
      - {from: web, to: db, port: 5432, expect: allow}
      - {from: db, to: web, port: 80, expect: allow}
      - {from: world, to: db, port: 5432, expect: deny}
      - {from: web, to: world, port: 443, expect: allow}
      - {from: web, to: db, protocol: ICMP, icmp: {type: 8, code: 0}, expect: deny}
      - {from: web, to: db, protocol: ICMP, icmp: {type: 13, code: 0}, expect: deny}
      - {from: web, to: db, protocol: 47, expect: deny}
`;
const POLICIES = `apiVersion: manx/v1
kind: Network
metadata: {name: apps}
spec: {}
---
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: db}
spec:
  selector: role == "db"
  ingress: [{action: Allow, protocol: TCP, source: {selector: role == "web"}, destination: {ports: [5432]}}]
`;

const NAMESPACES = `apiVersion: v1
kind: Namespace
metadata: {name: front, labels: {tier: front}}
---
${POLICIES.replace("source: {selector: role ==", "source: {namespaceSelector: tier == 'front', selector: role ==")}`;

describe("manx test", () => {
  let bench: Bench;
  let folder = "";
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  before(async () => {
    bench = await setUp();
    folder = join(bench.folder, "tests");
    mkdirSync(join(folder, "policies"), { recursive: true });
    file("shop.yaml", SHOP);
    file("policies/all.yaml", POLICIES);
  });
  after(() => bench[Symbol.asyncDispose]());
  /** In the folder, so that the output has no path of this machine. */
  const test = (...words: string[]) =>
    execute("bash", [
      "-c",
      'cd "$1"; shift; exec "$@"',
      "-",
      folder,
      join(import.meta.dirname, "../../bin/manx"),
      "test",
      ...words,
    ]);

  it("passes, in a folder that holds policies as well", async () => golden("test-ok", await test(".")));

  it("reads Namespaces among its files, and passes over the tests there", async () => {
    mkdirSync(join(folder, "spaces"));
    file("spaces/all.yaml", NAMESPACES);
    file(
      "spaces/test.yaml",
      SHOP.replace("files: [policies]", "files: [.]").replace("{name: web,", "{name: web, namespace: front,"),
    );
    const ran = await test("spaces/test.yaml");
    assert.match(ran.out, /12 of 12 flows as expected/);
    assert.equal(ran.exit, 0);
    file("spaces/all.yaml", NAMESPACES.replace("labels: {tier: front}", "labels: [front]"));
    const wrong = await test("spaces/test.yaml");
    assert.match(wrong.err, /spaces\/all.yaml:3:1 metadata: a Namespace has a name and labels/);
    assert.equal(wrong.exit, 2);
  });

  it("names what decided where a flow comes out otherwise", async () => {
    file("wrong.yaml", SHOP.replace("expect: allow", "expect: deny").replace("name: shop", "name: wr<o>ng"));
    golden("test-failed", await test("shop.yaml", "wrong.yaml"));
    golden("test-junit", await test("wrong.yaml", "-o", "junit"));
    const { exit, out } = await test("wrong.yaml", "-o", "json");
    assert.equal(exit, 1);
    const [report] = JSON.parse(out) as { flows: { ok: boolean; got: string }[] }[];
    assert.deepEqual(
      report?.flows.filter(({ ok }) => !ok).map(({ got }) => got),
      ["allow", "allow"],
    );
  });

  it("exits 2 where a file is wrong", async () => {
    file("bad.yaml", SHOP.replace("expect: deny", "expect: maybe").replace("port: 80", "port: 99999"));
    golden("test-bad", await test("bad.yaml"));
    assert.equal((await test()).exit, 2);
    assert.equal((await test("nowhere.yaml")).exit, 2);
    assert.equal((await test("policies")).exit, 2);
    assert.equal((await test("policies/all.yaml")).exit, 2);
    file("lost.yaml", SHOP.replace("[policies]", "[nowhere]"));
    assert.equal((await test("lost.yaml")).exit, 2);
    assert.ok(JSON.parse((await test("--json-schema")).out));
  });
});
