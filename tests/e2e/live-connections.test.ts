/** A change of policy acts on live connections at once, and on no others: real flows between real containers. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { resourceKey } from "../../src/agent/cluster-cache.ts";
import { parseResources } from "../../src/core/model/parse.ts";
import { Flow } from "./flow.ts";
import { World } from "./world.ts";

const only = (role: string): string => `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: { name: db }
spec:
  selector: role == "db"
  ingress: [{ action: Allow, source: { selector: 'role == "${role}"' } }]
`;

/** As another host's agent would: a change of the store that this host's agent does not see. */
const STORE = `
import { openSqliteStore } from ${JSON.stringify(join(import.meta.dirname, "../../src/drivers/store/sqlite.ts"))};
const [, key, value] = process.argv;
await using store = openSqliteStore({ path: "/var/lib/manx/manx.db" });
await store.commit({ compares: [], ops: [{ kind: "put", key, value }] }, AbortSignal.timeout(5000));
`;

describe("live connections", () => {
  let world: World;
  let flows: AsyncDisposableStack;
  const pidOf = async (name: string): Promise<number> => (await world.inspect(name)).pid;
  const flow = async (from: string, ...args: string[]): Promise<Flow> =>
    flows.use(await Flow.start(world.host, await pidOf(from), ...args));
  /** TCP and UDP over both families. */
  const all = async (from: string, to: string, network?: string, kinds = ["tcp", "udp"]): Promise<Flow[]> =>
    await Promise.all(
      ([4, 6] as const).flatMap((family) =>
        kinds.map(async (kind) => await flow(from, kind, await world.address(to, family, network))),
      ),
    );
  const apply = async (text: string): Promise<void> => {
    await writeFile(world.host.path("/tmp/policy.yaml"), text);
    await world.host.mustExec(["manx", "apply", "-f", "/tmp/policy.yaml"]);
  };
  const cut = async (some: readonly Flow[]): Promise<unknown> => await Promise.all(some.map((one) => one.expectCut()));
  const whole = async (some: readonly Flow[]): Promise<unknown> =>
    await Promise.all(some.map((one) => one.expectWhole()));

  before(async () => {
    world = await World.start("live", { engine: "installed" });
    await world.network("apps", "--ipv6");
    await world.network("other", "--ipv6");
    await Promise.all([
      world.run("web", "apps", "--label", "role=web"),
      world.run("cron", "apps", "--label", "role=cron"),
      world.run("db", "apps", "--label", "role=db"),
    ]);
  });
  after(() => world?.[Symbol.asyncDispose]());
  afterEach(async () => {
    await flows?.[Symbol.asyncDispose]();
    await world.host.exec(["manx", "delete", "-f", "/tmp/policy.yaml", "--ignore-missing"]);
  });
  const fresh = (): AsyncDisposableStack => (flows = new AsyncDisposableStack());

  it("end with the policy that forbids them; those it allows lose no packet", async () => {
    fresh();
    await flow("db", "echo");
    const [web, cron] = [await all("web", "db"), await all("cron", "db")];
    const host = flows.use(await Flow.start(world.host, undefined, "tcp", await world.address("db", 4)));
    await whole([...web, ...cron, host]);
    await apply(only("web"));
    await cut(cron);
    await whole([...web, host]);
    // A policy that goes and opens the way again does not wake what was cut; TCP goes on where it stopped or ends.
    await apply(only("cron"));
    await cut(web);
    await whole([host]);
  });

  it("end when the agent is killed between the change and the cut, as soon as it is back", async () => {
    fresh();
    await flow("db", "echo");
    const [web, cron] = [await all("web", "db"), await all("cron", "db")];
    await whole([...web, ...cron]);
    await world.host.stopAgent("SIGKILL");
    const [policy] = parseResources(only("web"), "policy.yaml").resources;
    assert.ok(policy);
    await world.host.mustExec([
      process.execPath,
      "--input-type=module",
      "-e",
      STORE,
      resourceKey(policy),
      JSON.stringify(policy),
    ]);
    await whole([...web, ...cron]);
    await world.host.startAgent();
    await cut(cron);
    await whole(web);
  });

  it("end with the network, and not those on another one", async () => {
    fresh();
    await world.host.docker("network", "connect", "other", "db");
    await world.run("far", "other");
    await flow("db", "echo");
    await world.eventually(() => world.expectReach("far", "db", true, "other"));
    // A datagram socket of a container with two networks answers by the first one's address.
    const [near, far] = [await all("web", "db", "apps"), await all("far", "db", "other", ["tcp"])];
    await whole([...near, ...far]);
    await world.host.docker("network", "disconnect", "other", "db");
    await cut(far);
    await whole(near);
    const left = await world.host.mustExec([
      "sh",
      "-c",
      `conntrack -L -s ${await world.address("far", 4)} 2>/dev/null`,
    ]);
    assert.equal(left.trim(), "");
    await world.host.docker("rm", "-f", "far");
  });
});
