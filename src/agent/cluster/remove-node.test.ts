/** A host that is gone is forgotten whole; one that lives, answers, or has lent an address loses nothing that somebody needs. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { endpointKey } from "../../core/calc/published.ts";
import { affinityKey, BLOCKS, blockKey, publishedKey } from "../../core/ipam/claim.ts";
import { loanKey, parseLoan } from "../../core/ipam/loan.ts";
import { address } from "../../core/net/address.ts";
import { cidr } from "../../core/net/cidr.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { RESOURCES } from "../cluster-cache.ts";
import { readIpam } from "./ipam-facts.ts";
import { checkCluster, explainAddress, ipamView } from "./ipam-view.ts";
import { HOSTS } from "./presence.ts";
import { removeNode } from "./remove-node.ts";

const BLOCK = cidr("10.65.0.64/26");
const NODE = "/manx/v1/resources/Node/-/h3";
const { signal } = new AbortController();
const options = (store: MemoryStore, force = false, addresses: string[] = []) => ({
  store,
  host: "h1",
  addresses,
  force,
});

async function put(store: MemoryStore, values: Readonly<Record<string, unknown>>): Promise<void> {
  const ops = Object.entries(values).map(([key, value]) => ({
    kind: "put" as const,
    key,
    value: JSON.stringify(value),
  }));
  await store.commit({ ops });
}

async function cluster(): Promise<MemoryStore> {
  const store = new MemoryStore();
  await put(store, {
    [NODE]: { kind: "Node", metadata: { name: "h3" }, spec: {} },
    ...Object.fromEntries(
      [
        { kind: "HostEndpoint", metadata: { name: "edge" }, spec: { node: "h3" } },
        { kind: "HostEndpoint", metadata: { name: "other" }, spec: { node: "h33" } },
        { kind: "BGPPeer", metadata: { name: "tor" }, spec: { node: "h3" } },
        { kind: "BGPPeer", metadata: { name: "everybodys" }, spec: {} },
        { kind: "BGPConfiguration", metadata: { name: "node.h3" }, spec: {} },
        { kind: "BGPConfiguration", metadata: { name: "default" }, spec: {} },
        { kind: "FelixConfiguration", metadata: { name: "node.h3" }, spec: {} },
      ].map((one) => [`${RESOURCES}${one.kind}/-/${one.metadata.name}`, one]),
    ),
    [endpointKey("h3", "1")]: { network: "apps", container: "web", addresses: ["10.65.0.65"] },
    [blockKey(BLOCK)]: { pool: "p", host: "h3" },
    [affinityKey("h3", BLOCK)]: { pool: "p", state: "confirmed" },
    [publishedKey("h3", BLOCK)]: { pool: "p", allocations: { "10.65.0.65": "grant" } },
    [blockKey(cidr("10.65.0.0/26"))]: { pool: "p", host: "h1" },
    [affinityKey("h1", cidr("10.65.0.0/26"))]: { pool: "p", state: "confirmed" },
    [loanKey(address("10.65.0.7"))]: { owner: "h1", borrower: "h3", pool: "p", state: "granted" },
    [loanKey(address("10.65.0.8"))]: { owner: "h1", borrower: "h3", pool: "p", state: "asked" },
  });
  return store;
}

describe("manx node rm", () => {
  it("forgets endpoints, Node and blocks, and gives back what was borrowed", async () => {
    await using store = await cluster();
    const removed = await removeNode("h3", options(store), signal);
    assert.deepEqual(removed, {
      name: "h3",
      endpoints: 1,
      released: ["10.65.0.64/26"],
      kept: [],
      resources: ["HostEndpoint edge", "BGPPeer tor", "BGPConfiguration node.h3", "FelixConfiguration node.h3"],
    });
    assert.deepEqual(
      (await store.list(RESOURCES)).entries.map(({ key }) => key.slice(RESOURCES.length)),
      ["BGPConfiguration/-/default", "BGPPeer/-/everybodys", "HostEndpoint/-/other"],
    );
    const left = (await store.list("/manx/v1/")).entries;
    assert.deepEqual(
      left.filter(({ key }) => key.includes("h3")),
      [],
    );
    assert.deepEqual((await store.list(BLOCKS)).entries.length, 1);
    const [loan, ...others] = (await store.list("/manx/v1/ipam/loans/")).entries.map(({ key, value }) =>
      parseLoan(key, value),
    );
    assert.deepEqual([loan?.state, others], ["returned", []]);
    await assert.rejects(removeNode("h3", options(store), signal), { code: "not-found" });
  });
  it("keeps a block out of which somebody has an address", async () => {
    await using store = await cluster();
    await put(store, {
      [loanKey(address("10.65.0.70"))]: { owner: "h3", borrower: "h2", pool: "p", state: "granted" },
    });
    const { released, kept } = await removeNode("h3", options(store), signal);
    assert.deepEqual(released, []);
    assert.match(kept[0]?.why ?? "", /host "h2" has 10\.65\.0\.70/);
    assert.ok((await store.get(blockKey(BLOCK))) !== undefined);
  });
  it("refuses itself, a host whose agent lives (forced or not), and one that answers unless forced", async () => {
    await using store = await cluster();
    const refused = { code: "refused" };
    await assert.rejects(removeNode("h1", options(store, true), signal), refused);
    await put(store, { [`${HOSTS}h3`]: { machine: "m", boot: "b" } });
    await assert.rejects(removeNode("h3", options(store, true), signal), refused);
    await store.commit({ ops: [{ kind: "delete", key: `${HOSTS}h3` }] });
    const server = createServer().listen(0, "127.0.0.1"); // the loopback refuses port 179: somebody is there
    await assert.rejects(removeNode("h3", options(store, false, ["127.0.0.1"]), signal), /127\.0\.0\.1 answers/);
    server.close();
    await removeNode("h3", options(store, true, ["127.0.0.1"]), signal);
  });
  it("stops where the host comes back in the middle of it", async () => {
    await using store = await cluster();
    const commit = store.commit.bind(store);
    let commits = 0;
    store.commit = async (txn, more) => {
      if (commits++ === 1) await put(store, { [`${HOSTS}h3`]: { machine: "m", boot: "b" } });
      return commit(txn, more);
    };
    await assert.rejects(removeNode("h3", options(store), signal), { code: "conflict" });
    assert.ok((await store.get(blockKey(BLOCK))) !== undefined);
    assert.ok((await store.get(NODE)) !== undefined);
  });
});

describe("addresses of the whole cluster", () => {
  const pool = {
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name: "p" },
    spec: {
      cidr: "10.65.0.0/16",
      blockSize: 26,
      nodeSelector: "all()",
      allowedUses: ["Workload"],
      assignmentMode: "Automatic",
    },
  } as const;
  const endpoint = (host: string, container: string, held: string) => ({
    id: container,
    host,
    namespace: "default",
    container,
    network: "apps",
    addresses: [held],
    labels: new Map<string, string>(),
    profiles: ["apps"],
    ports: [],
    published: [],
  });
  const sources = async (store: MemoryStore, endpoints: ReturnType<typeof endpoint>[], hosts = ["h1", "h2", "h3"]) => ({
    pools: [pool],
    reservations: [],
    ipam: await readIpam(store, signal),
    endpoints,
    hosts: new Set(hosts),
    isAlive: (host: string) => host !== "h3",
  });
  it("are shown by pool and block", async () => {
    await using store = await cluster();
    const { pools, loans } = ipamView(await sources(store, []));
    assert.deepEqual(
      pools[0]?.blocks.map(({ cidr, host, allocated }) => `${cidr} ${host} ${allocated}`),
      ["10.65.0.0/26 h1 0", "10.65.0.64/26 h3 1"],
    );
    assert.equal(loans.length, 2);
  });
  it("that two containers have, or that nobody lent, are found; well ones are not", async () => {
    await using store = await cluster();
    const kinds = async (...endpoints: ReturnType<typeof endpoint>[]) =>
      checkCluster(await sources(store, endpoints)).map(({ kind, subject }) => `${kind} ${subject}`);
    assert.deepEqual(await kinds(endpoint("h1", "a", "10.65.0.2"), endpoint("h3", "b", "10.65.0.7")), []);
    assert.deepEqual(await kinds(endpoint("h1", "a", "10.65.0.2"), endpoint("h2", "b", "10.65.0.2")), [
      "address-twice 10.65.0.2",
      "address-not-lent 10.65.0.2",
    ]);
    assert.deepEqual(
      checkCluster(await sources(store, [], ["h1", "h2"])).map(({ kind }) => kind),
      ["block-of-unknown-host"],
    );
  });
  it("are explained", async () => {
    await using store = await cluster();
    const states = async (...asked: string[]) => {
      const all = await sources(store, [endpoint("h3", "web", "10.65.0.65")]);
      return asked.map((text) => explainAddress(address(text), all)).map(({ state, owner }) => `${state} ${owner}`);
    };
    assert.deepEqual(await states("10.65.0.65", "10.65.0.7", "10.65.0.9", "10.65.9.9", "192.0.2.1", "127.0.0.1"), [
      "in-use h3",
      "kept h1",
      "free h1",
      "unowned undefined",
      "outside undefined",
      "outside undefined",
    ]);
  });
});
