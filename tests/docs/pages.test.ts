/** The pages of docs/ do what they say: their commands are typed in a lab, page by page, and must print what the page promises. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Result } from "../../src/drivers/exec.ts";
import type { Machine } from "../../src/lab/host.ts";
import { type Lab, up } from "../../src/lab/lab.ts";
import { broken, type Command, parsePage } from "./page.ts";

const DOCS = join(import.meta.dirname, "../../docs");

const ONE_HOST = [
  "getting-started.md",
  "first-policy.md",
  "compose.md",
  "sandbox.md",
  "ipv6.md",
  "moving.md",
  "troubleshooting.md",
  "operations.md",
];
const TWO_HOSTS = ["scenarios.md"];

/** Pages without a lab of this test, and why. */
const NOT_TYPED: Readonly<Record<string, string>> = {
  "addresses.md": "reference; its commands are in tests/cli and tests/e2e/addresses.test.ts",
  "bgp.md": "needs routers: tests/bgp",
  "cli.md": "made out of the commands: tests/cli/docs.test.ts",
  "resources.md": "made out of the schemas: tests/cli/docs.test.ts",
  "cluster.md": "the lab itself types it to make a cluster; failures: tests/cluster",
  "dashboard.md": "needs a browser: tests/web",
  "host-endpoints.md": "tests/policy/hosts.test.ts",
  "hosts.md": "tests/cluster/hosts.test.ts",
  "installation.md": "changes the machine: tests/install",
  "lab.md": "a lab runs on the machine, not in a lab: tests/lab",
  "lan.md": "tests/e2e/lan.test.ts",
  "metrics.md": "no commands for a lab",
  "names.md": "tests/cluster/names.test.ts",
  "observability.md": "tests/e2e/flows.test.ts, why-live.test.ts",
  "performance.md": "figures, made by bench/",
  "policy.md": "reference; typed in first-policy.md, tests/e2e/policy-words.test.ts",
  "policy-tests.md": "tests/cli/policy-test.test.ts",
  "services.md": "has a test of its own",
  "testing.md": "how these tests are run",
};

/** Commands that a lab cannot run, and why. Each must be on a page. */
const SKIPPED: readonly (readonly [RegExp, string])[] = [
  [/^\.\/quickstart/, "installs on the machine: tests/install"],
  [/^git /, "needs the project's remote"],
  [/^manx uninstall$/, "asks: tests/install"],
  [/^(sudo )?systemctl /, "a lab host has no systemd: tests/install/systemd.test.ts"],
];

/** Images that pages name, as stand-ins that listen on the same port: no registry is asked. */
const STAND_INS = [
  ["nginx", "80"],
  ["postgres", "5432"],
  ["redis", "6379"],
] as const;

/** Only looks: asked again for a while, because what happened a moment ago is told a moment later. */
const LOOKS = /^(manx (ls|why|flows|drops|status|get|pool ls|doctor)\b|docker (ps|exec))/;

const taken = new Set<RegExp>();

async function type(machine: Machine, folder: string, step: Command): Promise<void> {
  const told = (result: Result): string | undefined => broken(step, result.code, `${result.stdout}\n${result.stderr}`);
  // Debian 12 has compose as a program of its own, not as a part of docker.
  const text = step.text.replaceAll(/^docker compose /gm, "docker-compose ");
  const shell = `mkdir -p ${folder} && cd ${folder} || exit\n${text}`;
  for (let left = LOOKS.test(step.text) ? 10 : 0; ; left--) {
    const result = await machine.exec(["bash", "-c", shell], { timeoutMs: 60_000 });
    const why = told(result);
    if (why === undefined) return;
    if (left > 0) await sleep(500);
    else assert.fail(`line ${step.line}: ${step.text}\n${why}:\n${result.stdout}\n${result.stderr}`);
  }
}

async function tryPage(lab: Lab, page: string): Promise<void> {
  const folder = `/root/${page.replace(".md", "")}`;
  const steps = parsePage(readFileSync(join(DOCS, page), "utf8"));
  assert.ok(steps.length > 0, "no command was found");
  for (const step of steps) {
    if (step.kind === "file") {
      for (const host of lab.hosts)
        await host.mustExec([
          "sh",
          "-c",
          'mkdir -p "$1" && printf %s "$3" > "$1/$2"',
          "sh",
          folder,
          step.name,
          step.text,
        ]);
      continue;
    }
    const skipped = SKIPPED.find(([pattern]) => pattern.test(step.text));
    if (skipped !== undefined) taken.add(skipped[0]);
    else await type(lab.machine(step.machine), folder, step);
  }
}

const CLEAN = `set -e
docker ps -aq | xargs -r docker rm -f
docker network ls -q --filter driver=manx | xargs -r docker network rm
found=$(manx get snp,sgnp,np,gnp,netset,gns -o yaml)
case $found in *kind:*) echo "$found" | manx delete -f - ;; esac
manx get tier presets -o name >/dev/null 2>&1 && manx delete tier presets || true`;

async function prepare(lab: Lab): Promise<void> {
  for (const host of lab.hosts) {
    for (const [image, port] of STAND_INS) {
      const id = await host.docker("create", "busybox");
      await host.docker("commit", "-c", `CMD ["httpd","-f","-p","${port}","-h","/"]`, id, image);
      await host.docker("rm", id);
    }
    await host.docker("tag", "busybox", "alpine");
  }
}

function typedIn(name: string, pages: readonly string[], options: { hosts: number; store?: "etcd" }): void {
  describe(`pages for ${name}`, () => {
    let lab: Lab;
    before(async () => {
      lab = await up({ ...options, name: `docs${options.hosts}-${process.pid}` });
      await prepare(lab);
    });
    after(() => lab?.[Symbol.asyncDispose]());
    for (const page of pages)
      it(page, async () => {
        for (const host of lab.hosts) await host.mustExec(["bash", "-c", CLEAN], { timeoutMs: 60_000 });
        await tryPage(lab, page);
      });
  });
}

describe("docs/", () => {
  it("has no page of which nobody said how it is tried", () => {
    const known = new Set([...ONE_HOST, ...TWO_HOSTS, ...Object.keys(NOT_TYPED)]);
    const pages = readdirSync(DOCS).filter((name) => name.endsWith(".md"));
    assert.deepEqual(
      pages.filter((name) => !known.has(name)),
      [],
    );
  });
  typedIn("one host", ONE_HOST, { hosts: 1 });
  typedIn("two hosts", TWO_HOSTS, { hosts: 2, store: "etcd" });
  it("skips no command that is on no page", () => {
    assert.deepEqual(SKIPPED.filter(([pattern]) => !taken.has(pattern)).map(String), []);
  });
});
