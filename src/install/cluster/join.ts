/** `manx join`: this host into the cluster whose token it was given, as a host or as a member of its etcd too. */

import { createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename } from "node:fs/promises";
import { join as path } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CONFIG_FILE, type EtcdConfig } from "../../agent/config-file.ts";
import { openSharedStore } from "../../agent/shared-store.ts";
import { DriverError } from "../../drivers/error.ts";
import type { EtcdStore } from "../../drivers/store/etcd.ts";
import { writeFileAtomic } from "../../drivers/system/files.ts";
import { Authority, PKI_FOLDER, writeCredentials } from "../pki/authority.ts";
import { newKeyPair } from "../pki/certificate.ts";
import {
  ETCD_DATA,
  ensureEtcdInstalled,
  issueCertificates,
  ownAccess,
  peerUrl,
  removeEtcd,
  startEtcd,
  stopEtcd,
} from "./etcd-service.ts";
import { parseJoinLine } from "./join-line.ts";
import type { JoinAnswer } from "./join-protocol.ts";
import { askToJoin } from "./pinned.ts";
import { currentStore, localUse, proveStore, switchStore } from "./switch.ts";
import { localEndpoint, type Steps, setNames, type UpReport } from "./up.ts";

const STORE_FOLDER = "/etc/manx/store";
const PROMOTE_MS = 120_000;

export interface JoinOptions {
  readonly line: string;
  readonly host: string;
  /** This host's addresses, best first. */
  readonly addresses: readonly string[];
  /** Become a member of etcd. */
  readonly etcd: boolean;
  /** Only a new certificate, for a host that has joined. */
  readonly renew: boolean;
  readonly version: string;
}

export async function join(options: JoinOptions, steps: Steps): Promise<UpReport> {
  const { host, addresses, etcd } = options;
  const line = parseJoinLine(options.line);
  const current = await currentStore();
  if (!options.renew) assertFree(current);
  const program = etcd ? await steps("Look for etcd, install it if need be", ensureEtcdInstalled) : undefined;
  const key = await ownKey();
  const answer = await steps("Ask to be let in", async () => {
    const publicKey = createPublicKey(createPrivateKey(key)).export({ type: "spki", format: "pem" });
    const request = {
      host,
      publicKey,
      addresses: [...addresses],
      now: new Date().toISOString(),
      version: options.version,
    };
    return (await askToJoin(line, request)).answer;
  });
  if (etcd && answer.authorityKey === undefined)
    throw new DriverError(
      "denied",
      "Cannot become a member of etcd: the token is for a host only. manx token create --etcd makes another; or join without --etcd, with this one",
    );
  let access = await steps("Write certificates", () => keep(answer, key, etcd));
  const { version } = await steps("See whether the store can be used", () => proveStore(access));
  if (options.renew && current !== undefined) access = current;
  if (program !== undefined) {
    await steps("Become a member of etcd", (progress) => become(program, options, access, progress));
    access = ownAccess([localEndpoint(), ...access.endpoints]);
  }
  const store = await steps("Write the configuration, start the agent anew", () =>
    switchStore(access, { migrated: options.renew }),
  );
  await setNames(steps);
  return { version, store };
}

function assertFree(current: EtcdConfig | undefined): void {
  if (current !== undefined)
    throw new DriverError(
      "exists",
      `Cannot join: this host is in a cluster already (${current.endpoints.join(", ")}; ${CONFIG_FILE})`,
    );
  const { addresses } = localUse();
  if (addresses > 0)
    throw new DriverError(
      "exists",
      `Cannot join: ${addresses} addresses of this host's own store are in use by containers here, and other hosts may have the same. Remove the containers that are on Manx networks first: manx ls shows them`,
    );
}

