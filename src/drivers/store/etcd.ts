/**
 * The door to the etcd driver. gRPC and protobuf cost some 25 MB of memory, so they are loaded only where a host uses etcd;
 * types cost nothing.
 *
 * etcd/members.ts picks a member, moves on when it fails, renews tokens; etcd/channel.ts is one connection; etcd/watch.ts and
 * etcd/etcd-store.ts say what is asked; etcd/wire is made from etcd/proto/etcd.proto (CONTRIBUTING.md).
 */
import type { EtcdStore, EtcdStoreOptions } from "./etcd/etcd-store.ts";

export type { Tls } from "./etcd/channel.ts";
export { parseEndpoints } from "./etcd/endpoint.ts";
export type { EtcdStore, EtcdStoreOptions } from "./etcd/etcd-store.ts";

/** Connects with the first call, not before. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<EtcdStore> {
  const { EtcdStore } = await import("./etcd/etcd-store.ts");
  return new EtcdStore(options);
}
