/** This host's Node: what people say of it (labels, AS number, ...) stays, what the host knows itself is kept up to date. */
import { release } from "node:os";
import { isDeepStrictEqual } from "node:util";
import type { Node } from "../../core/model/resources.ts";
import type { Store } from "../../drivers/store/store.ts";
import { resourceKey } from "../cluster-cache.ts";
import { VERSION } from "../version.ts";

/** Annotations of a Node; absent: not known. */
export interface NodeFacts {
  readonly "manx/version"?: string;
  readonly "manx/engine"?: string;
  readonly "manx/kernel"?: string;
  readonly "manx/machine"?: string;
}

/** What is known without a membership and before the engine answers. */
export function versionFacts(): NodeFacts {
  return { "manx/version": VERSION, "manx/kernel": release() };
}

/** `detected`: name and addresses as the host has them now. */
export function mergeNode(stored: Node | undefined, detected: Node, facts: NodeFacts, asNumber?: number): Node {
  const { ipv4Address: _4, ipv6Address: _6, ...bgp } = stored?.spec.bgp ?? {};
  const merged = { ...bgp, ...detected.spec.bgp, ...(asNumber === undefined ? {} : { asNumber }) };
  const { name } = detected.metadata;
  const annotations = { ...stored?.metadata.annotations, ...facts };
  return {
    ...detected,
    metadata: {
      ...stored?.metadata,
      name,
      labels: { ...stored?.metadata.labels, "kubernetes.io/hostname": name },
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    spec: { ...stored?.spec, ...detected.spec, ...(Object.keys(merged).length === 0 ? {} : { bgp: merged }) },
  };
}

const TRIES = 5;

/** Brings the stored Node up to date. Repeatable; writes only what differs. @throws DriverError */
export async function publishNode(store: Store, merge: (stored: Node | undefined) => Node, signal: AbortSignal) {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const key = resourceKey(merge(undefined));
    const found = await store.get(key, signal);
    const stored = found === undefined ? undefined : (JSON.parse(found.value) as Node);
    const wanted = stamped(merge(stored));
    if (stored !== undefined && isDeepStrictEqual(wanted, stored)) return;
    const ops = [{ kind: "put" as const, key, value: JSON.stringify(wanted) }];
    if ((await store.commit({ compares: [{ key, modRevision: found?.modRevision ?? 0 }], ops }, signal)).ok) return;
  }
}

/** With the metadata that every stored resource has. */
function stamped(node: Node): Node {
  const uid = node.metadata.uid ?? crypto.randomUUID();
  const creationTimestamp = node.metadata.creationTimestamp ?? new Date().toISOString();
  const plain = JSON.parse(JSON.stringify(node)) as Node;
  return { ...plain, metadata: { ...plain.metadata, uid, creationTimestamp } };
}