/** Made here and never sent. Kept, so that a join that broke off is taken up with the same token. */
async function ownKey(): Promise<string> {
  const file = path(PKI_FOLDER, "agent.key");
  if (existsSync(file)) return readFile(file, "utf8");
  const key = newKeyPair().privateKey.export({ type: "pkcs8", format: "pem" });
  await writeFileAtomic(file, key, 0o600);
  return key;
}

async function keep(
  { ca, certificate, store, authorityKey }: JoinAnswer,
  key: string,
  etcd: boolean,
): Promise<EtcdConfig> {
  await writeFileAtomic(path(PKI_FOLDER, "ca.crt"), ca);
  await writeCredentials(PKI_FOLDER, "agent", { certificate, key });
  if (etcd && authorityKey !== undefined)
    await writeCredentials(PKI_FOLDER, "ca", { certificate: ca, key: authorityKey });
  if (store.own) return ownAccess(store.endpoints);
  const file = async (name: string, content: string | undefined, mode: number): Promise<string | undefined> => {
    if (content === undefined) return undefined;
    await writeFileAtomic(path(STORE_FOLDER, name), content, mode);
    return path(STORE_FOLDER, name);
  };
  const files = {
    caFile: await file("ca.crt", store.ca, 0o644),
    certFile: await file("client.crt", store.cert, 0o644),
    keyFile: await file("client.key", store.key, 0o600),
    user: store.user,
    passwordFile: await file("password", store.password, 0o600),
  };
  const given = Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined));
  return { endpoints: store.endpoints, ...given };
}

/** First without a vote; with one as soon as it has caught up. What fails is taken back. */
async function become(
  program: string,
  { host, addresses }: JoinOptions,
  access: EtcdConfig,
  progress: (text: string) => void,
): Promise<void> {
  const [address = ""] = addresses;
  await issueCertificates(await Authority.open(), host, address);
  await stopEtcd();
  await using store = await openSharedStore(access);
  const left = (await store.memberList()).find(({ peerUrls }) => peerUrls.includes(peerUrl(address)));
  const member = left ?? (await addPatiently(store, address, progress));
  try {
    // What a former membership left would be taken for this one's.
    if (left === undefined && existsSync(ETCD_DATA)) await rename(ETCD_DATA, `${ETCD_DATA}.${Date.now()}`);
    const others = (await store.memberList()).filter(({ id }) => id !== member.id);
    const initial = [...others.map(({ name, peerUrls }) => `${name}=${peerUrls[0]}`), `${host}=${peerUrl(address)}`];
    await startEtcd(program, { host, address, initialCluster: initial.join(","), state: "existing" });
    await promote(store, member.id, progress);
  } catch (error) {
    await removeEtcd().catch(() => {});
    await store.memberRemove(member.id).catch(() => {});
    throw error;
  }
}

/** etcd takes one new member at a time, and wants to have seen the others well for a while. */
async function addPatiently(store: EtcdStore, address: string, progress: (text: string) => void) {
  const wait = /unhealthy|too many learner|not enough started/;
  return patiently(
    () => store.memberAdd(peerUrl(address)),
    wait,
    () => progress("etcd's members get to know the last new one"),
  );
}

async function promote(store: EtcdStore, id: string, progress: (text: string) => void): Promise<void> {
  const wait = /in sync|unhealthy|cannot be reached|not a learner/;
  const waiting = (): void => progress("it gets its copy of the data");
  await patiently(() => store.memberPromote(id), wait, waiting).catch(async (error: unknown) => {
    // An answer that got lost: it may have been promoted.
    const member = (await store.memberList()).find((one) => one.id === id);
    if (member === undefined || member.learner) throw error;
  });
}

/** Tries again for a while as long as etcd's reason is one of `wait`. */
async function patiently<T>(work: () => Promise<T>, wait: RegExp, waiting: () => void): Promise<T> {
  for (const end = Date.now() + PROMOTE_MS; ; await sleep(500)) {
    try {
      return await work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!wait.test(why) || Date.now() > end) throw error;
      waiting();
    }
  }
}
