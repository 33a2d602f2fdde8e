/**
 * From the store of a single host to etcd while containers run. Everything is copied while the agent works; then it is stopped, what
 * changed meanwhile is copied, both sides are compared key by key, and the agent's configuration is replaced in one step. Until then
 * the old store is the truth, whatever the new one has; a run that dies is simply repeated. Containers keep their traffic throughout.
 */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { EtcdConfig } from "../../agent/config-file.ts";
import { identityOf, openLocalState } from "../../agent/local-state.ts";
import { openSharedStore } from "../../agent/shared-store.ts";
import { parseObject } from "../../core/ipam/claim.ts";
import { DriverError } from "../../drivers/error.ts";
import { openSqliteStore } from "../../drivers/store/sqlite.ts";
import type { Entry, Op, Store } from "../../drivers/store/store.ts";
import { startAgent, stopAgent } from "../service.ts";
import { PROBE, STATE_FILE, switchStore } from "./switch.ts";

const ALL = "/manx/v1/";
/** Whose agents live. */
const HOSTS = "/manx/v1/hosts/";
/** Whose copy this is, while it is not known to be in use. */
const MARKER = "/manx/v1/migration";
const OPS = 100;
const BYTES = 1_000_000;

export interface MigrationOptions {
  readonly host: string;
  readonly access: EtcdConfig;
  readonly progress: (text: string) => void;
}

export interface Migration {
  readonly keys: number;
  readonly backup: string;
  /** What manx status says of the store afterwards. */
  readonly store: string;
}

export async function migrate({ host, access, progress }: MigrationOptions): Promise<Migration> {
  if (!existsSync(STATE_FILE))
    throw new DriverError("not-found", `Cannot migrate: there is no ${STATE_FILE}; this host has no store of its own`);
  const backup = await backUp();
  progress(`the old store is kept: ${backup}`);
  await using target = await openSharedStore(access);
  const marker = await claim(target, host);
  await using source = openSqliteStore({ path: STATE_FILE });
  await copy(source, target, marker, progress);
  await stopAgent();
  let keys: number;
  try {
    keys = await copy(source, target, marker, progress);
  } catch (error) {
    await startAgent().catch(() => {});
    throw error;
  }
  progress("the agent goes over");
  const store = await switchStore(access, { migrated: true });
  await finish(target);
  return { keys, backup, store };
}

/** Who has begun to copy a store of its own into this one, and did not come to an end. */
export async function unfinished(access: EtcdConfig): Promise<"ours" | { readonly host: string } | undefined> {
  await using target = await openSharedStore(access);
  const marker = await target.get(MARKER);
  if (marker === undefined) return undefined;
  if (isOurs(marker)) return "ours";
  const host = parseObject(marker.value)?.["host"];
  return { host: typeof host === "string" ? host : "?" };
}

/** For a run that died when the agent's configuration had been written already. */
export async function takeUp(access: EtcdConfig): Promise<string> {
  const store = await switchStore(access, { migrated: true });
  await using target = await openSharedStore(access);
  await finish(target);
  return store;
}

/** A host of the same name that was installed anew is another one: its store is not what was copied. */
function isOurs({ value }: Pick<Entry, "value">): boolean {
  return parseObject(value)?.["machine"] === machine();
}

function machine(): string {
  using state = openLocalState(STATE_FILE);
  return identityOf(state).machine;
}

/** A copy that is whole, whoever writes meanwhile (sqlite.org/lang_vacuum.html, VACUUM INTO). */
async function backUp(): Promise<string> {
  const path = join(dirname(STATE_FILE), "backup", `manx-${new Date().toISOString().replaceAll(":", "")}.db`);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const sql = new DatabaseSync(STATE_FILE, { timeout: 5000 });
  try {
    sql.prepare("VACUUM INTO ?").run(path);
  } finally {
    sql.close();
  }
  return path;
}

/**
 * Marks the target as ours to fill. A copy of ours that was not gone over to counts as begun, so that a run which died is repeated.
 * @returns the marker's revision. @throws DriverError `exists` where other hosts' data are there
 */
async function claim(target: Store, host: string): Promise<number> {
  const marker = await target.get(MARKER);
  const ours = marker !== undefined && isOurs(marker);
  const alive = (await target.list(HOSTS)).entries.filter((entry) => !isOurs(entry));
  const keys = (await target.list(ALL)).entries.filter(({ key }) => key !== MARKER && !key.startsWith(PROBE)).length;
  if (alive.length > 0 || (keys > 0 && !ours))
    throw new DriverError(
      "exists",
      `Cannot migrate: the store has ${keys} keys of Manx already, so it is the store of other hosts. To join them: manx token create there, manx join here`,
    );
  const value = JSON.stringify({ host, machine: machine() });
  const compares = [{ key: MARKER, modRevision: marker?.modRevision ?? 0 }];
  const { ok, revision } = await target.commit({ compares, ops: [{ kind: "put", key: MARKER, value }] });
  if (!ok) throw new DriverError("busy", "Cannot migrate: another host does so at this moment");
  return revision;
}

/** Makes the target equal to the source, touching only what differs; then compares. @returns how many keys there are */
async function copy(source: Store, target: Store, marker: number, progress: (text: string) => void): Promise<number> {
  const wanted = (await source.list(ALL)).entries;
  const have = new Map((await target.list(ALL)).entries.map((entry) => [entry.key, entry.value]));
  have.delete(MARKER);
  const ops: Op[] = wanted
    .filter(({ key, value }) => have.get(key) !== value)
    .map(({ key, value }) => ({ kind: "put", key, value }));
  const keep = new Set(wanted.map(({ key }) => key));
  for (const key of have.keys()) if (!keep.has(key)) ops.push({ kind: "delete", key });
  const batches = batched(ops);
  for (const [index, batch] of batches.entries()) {
    progress(`copying, ${index + 1} of ${batches.length}`);
    const { ok } = await target.commit({ compares: [{ key: MARKER, modRevision: marker }], ops: batch });
    if (!ok) throw new DriverError("busy", "Cannot migrate: somebody else writes to the new store");
  }
  if (ops.length > 0) await compare(wanted, target);
  return wanted.length;
}

function batched(ops: readonly Op[]): Op[][] {
  const out: Op[][] = [];
  let bytes = 0;
  for (const op of ops) {
    const size = op.key.length * 3 + (op.kind === "put" ? Buffer.byteLength(op.value) : 0);
    const last = out.at(-1);
    if (last === undefined || last.length === OPS || bytes + size > BYTES) {
      out.push([op]);
      bytes = size;
    } else {
      last.push(op);
      bytes += size;
    }
  }
  return out;
}

async function compare(wanted: readonly Entry[], target: Store): Promise<void> {
  const have = new Map((await target.list(ALL)).entries.map(({ key, value }) => [key, value]));
  have.delete(MARKER);
  const wrong = wanted.filter(({ key, value }) => have.get(key) !== value).map(({ key }) => key);
  if (wrong.length === 0 && have.size === wanted.length) return;
  throw new DriverError(
    "failed",
    `Cannot migrate: what was copied is not what is there (${wrong[0] ?? "keys too many"}). Nothing was switched; run it again`,
  );
}

/** The copy is in use: nothing may be copied over it any more. */
async function finish(target: Store): Promise<void> {
  const marker = await target.get(MARKER);
  if (marker !== undefined && isOurs(marker)) await target.commit({ ops: [{ kind: "delete", key: MARKER }] });
}
