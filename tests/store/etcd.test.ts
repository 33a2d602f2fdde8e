/** The store contract on real etcd, of both releases. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { etcdConfig } from "../../src/install/cluster/etcd-service.ts";
import { EtcdCluster } from "./etcd-cluster.ts";
import { storeContract } from "./store-contract.ts";

const PLAN = { host: "h1", address: "10.0.0.1", initialCluster: "", state: "new" } as const;
const large = { ops: [{ kind: "put", key: "/large", value: "x".repeat(3_000_000) }] } as const;

for (const version of ["3.4", "3.5"] as const) {
  void it(`etcd ${version}: a transaction that is too large for it is refused, and why; an etcd of Manx takes it`, async () => {
    await using strict = await EtcdCluster.start({ version });
    await using refusing = await strict.open();
    const commit = refusing.commit(large);
    await assert.rejects(commit, { name: "DriverError", code: "invalid", message: /--max-request-bytes/ });
    assert.equal(refusing.trouble(), undefined);
    const limit = /max-request-bytes: (\d+)/.exec(etcdConfig(PLAN))?.[1] ?? "";
    await using generous = await EtcdCluster.start({ version, args: ["--max-request-bytes", limit] });
    await using store = await generous.open();
    assert.equal((await store.commit(large)).ok, true);
  });

  describe(`etcd ${version}`, () => {
    const cluster = EtcdCluster.start({ version });
    cluster.catch(() => {}); // each test says it
    after(async () => (await cluster)[Symbol.asyncDispose]());

    storeContract(
      `etcd ${version}`,
      async () => {
        const etcd = await cluster;
        await etcd.ctl(["del", "", "--prefix"]);
        const store = await etcd.open({ pageSize: 4 });
        return {
          store,
          // etcd keeps the revision that it is told, ours goes with the rest.
          compact: async (revision) => void (await etcd.ctl(["compact", String(revision + 1)])),
          close: () => store[Symbol.asyncDispose](),
        };
      },
      { concurrency: 1 },
    );
  });
}
