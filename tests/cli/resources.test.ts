/** Resources: from files, to files, in part; presets, selectors, why. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { parseAllDocuments } from "yaml";
import { FakeAgent } from "../../src/api/fake-agent.ts";
import type { WhyView } from "../../src/api/schema/why.ts";
import { golden } from "./golden.ts";
import { type Bench, setUp } from "./harness.ts";

const WEB = `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  selector: role == "web"
  ingress:
    - action: Allow
      protocol: TCP
      destination: {ports: [80, "8000:8010"]}
---
apiVersion: projectcalico.org/v3
kind: Tier
metadata: {name: security}
spec: {order: 10}
`;
const WRONG = `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: {name: web}
spec:
  selector: role == 
  ingress:
    - action: Permit
      protocol: TCP
      destination: {ports: [70000]}
`;

describe("manx, resources", () => {
  let bench: Bench;
  let agent: FakeAgent;
  const file = (name: string, text: string): string => {
    const path = join(bench.folder, name);
    writeFileSync(path, text);
    return path;
  };
  before(async () => {
    agent = new FakeAgent();
    bench = await setUp(agent);
  });
  beforeEach(() => {
    agent.stored.stored.clear();
    agent.requests.length = 0;
    agent.queries.length = 0;
  });
  after(() => bench[Symbol.asyncDispose]());
  const fromInput = (input: string, ...words: string[]) => bench.manxWith({ input }, ...words);

  it("applies a file as one whole; a second time changes nothing and says so", async () => {
    golden("apply", await fromInput(WEB, "apply", "-f", "-"));
    golden("apply-again", await fromInput(WEB, "apply", "-f", "-"));
    assert.equal(agent.requests.length, 2);
    assert.equal(agent.requests[0]?.resources.length, 2);
  });

  it("tells every problem of a file with its place, and asks the agent for nothing", async () => {
    golden("apply-wrong", await fromInput(WRONG, "apply", "-f", "-"));
    golden("validate-wrong", await fromInput(WRONG, "validate", "-"));
    golden("validate", await fromInput(WEB, "validate", "-"));
    assert.equal(agent.requests.length, 0);
  });

  it("tells who gives a file without -f what to type", async () => {
    const path = file("web.yaml", WEB);
    for (const verb of ["apply", "create", "replace", "diff"])
      assert.deepEqual(await bench.manx(verb, path), {
        exit: 2,
        out: "",
        err: `manx: Cannot tell what "${path}" is: files are given with -f\nmanx ${verb} -f ${path}\n`,
      });
    assert.equal(agent.requests.length, 0);
  });

  it("says which names of a one-line policy nobody has", async () => {
    const said = async (...words: string[]) => (await bench.manx(...words)).err.match(/(?<=called ")[^"]+/g);
    assert.deepEqual(await said("allow", "web", "postgres", "5432/tcp"), null);
    assert.deepEqual(await said("allow", "nobody,web", "api"), ["nobody"]);
    assert.deepEqual(await said("egress", "web", "intrenet,dns"), ["intrenet"]);
    assert.deepEqual(await said("egress", "web", "none"), null);
    assert.deepEqual(await said("deny", 'role == "x"', "all"), null);
    assert.deepEqual(await said("isolate", "wep"), ["wep"]);
  });

  it("reads folders, and refuses what stands in two files", async () => {
    const folder = join(bench.folder, "policies");
    mkdirSync(join(folder, "more"), { recursive: true });
    file("policies/web.yaml", WEB);
    file("policies/README.md", "not yaml: [");
    file(
      "policies/more/db.json",
      JSON.stringify({ apiVersion: "projectcalico.org/v3", kind: "Tier", metadata: { name: "db" }, spec: {} }),
    );
    const { out, exit } = await bench.manx("apply", "-f", folder);
    assert.equal(exit, 0);
    assert.equal(out, "Tier db created\nNetworkPolicy shop/web created\nTier security created\n");
    file("policies/more/again.yaml", WEB);
    const twice = await bench.manx("apply", "-f", folder);
    assert.equal(twice.exit, 2);
    assert.match(
      twice.err,
      /web\.yaml:3:\d+ metadata\.name: the NetworkPolicy shop\/web stands in .*again\.yaml:3:\d+ already/,
    );
    assert.equal((await bench.manx("apply", "-f", "/nowhere.yaml")).exit, 2);
    assert.equal((await bench.manx("apply")).exit, 2);
    assert.equal((await fromInput("", "apply", "-f", "-")).exit, 2);
  });

  it("creates only what is new, replaces only what is there, deletes by name and by file", async () => {
    assert.equal((await fromInput(WEB, "replace", "-f", "-")).exit, 4);
    assert.equal((await fromInput(WEB, "create", "-f", "-")).exit, 0);
    assert.equal((await fromInput(WEB, "create", "-f", "-")).exit, 5);
    golden("delete", await bench.manx("delete", "np", "-n", "shop", "web"));
    golden("delete-missing", await bench.manx("delete", "np", "shop/web"));
    assert.equal((await bench.manx("delete", "np", "shop/web", "--ignore-missing")).exit, 0);
    golden("delete-file", await fromInput(WEB, "delete", "-f", "-", "--ignore-missing"));
    assert.equal((await bench.manx("delete")).exit, 2);
    assert.equal((await bench.manx("delete", "pod", "x")).exit, 2);
  });

  it("hands on dry runs, force, times to confirm, and the session it is typed over", async () => {
    golden("apply-dry-run", await fromInput(WEB, "apply", "-f", "-", "--dry-run"));
    assert.equal(agent.stored.stored.size, 0);
    golden("apply-confirm", await fromInput(WEB, "apply", "-f", "-", "--confirm", "1m", "--force"));
    golden("confirm", await bench.manx("confirm"));
    golden("confirm-nothing", await bench.manx("confirm"));
    assert.deepEqual(
      [agent.requests[0]?.dryRun, agent.requests[1]?.confirmWithin, agent.requests[1]?.force],
      [true, 60, true],
    );
    await bench.manxWith({ input: WEB, env: { SSH_CONNECTION: "10.0.0.1 50000 10.0.0.2 22" } }, "apply", "-f", "-");
    assert.deepEqual(agent.requests[2]?.session, {
      client: "10.0.0.1",
      clientPort: 50_000,
      server: "10.0.0.2",
      serverPort: 22,
    });
    for (const time of ["0", "x", "2d", "999h", "-5"])
      assert.equal((await bench.manx("apply", "-f", "-", `--confirm=${time}`)).exit, 2, time);
  });

  it("leaves what container labels made out of a backup", async () => {
    const made = WEB.replace("name: web,", 'name: made, annotations: {manx/made-from: "container labels"},');
    await fromInput(`${WEB}---\n${made.split("---")[0]}`, "apply", "-f", "-");
    assert.match((await bench.manx("get", "np", "-o", "name")).out, /shop\/made/);
    const { out } = await bench.manx("get", "all", "-o", "yaml");
    assert.match(out, /name: web/);
    assert.doesNotMatch(out, /name: made/);
  });

  it("gets resources to read, and to apply again", async () => {
    await fromInput(WEB, "apply", "-f", "-");
    golden("get", await bench.manx("get", "networkpolicy"));
    golden("get-wide", await bench.manx("get", "np,tier", "-o", "wide"));
    golden("get-name", await bench.manx("get", "np", "-o", "name"));
    golden("get-yaml", await bench.manx("get", "np", "web", "-o", "yaml"));
    golden("get-missing", await bench.manx("get", "np", "nope"));
    golden("get-some-missing", await bench.manx("get", "np", "web", "nope", "neither", "-o", "name"));
    assert.equal((await bench.manx("get", "np", "")).exit, 4);
    golden("get-empty", await bench.manx("get", "gnp"));
    golden("get-no-kind", await bench.manx("get", "netpolicies"));
    golden("get-nodes", await bench.manx("get", "node"));
    const everything = await bench.manx("get", "np,tier", "-o", "yaml");
    assert.deepEqual(await fromInput(everything.out, "apply", "-f", "-", "-o", "name"), {
      exit: 0,
      out: "NetworkPolicy shop/web\nTier security\n",
      err: "",
    });
    const list = await bench.manx("get", "np,tier", "-o", "json");
    assert.match((await fromInput(list.out, "apply", "-f", "-")).err, /Nothing to change/);
    assert.equal(
      (JSON.parse((await bench.manx("get", "tier", "security", "-o", "json")).out) as { kind: string }).kind,
      "Tier",
    );
    assert.equal(
      (JSON.parse((await bench.manx("get", "tier", "-o", "json")).out) as { kind: string }).kind,
      "TierList",
    );
    assert.equal((await bench.manx("get", "np", "-n", "other")).err, "No NetworkPolicy fits.\n");
    assert.equal((await bench.manx("get", "np", "-n", "other", "web")).exit, 4);
  });

  it("patches and labels a part of a resource", async () => {
    await fromInput(WEB, "apply", "-f", "-");
    golden("patch", await bench.manx("patch", "tier", "security", "-p", "{spec: {order: 20}}"));
    golden(
      "patch-json",
      await bench.manx("patch", "tier", "security", "--type", "json", "-p", '[{"op":"remove","path":"/spec/order"}]'),
    );
    golden("patch-wrong", await bench.manx("patch", "tier", "security", "-p", "{spec: {order: high}}"));
    golden("label", await bench.manx("label", "np", "shop/web", "team=a"));
    golden("label-conflict", await bench.manx("label", "np", "shop/web", "team=b"));
    assert.equal((await bench.manx("label", "np", "shop/web", "team=b", "--overwrite")).exit, 0);
    assert.equal((await bench.manx("label", "np", "shop/web", "team-")).exit, 0);
    for (const patch of ["{", "[", "*a", "[{op: steal}]"])
      assert.equal((await bench.manx("patch", "tier", "security", "--type", "json", "-p", patch)).exit, 2, patch);
    assert.equal((await bench.manx("label", "np", "shop/web", "team")).exit, 2);
    assert.equal((await bench.manx("label", "np", "shop/nope", "a=b")).exit, 4);
  });

  it("gets what a file names, as it is now", async () => {
    await fromInput(WEB.replace("order: 10", "order: 77"), "apply", "-f", "-");
    const { out, exit } = await fromInput(WEB, "get", "-f", "-", "-o", "yaml");
    assert.equal(exit, 0);
    assert.deepEqual(
      parseAllDocuments(out).map((one) => [one.get("kind"), one.getIn(["spec", "order"])]),
      [
        ["NetworkPolicy", undefined],
        ["Tier", 77],
      ],
    );
    const missing = await fromInput(WEB.replace("name: web", "name: gone"), "get", "-f", "-", "-o", "name");
    assert.deepEqual([missing.exit, missing.out], [4, "security\n"]);
    assert.equal((await fromInput(WEB, "get", "np", "-f", "-")).exit, 2);
    assert.equal((await bench.manx("get")).exit, 2);
  });

  it("prints columns of one's own, and says what stands for templates", async () => {
    await fromInput(WEB, "apply", "-f", "-");
    golden(
      "get-columns",
      await bench.manx("get", "np", "-o", "custom-columns=NAME,PORTS:.spec.ingress[*].destination.ports"),
    );
    golden("get-columns-wrong", await bench.manx("get", "np", "-o", "custom-columns=NAME,NODE"));
    golden("get-template", await bench.manx("get", "np", "-o", "go-template={{range .}}{{.Name}}{{end}}"));
    assert.deepEqual(await bench.manx("get", "tier", "-o", "ps"), await bench.manx("get", "tier"));
  });

  it("knows a policy's tier as a label", async () => {
    await fromInput(
      `${WEB}---\n${WEB.split("---")[0]}`
        .replace(/name: web(?=[^]*name: web)/, "name: api")
        .replace("spec:", "spec:\n  tier: security"),
      "apply",
      "-f",
      "-",
    );
    const names = async (selector: string) => (await bench.manx("get", "np", "-o", "name", "-l", selector)).out;
    assert.equal(await names('projectcalico.org/tier == "security"'), "shop/api\n");
    assert.equal(await names('projectcalico.org/tier == "default"'), "shop/web\n");
    assert.equal(await names("!has(projectcalico.org/tier)"), "");
  });

  it("takes calicoctl's and kubectl's words", async () => {
    const bare = WEB.replace(", namespace: shop", "");
    assert.equal(
      (await fromInput(bare, "create", "-f", "-", "-n", "shop")).out.split("\n")[0],
      "NetworkPolicy shop/web created",
    );
    assert.equal((await fromInput(WEB, "create", "-f", "-", "-n", "other")).exit, 5); // the file's own namespace stays
    golden(
      "create-skip-exists",
      await fromInput(WEB.replace("name: security", "name: more"), "create", "-f", "-", "--skip-exists"),
    );
    assert.equal((await bench.manx("get", "np", "-A", "-o", "name")).out, "shop/web\n");
    assert.equal((await bench.manx("get", "np", "-a", "-o", "name")).out, "shop/web\n");
    assert.equal((await bench.manx("get", "np", "-a", "-n", "shop")).exit, 2);
    assert.equal((await bench.manx("patch", "tier", "more", "-t", "strategic", "-p", "{spec: {order: 7}}")).exit, 0);
    assert.equal((await bench.manx("label", "tier", "more", "team=a")).exit, 0);
    assert.equal((await bench.manx("label", "tier", "more", "team", "--remove")).exit, 0);
    assert.equal((await bench.manx("label", "tier", "more", "team=a", "--remove")).exit, 2);
    assert.deepEqual(Object.keys(agent.stored.stored.get("Tier more")?.metadata.labels ?? {}), []);
    for (const word of ["--skip-not-exists", "--ignore-not-found", "--ignore-missing"])
      assert.equal((await bench.manx("delete", "tier", "none", word)).exit, 0, word);
    assert.deepEqual(await fromInput("# nothing\n---\n", "apply", "-f", "-", "--skip-empty"), {
      exit: 0,
      out: "",
      err: "Nothing to change: it is so already.\n",
    });
    assert.equal((await fromInput("kind: NetworkPolicyList\nitems:\n", "apply", "-f", "-")).exit, 2);
    assert.equal((await fromInput(WEB, "diff", "-f", "-", "-R", "-n", "Shop!")).exit, 2);
  });

  it("refuses a namespace for kinds that have none, rather than look everywhere", async () => {
    await fromInput(WEB, "apply", "-f", "-");
    golden("get-no-namespace", await bench.manx("get", "tier", "-n", "shop"));
    assert.equal((await bench.manx("delete", "tier", "-n", "shop", "security")).exit, 2);
    assert.equal((await bench.manx("patch", "tier", "-n", "shop", "security", "-p", "{}")).exit, 2);
    assert.equal((await bench.manx("label", "tier", "-n", "shop", "security", "a=b")).exit, 2);
    assert.equal((await bench.manx("get", "tier,np", "-n", "shop", "-o", "name")).out, "security\nshop/web\n");
    assert.equal((await bench.manx("get", "all", "-n", "shop", "-o", "name")).exit, 0);
  });

  it("shows what apply would change", async () => {
    await fromInput(WEB, "apply", "-f", "-");
    golden("diff-none", await fromInput(WEB, "diff", "-f", "-"));
    golden(
      "diff",
      await fromInput(WEB.replace("order: 10", "order: 20").replace("[80, ", "[443, "), "diff", "-f", "-"),
    );
  });

  it("prints the policy that a preset makes, and takes it back", async () => {
    const allowed = await bench.manx("allow", "web", "db", "5432/tcp");
    golden("allow", allowed);
    assert.equal(parseAllDocuments(allowed.out).length, 3);
    const asked = agent.requests.length;
    assert.equal((await bench.manx("allow", "web", "db", "5432/tcp", "--dry-run")).out, allowed.out);
    const dry = await bench.manx("allow", "web", "db", "5432/tcp", "--dry-run", "-o", "json");
    assert.deepEqual(
      (JSON.parse(dry.out) as { kind: string }[]).map(({ kind }) => kind),
      ["Tier", "GlobalNetworkPolicy", "GlobalNetworkPolicy"],
    );
    assert.equal(agent.requests.length, asked);
    golden("allow-remove", await bench.manx("allow", "web", "db", "5432/tcp", "--remove"));
    golden("get-near", await bench.manx("get", "networkpolcy"));
    golden("allow-remove-missing", await bench.manx("allow", "web", "db", "--remove"));
    golden("egress", await bench.manx("egress", "sandbox", "internet"));
    assert.equal((await bench.manx("egress", "sandbox", "--remove")).exit, 0);
    golden("isolate", await bench.manx("isolate", "db"));
    golden("allow-wrong", await bench.manx("allow", "web", "db", "99999/tcp"));
  });

  it("answers whether a selector matches", async () => {
    const match = (...words: string[]) => bench.manx("selector", ...words);
    assert.deepEqual(await match('role == "db"', "--labels", '{"role":"db"}'), { exit: 0, out: "match\n", err: "" });
    assert.deepEqual(await match("has(toString)", "--labels", "{}"), { exit: 1, out: "no match\n", err: "" });
    golden("selector-not", await match('role == "db', "--labels", "{}"));
    golden("selector-list", await match('role == "web"'));
    golden("selector-list-none", await match('role == "x"'));
    golden("selector-hyphen", await match('-o == "x"'));
    assert.equal((await match("--labels", '{"-o":"x"}', "--", '-o == "x"')).out, "match\n");
    for (const labels of ["", "[]", '"a"', '{"a":1}', "null"])
      assert.equal((await match("all()", "--labels", labels)).exit, 2, labels);
  });

  it("explains kinds and fields, without an agent", async () => {
    const alone = (...words: string[]) => bench.manxWith({ env: { MANX_SOCKET: "/nowhere" } }, ...words);
    golden("explain-kind", await alone("explain", "tier"));
    golden("explain-field", await alone("explain", "gnp.spec.ingress.action"));
    golden("explain-all", await alone("explain", "tier", "--recursive"));
    golden("explain-test", await alone("explain", "policytest.steps"));
    assert.match((await alone("explain", "policytest", "--json-schema")).out, /sourcePort/);
    assert.equal((await alone("explain")).exit, 0);
    assert.equal((await alone("explain", "nope")).exit, 2);
    assert.equal((await alone("explain", "tier.nope")).exit, 4);
    assert.ok(JSON.parse((await alone("explain", "--json-schema")).out));
  });

  it("says why, with an exit status for each answer", async () => {
    const view: WhyView = {
      verdict: "deny",
      paths: [
        {
          source: "web (10.65.0.2)",
          destination: "db (10.65.0.4)",
          flow: "tcp 5432",
          verdict: "deny",
          steps: [
            {
              place: "egress of web on h1",
              verdict: "allow",
              text: "no policy applies; the network apps allows everything out",
            },
            {
              place: "ingress of db on h1",
              verdict: "deny",
              tier: "default",
              policy: "db",
              text: "no rule matches, and a policy applies",
              nearest: 'ingress[0] allows TCP 5432 from role == "api"',
            },
          ],
          probe: "dropped",
        },
      ],
      remedy: "manx allow web db 5432/tcp",
    };
    agent.answer = view;
    golden("why-deny", await bench.manx("why", "web", "db", "5432", "--probe"));
    agent.answer = { ...view, verdict: "allow" };
    assert.equal((await bench.manx("why", "web", "db", "53/udp", "-6")).exit, 0);
    agent.answer = { ...view, verdict: "unknown" };
    assert.equal((await bench.manx("why", "web", "db", "icmp/8/0")).exit, 2);
    assert.deepEqual(JSON.parse((await bench.manx("why", "web", "db", "-o", "json")).out), {
      ...view,
      verdict: "unknown",
    });
    assert.deepEqual(agent.queries, [
      { from: "web", to: "db", protocol: "tcp", port: 5432, probe: true },
      { from: "web", to: "db", protocol: "udp", port: 53, family: 6 },
      { from: "web", to: "db", protocol: "icmp", icmpType: 8, icmpCode: 0 },
      { from: "web", to: "db", protocol: "tcp" },
    ]);
    agent.answer = undefined;
    assert.equal((await bench.manx("why", "nobody", "db", "80")).exit, 2);
    for (const port of ["99999", "x", "80/icmp", "icmp/999", "-1", "80/tcp/8"])
      assert.equal((await bench.manx("why", "a", "b", port)).exit, 2, port);
    assert.equal((await bench.manx("why", "a", "b", "1", "-4", "-6")).exit, 2);
  });
});
