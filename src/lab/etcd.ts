/** etcd for labs and tests: the installed one, or that of another Debian release out of its packages. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun } from "../drivers/exec.ts";
import { unpackPackages } from "./debian.ts";

const SUITES = { "3.4": "bookworm", "3.5": "trixie" } as const;
export type EtcdName = "installed" | keyof typeof SUITES;

export interface EtcdProgram {
  /** As `etcd --version` prints it: `3.4.23`. */
  readonly version: string;
  readonly etcd: string;
  readonly etcdctl: string;
}

/** Finds the program; downloads it once where it is not the installed one. */
export async function findEtcd(
  name: EtcdName,
  progress: (line: string) => void,
  cache = "/var/cache/manx/etcd",
): Promise<EtcdProgram> {
  const [etcd, etcdctl] = [findBinary("etcd"), findBinary("etcdctl")];
  const installed = etcd === undefined || etcdctl === undefined ? undefined : { etcd, etcdctl };
  if (installed !== undefined) {
    const version = await versionOf(installed.etcd);
    if (name === "installed" || version.startsWith(`${name}.`)) return { version, ...installed };
  }
  if (name === "installed")
    throw new DriverError(
      "not-found",
      "Cannot start etcd: it is not installed. apt-get install etcd-server etcd-client",
    );
  const folder = join(cache, name);
  const packages = ["etcd-server", "etcd-client"];
  if (!existsSync(folder))
    await unpackPackages({ what: `etcd ${name}`, suite: SUITES[name], packages, folder, progress });
  const found = { etcd: join(folder, "usr/bin/etcd"), etcdctl: join(folder, "usr/bin/etcdctl") };
  return { version: await versionOf(found.etcd), ...found };
}

async function versionOf(etcd: string): Promise<string> {
  return /etcd Version: (\S+)/.exec(await mustRun([etcd, "--version"]))?.[1] ?? "unknown";
}
