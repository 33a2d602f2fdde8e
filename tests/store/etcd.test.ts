/** The store contract on real etcd, of both releases. */
import { after, describe } from "node:test";
import { EtcdCluster } from "./etcd-cluster.ts";
import { storeContract } from "./store-contract.ts";

for (const version of ["3.4", "3.5"] as const) {
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
