/** `manx up`: this host onto a store for several hosts, one that is there or one that is started here. */
import type { EtcdConfig } from "../../agent/config-file.ts";
import { DriverError } from "../../drivers/error.ts";
import { askUsForNames } from "../docker-dns.ts";
import { Authority } from "../pki/authority.ts";
import {
  clientUrl,
  ensureEtcdInstalled,
  hasEtcd,
  issueCertificates,
  ownAccess,
  peerUrl,
  resumeEtcd,
  startEtcd,
  untilHealthy,
} from "./etcd-service.ts";
import { migrate, takeUp, unfinished } from "./migrate.ts";
import { currentStore, localUse, proveStore, switchStore } from "./switch.ts";

export { parseEndpoints } from "../../drivers/store/etcd.ts";

type Progress = (text: string) => void;

/** Runs a step and shows it. */
export type Steps = <T>(title: string, work: (progress: Progress) => Promise<T>) => Promise<T>;

export interface UpReport {
  readonly version: string;
  /** What manx status says of the store. */
  readonly store: string;
  /** How much of this host's own store went over, and where the old one is kept. */
  readonly migrated?: { readonly keys: number; readonly backup: string };
}

export async function upOnStore(access: EtcdConfig, host: string, steps: Steps): Promise<UpReport> {
  const { version, resources } = await steps("See whether the store can be used", () => proveStore(access));
  const current = await currentStore();
  const { addresses } = localUse();
  const begun = await unfinished(access);
  if (current === undefined && (resources === 0 || begun === "ours")) {
    const { keys, backup, store } = await steps("Copy this host's store, and go over", (progress) =>
      migrate({ host, access, progress }),
    );
    await setNames(steps);
    return { version, store, migrated: { keys, backup } };
  }
  if (begun !== undefined && begun !== "ours")
    throw new DriverError(
      "busy",
      `Cannot go over: host "${begun.host}" copies its store into this one. If that has broken off, run it again there`,
    );
  if (current === undefined && addresses > 0)
    throw new DriverError(
      "exists",
      `Cannot go over: ${addresses} addresses of this host's own store are in use by containers here, and other hosts of the new store may have the same. Remove the containers that are on Manx networks (manx ls), then run it again`,
    );
  const store = await steps("Write the configuration, start the agent anew", () =>
    begun === "ours" ? takeUp(access) : switchStore(access, { migrated: current !== undefined }),
  );
  await setNames(steps);
  return { version, store };
}

/** Says what it did. A host that cannot have it works otherwise. */
export async function setNames(steps: Steps): Promise<void> {
  await steps("Have Docker ask Manx for the names of containers on other hosts", async (progress) => {
    progress(await askUsForNames().catch((error: unknown) => (error instanceof Error ? error.message : String(error))));
  });
}

/** May be repeated: then it renews the certificates, and starts an etcd that was stopped. */
export async function upWithEtcd(host: string, address: string, steps: Steps): Promise<UpReport> {
  const current = await currentStore();
  if (current !== undefined && !hasEtcd())
    throw new DriverError(
      "exists",
      `Cannot start an etcd here: this host is on ${current.endpoints.join(", ")}. A host becomes a member when it joins: manx join LINE --etcd`,
    );
  const etcd = await steps("Look for etcd, install it if need be", (progress) => ensureEtcdInstalled(progress));
  await steps("Make the cluster's CA and certificates", async () =>
    issueCertificates(await Authority.ensure(), host, address),
  );
  const access = current ?? ownAccess([localEndpoint(), clientUrl(address)]);
  await steps("Start etcd with TLS", () =>
    hasEtcd()
      ? resumeEtcd(etcd)
      : startEtcd(etcd, { host, address, initialCluster: `${host}=${peerUrl(address)}`, state: "new" }),
  );
  await steps("Wait until etcd is ready", (progress) => untilHealthy(access, progress));
  return upOnStore(access, host, steps);
}

/** The member on this host comes first: see drivers/store/etcd/members.ts. */
export function localEndpoint(): string {
  return clientUrl("127.0.0.1");
}
