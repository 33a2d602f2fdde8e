/** How the hosts of this cluster open its store, for one that joins. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { EtcdStore } from "../../drivers/store/etcd.ts";
import type { JoinAnswer } from "../../install/cluster/join-protocol.ts";
import { PKI_FOLDER } from "../../install/pki/authority.ts";
import type { EtcdConfig } from "../config-file.ts";
import { readSecret } from "../secret-file.ts";

/** Whether etcd's certificates are of the cluster's own CA, which `manx up --etcd` made. */
export function isOwn({ caFile }: EtcdConfig): boolean {
  return caFile === join(PKI_FOLDER, "ca.crt");
}

/** With an etcd of our own, its members as they are now; with another one, what this host was told of it. */
export async function storeAccess(
  config: EtcdConfig,
  store: EtcdStore,
  signal: AbortSignal,
): Promise<JoinAnswer["store"]> {
  if (isOwn(config)) {
    const members = await store.memberList(signal);
    return { endpoints: members.filter(({ learner }) => !learner).flatMap(({ clientUrls }) => clientUrls), own: true };
  }
  const { endpoints, caFile, certFile, keyFile, user, passwordFile } = config;
  const text = async (file: string | undefined): Promise<string | undefined> =>
    file === undefined ? undefined : readFile(file, "utf8");
  const all = {
    ca: await text(caFile),
    cert: await text(certFile),
    key: keyFile === undefined ? undefined : await readSecret(keyFile),
    user,
    password: passwordFile === undefined ? undefined : (await readSecret(passwordFile)).replace(/\r?\n$/, ""),
  };
  const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return { endpoints: endpoints.flatMap((endpoint) => endpoint.split(",")), own: false, ...given };
}
