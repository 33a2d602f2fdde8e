/**
 * A process that is to be killed: writes to a local state and a store in one file as fast as it can, and says on stdout what
 * it was told is done. `node writer.ts FILE` prints `store KEY VALUE`, `give ADDRESS` and `endpoint ID` after each, and `leaving ADDRESS`
 * before both are taken away.
 */
import { writeSync } from "node:fs";
import { resourceKey } from "../../src/agent/cluster-cache.ts";
import { openAddresses } from "../../src/agent/ipam/local-addresses.ts";
import { openLocalState } from "../../src/agent/local-state.ts";
import { makePool } from "../../src/core/ipam/pools.ts";
import { cidr } from "../../src/core/net/cidr.ts";
import { openSqliteStore } from "../../src/drivers/store/sqlite.ts";
import { endpointRecord, networkRecord } from "./records.ts";

const path = process.argv[2] as string;
const say = (line: string): void => void writeSync(1, `${line}\n`);
const pool = makePool("v4", cidr("10.65.0.0/16"));
const state = openLocalState(path);
const store = openSqliteStore({ path });
const addresses = openAddresses({
  state,
  store,
  host: "h1",
  pools: () => [pool],
  reservations: () => [],
  selects: () => true,
  routes: () => [],
});

const poolKey = resourceKey(pool);
await store.commit({
  compares: [{ key: poolKey, modRevision: 0 }],
  ops: [{ kind: "put", key: poolKey, value: JSON.stringify(pool) }],
});
await addresses.recover();
const [known] = state.ipam.grants.all.keys();
const poolId = known ?? (await addresses.requestPool({ family: 4 })).poolId;
state.change(() => {
  addresses.bind("n1", [{ family: 4, pool: "0.0.0.0/0" }]);
  state.putNetwork(networkRecord("n1"));
});
say("ready");

for (let i = 0; ; i++) {
  const a = (await addresses.request({ poolId })).replace("/32", "");
  say(`give ${a}`);
  state.putEndpoint({ ...endpointRecord(`e-${a}`, "n1"), addresses: [a] });
  say(`endpoint e-${a}`);
  await store.commit({ ops: [{ kind: "put", key: `/t/${i % 50}`, value: `${process.pid}-${i}` }] });
  say(`store /t/${i % 50} ${process.pid}-${i}`);
  if (i % 3 !== 0) continue;
  say(`leaving ${a}`); // said before: from here on it may be there or not
  state.removeEndpoint(`e-${a}`);
  addresses.release(poolId, a);
}
