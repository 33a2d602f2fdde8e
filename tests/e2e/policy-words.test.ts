/** Policy as labels of a compose project, one-line commands, and a change that undoes itself: with real containers. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { World } from "./world.ts";

const compose = (project: string, service: string): string[] => [
  "--label",
  `com.docker.compose.project=${project}`,
  "--label",
  `com.docker.compose.service=${service}`,
];

const CLOSED = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: closed }
spec: { selector: manx/container == "free", types: [Ingress] }
`;

/** Of the name that the labels of shop-db-1 give theirs. */
const WRITTEN = `
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata: { name: db, namespace: shop }
spec: { selector: manx/service == "cron", types: [Ingress] }
`;

describe("policy in few words", () => {
  let world: World;
  const manx = (...args: string[]): Promise<string> => world.host.mustExec(["manx", ...args]);
  const reaches = async (from: string, to: string): Promise<boolean[]> =>
    await Promise.all(
      ([4, 6] as const).map(async (family) => await world.fetches(from, await world.address(to, family))),
    );
  const open = [true, true];
  const closed = [false, false];

  before(async () => {
    world = await World.start("words", { engine: "installed" });
    await world.network("shop", "--ipv6");
    await world.network("blog", "--ipv6");
    await Promise.all([
      world.run("shop_web_1", "shop", ...compose("shop", "web")),
      world.run(
        "shop-db-1",
        "shop",
        ...compose("shop", "db"),
        "--label",
        "manx.allow-from=web",
        "--label",
        "manx.ports=80",
      ),
      world.run("shop-cron-1", "shop", ...compose("shop", "cron")),
      world.run("blog-web-1", "blog", ...compose("blog", "web")),
      world.run("free", "shop"),
    ]);
  });
  after(() => world?.[Symbol.asyncDispose]());

  it("labels become a policy of the project that manx get shows", async () => {
    assert.deepEqual(await reaches("shop_web_1", "shop-db-1"), open);
    assert.deepEqual(await reaches("shop-cron-1", "shop-db-1"), closed);
    assert.deepEqual(await reaches("blog-web-1", "shop-db-1"), closed);
    assert.match(await manx("get", "networkpolicy", "-n", "shop", "-o", "yaml"), /name: db\n/);
  });

  it("a policy that somebody writes under the name of one of labels is in force beside it", async () => {
    await writeFile(world.host.path("/tmp/written.yaml"), WRITTEN);
    assert.deepEqual(await reaches("free", "shop-cron-1"), open);
    await manx("apply", "-f", "/tmp/written.yaml");
    assert.deepEqual(await reaches("free", "shop-cron-1"), closed);
    assert.deepEqual(await reaches("shop-cron-1", "shop-db-1"), closed);
    assert.deepEqual(await reaches("shop_web_1", "shop-db-1"), open);
    await manx("delete", "-f", "/tmp/written.yaml");
    assert.deepEqual(await reaches("free", "shop-cron-1"), open);
    assert.deepEqual(await reaches("shop-cron-1", "shop-db-1"), closed);
  });

  it("labels of the host are shown, and stay what they are", async () => {
    await manx("label", "node", "h1", "rack=a");
    assert.equal(await manx("get", "node", "-l", 'rack == "a"', "-o", "name"), "h1\n");
    await manx("label", "node", "h1", "rack-");
    assert.equal(await manx("get", "node", "-l", "has(rack)", "-o", "name"), "");
  });

  it("presets hold across projects, may be said twice, and are taken back", async () => {
    assert.match(await manx("allow", "blog-web-1", "shop_web_1", "80/tcp"), /kind: GlobalNetworkPolicy/);
    await manx("allow", "blog-web-1", "shop_web_1", "80/tcp");
    assert.deepEqual(await reaches("blog-web-1", "shop_web_1"), open);
    await manx("deny", "blog-web-1", "shop_web_1", "80/tcp");
    assert.deepEqual(await reaches("blog-web-1", "shop_web_1"), closed);
    await manx("deny", "blog-web-1", "shop_web_1", "80/tcp", "--remove");
    await manx("allow", "blog-web-1", "shop_web_1", "80/tcp", "--remove");
    assert.deepEqual(await reaches("blog-web-1", "shop_web_1"), closed);
  });

  it("a change of a name is followed", async () => {
    await manx("isolate", "lonely");
    assert.deepEqual(await reaches("shop-cron-1", "free"), open);
    await world.host.docker("rename", "free", "lonely");
    await world.eventually(async () => assert.deepEqual(await reaches("shop-cron-1", "lonely"), closed));
    await world.host.docker("rename", "lonely", "free");
    await world.eventually(async () => assert.deepEqual(await reaches("shop-cron-1", "free"), open));
    await manx("isolate", "lonely", "--remove");
  });

  it("a change that is not confirmed undoes itself, though the agent was killed meanwhile; one that is confirmed stays", async () => {
    await writeFile(world.host.path("/tmp/closed.yaml"), CLOSED);
    await manx("apply", "-f", "/tmp/closed.yaml", "--confirm", "5s");
    assert.deepEqual(await reaches("shop-cron-1", "free"), closed);
    await world.host.stopAgent("SIGKILL");
    await world.host.startAgent();
    await world.eventually(async () => assert.deepEqual(await reaches("shop-cron-1", "free"), open), 15);
    await manx("apply", "-f", "/tmp/closed.yaml", "--confirm", "60s");
    await manx("confirm");
    assert.match(await manx("apply", "-f", "/tmp/closed.yaml"), /unchanged/);
    await manx("delete", "-f", "/tmp/closed.yaml");
    assert.deepEqual(await reaches("shop-cron-1", "free"), open);
  });
});
