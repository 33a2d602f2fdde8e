/**
 * An etcd on this host: from the distribution's package, with TLS from the first moment, as a service of its own beside the agent.
 * Its files: /etc/manx/etcd.yaml, /var/lib/manx/etcd, certificates in /var/lib/manx/pki.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import type { EtcdConfig } from "../../agent/config-file.ts";
import { openSharedStore } from "../../agent/shared-store.ts";
import { DriverError } from "../../drivers/error.ts";
import { findBinary, mustRun, run } from "../../drivers/exec.ts";
import { writeFileAtomic } from "../../drivers/system/files.ts";
import { kill, pidNamespace, processesIn, waitGone } from "../../drivers/system/processes.ts";
import { type Authority, PKI_FOLDER, writeCredentials } from "../pki/authority.ts";
import { installPackages } from "../plan.ts";
import { background, hasSystemd, LOG_FOLDER, SUPERVISE } from "../service.ts";

export const ETCD_CONFIG = "/etc/manx/etcd.yaml";
export const ETCD_DATA = "/var/lib/manx/etcd";
export const ETCD_UNIT = "/etc/systemd/system/manx-etcd.service";
const ETCD_LOG = join(LOG_FOLDER, "etcd.log");
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;

/** A change of thousands of resources is one transaction; etcd warns above this. */
const MAX_REQUEST_BYTES = 10 * 1024 * 1024;

type Progress = (text: string) => void;

export const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);
export const clientUrl = (address: string): string => `https://${bracketed(address)}:${CLIENT_PORT}`;
export const peerUrl = (address: string): string => `https://${bracketed(address)}:${PEER_PORT}`;

/** How this host's agent opens an etcd of our own CA. */
export function ownAccess(endpoints: readonly string[]): EtcdConfig {
  return {
    endpoints: [...endpoints],
    caFile: join(PKI_FOLDER, "ca.crt"),
    certFile: join(PKI_FOLDER, "agent.crt"),
    keyFile: join(PKI_FOLDER, "agent.key"),
  };
}

export async function ensureEtcdInstalled(progress: Progress): Promise<string> {
  if (findBinary("etcd") === undefined) {
    await installPackages(["etcd-server", "etcd-client"], progress);
    // The package starts one of its own, without TLS.
    await run(["systemctl", "disable", "--quiet", "--now", "etcd.service"]).catch(() => {});
  }
  const etcd = findBinary("etcd");
  if (etcd === undefined)
    throw new DriverError("not-found", "Cannot start etcd: the package etcd-server brought no etcd");
  return etcd;
}

/** Certificates for this member and for the agent of this host. May be repeated: it renews them. */
export async function issueCertificates(authority: Authority, host: string, address: string): Promise<void> {
  const names = [...new Set([host, hostname(), "localhost", address, "127.0.0.1", "::1"])];
  // A member is a client of its peers, and its gateway one of itself.
  await writeCredentials(PKI_FOLDER, "etcd", authority.issue(`etcd ${host}`, ["server", "client"], names));
  await writeCredentials(PKI_FOLDER, "agent", authority.issue(host, ["client"]));
}

export interface MemberPlan {
  readonly host: string;
  readonly address: string;
  /** `h1=https://10.0.0.1:2380,...` with this member. */
  readonly initialCluster: string;
  readonly state: "new" | "existing";
}

export function etcdConfig({ host, address, initialCluster, state }: MemberPlan): string {
  const security = {
    "cert-file": join(PKI_FOLDER, "etcd.crt"),
    "key-file": join(PKI_FOLDER, "etcd.key"),
    "trusted-ca-file": join(PKI_FOLDER, "ca.crt"),
    "client-cert-auth": true,
  };
  return `# Written by manx; etcd of host ${host}. Removed by manx uninstall.\n${stringify({
    name: host,
    "data-dir": ETCD_DATA,
    "listen-client-urls": `${clientUrl(address)},https://127.0.0.1:${CLIENT_PORT}`,
    "advertise-client-urls": clientUrl(address),
    "listen-peer-urls": peerUrl(address),
    "initial-advertise-peer-urls": peerUrl(address),
    "initial-cluster": initialCluster,
    "initial-cluster-state": state,
    "initial-cluster-token": "manx",
    "client-transport-security": security,
    "peer-transport-security": security,
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1h",
    "strict-reconfig-check": true,
    "max-request-bytes": MAX_REQUEST_BYTES,
    logger: "zap",
    "log-outputs": ["stderr"],
  })}`;
}

function unitText(etcd: string): string {
  return `# Written by manx up --etcd; removed by manx uninstall.
