/** Fills a store with simulated hosts: `scale-seed.ts STORE HOSTS ENDPOINTS POLICIES`, or changes one endpoint: `STORE change I`. */
import { endpointKey, publishEndpoint } from "../src/core/calc/published.ts";
import type { Endpoint } from "../src/core/calc/snapshot.ts";
import { openEtcdStore, parseEndpoints } from "../src/drivers/store/etcd.ts";
import type { Op } from "../src/drivers/store/store.ts";
import { policy, remoteEndpoint } from "./policy-world.ts";

const [address = "", ...words] = process.argv.slice(2);
await using store = await openEtcdStore({ endpoints: parseEndpoints(address, false), tls: {} });

function resource(kind: string, name: string, apiVersion: string, spec: unknown): Op {
  const value = JSON.stringify({ apiVersion, kind, metadata: { name }, spec });
  return { kind: "put", key: `/manx/v1/resources/${kind}/-/${name}`, value };
}

function endpoint(index: number, hosts: number, more: Partial<Endpoint> = {}): Op {
  const one = { ...remoteEndpoint(index), host: `sim-${index % hosts}`, ...more };
  return { kind: "put", key: endpointKey(one.host, one.id), value: publishEndpoint(one) };
}

async function write(ops: readonly Op[]): Promise<void> {
  for (let at = 0; at < ops.length; at += 100) await store.commit({ ops: ops.slice(at, at + 100) });
}

if (words[0] === "change") {
  // A line on standard input: change the next endpoint. The answer is the moment before.
  let index = Number(words[1]);
  const hosts = Number(words[2]);
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    if (chunk.length === 0) continue;
    const addresses = [`10.200.${(index >> 8) & 255}.${index & 255}`];
    process.stdout.write(`${performance.timeOrigin + performance.now()} ${addresses[0]}\n`);
    await store.commit({ ops: [endpoint(index++, hosts, { addresses })] });
  }
} else {
  const [hosts = 1, endpoints = 1, policies = 1] = words.map(Number);
  const node = (i: number): Op => {
    const ipv4Address = `10.98.${i >> 8}.${i & 255}/16`;
    const spec = { addresses: [{ address: ipv4Address.replace("/16", "") }], bgp: { ipv4Address } };
    return resource("Node", `sim-${i}`, "projectcalico.org/v3", spec);
  };
  await write([
    resource("BGPConfiguration", "default", "projectcalico.org/v3", { nodeToNodeMeshEnabled: false }),
    ...Array.from({ length: hosts }, (_, i) => node(i)),
    ...Array.from({ length: policies }, (_, i) => {
      const { metadata, spec } = policy(i, 10, 100);
      return resource("GlobalNetworkPolicy", metadata.name, "projectcalico.org/v3", spec);
    }),
    ...Array.from({ length: endpoints }, (_, i) => endpoint(i, hosts)),
  ]);
}