[Unit]
Description=etcd, the cluster store of Manx
After=network-online.target local-fs.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=${etcd} --config-file ${ETCD_CONFIG}
Restart=always
RestartSec=1
LimitNOFILE=65536
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
`;
}

/** A member of ours, or what keeps it running, among the processes of this host. */
function isOurs(argv: readonly string[]): boolean {
  return argv.includes(ETCD_CONFIG) && argv.includes("--config-file");
}

export function hasEtcd(): boolean {
  return existsSync(ETCD_CONFIG);
}

/** Writes the configuration and starts the member; it need not answer yet. */
export async function startEtcd(etcd: string, plan: MemberPlan): Promise<void> {
  await writeFileAtomic(ETCD_CONFIG, etcdConfig(plan), 0o600);
  await mustRun(["mkdir", "-p", "-m", "0700", ETCD_DATA]);
  if (hasSystemd()) {
    await writeFileAtomic(ETCD_UNIT, unitText(etcd));
    await mustRun(["systemctl", "daemon-reload"]);
    await mustRun(["systemctl", "enable", "--quiet", "manx-etcd.service"]);
    // Not waited for: a member of a cluster that has no quorum is never ready.
    await mustRun(["systemctl", "restart", "--no-block", "manx-etcd.service"]);
  } else {
    await stopEtcd();
    await supervised(etcd);
  }
}

/** Starts the member that this host has, if it was stopped; without systemd nothing else does, not even a boot. */
export async function resumeEtcd(etcd: string): Promise<void> {
  if (hasSystemd()) await mustRun(["systemctl", "start", "--no-block", "manx-etcd.service"]);
  else if (ourProcesses().length === 0) await supervised(etcd);
}

function supervised(etcd: string): Promise<void> {
  return background(["sh", SUPERVISE, ETCD_LOG, etcd, "--config-file", ETCD_CONFIG], ETCD_LOG);
}

function ourProcesses(): { readonly pid: number; readonly argv: readonly string[] }[] {
  return processesIn(pidNamespace("self")).filter(({ argv }) => isOurs(argv));
}

export async function stopEtcd(): Promise<void> {
  if (hasSystemd() && existsSync(ETCD_UNIT)) await mustRun(["systemctl", "stop", "manx-etcd.service"]);
  // The supervisor first, or it would start another.
  const all = ourProcesses();
  for (const supervisors of [true, false]) {
    const pids = all.filter(({ argv }) => argv.includes(SUPERVISE) === supervisors).map(({ pid }) => pid);
    for (const pid of pids) kill(pid, "SIGTERM");
    await waitGone(pids, 30_000);
  }
}

export async function removeEtcd(): Promise<void> {
  await stopEtcd();
  if (existsSync(ETCD_UNIT)) {
    await run(["systemctl", "disable", "--quiet", "manx-etcd.service"]);
    await rm(ETCD_UNIT, { force: true });
    await run(["systemctl", "daemon-reload"]);
  }
  await rm(ETCD_CONFIG, { force: true });
}

/** Waits until etcd answers with a quorum behind it. @returns its version */
export async function untilHealthy(access: EtcdConfig, progress: Progress, timeoutMs = 60_000): Promise<string> {
  await using store = await openSharedStore(access);
  for (const end = Date.now() + timeoutMs; ; await sleep(200)) {
    try {
      await store.get("/manx/v1/heartbeat");
      return await store.version();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      progress(why);
      const log = hasSystemd() ? "journalctl -u manx-etcd" : ETCD_LOG;
      if (Date.now() > end)
        throw new DriverError("timeout", `Cannot go on: etcd does not become ready. ${why}. Its log: ${log}`, error);
    }
  }
}
