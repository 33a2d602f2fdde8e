/** From one store to another: the configuration is written, the agent started anew, and what it then says is believed, not hoped. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterCopy } from "../../agent/cluster-copy.ts";
import { CONFIG_FILE, type EtcdConfig, readConfig, writeConfig } from "../../agent/config-file.ts";
import { openLocalState } from "../../agent/local-state.ts";
import { openSharedStore } from "../../agent/shared-store.ts";
import { createClient } from "../../api/client.ts";
import { DriverError } from "../../drivers/error.ts";
import { API_SOCKET, answers, startAgent, stopAgent } from "../service.ts";

export const STATE_FILE = "/var/lib/manx/manx.db";
/** What a proof that died leaves; it says nothing of whose store it is. */
export const PROBE = "/manx/v1/probe/";

/** Connects and writes: whether this host may do with the store what an agent does. Changes nothing. @returns version and what is there */
export async function proveStore(
  access: EtcdConfig,
): Promise<{ readonly version: string; readonly resources: number }> {
  await using store = await openSharedStore(access);
  const { entries } = await store.list("/manx/v1/resources/");
  const key = `${PROBE}${process.pid}-${Date.now()}`;
  await store.commit({ compares: [{ key, modRevision: 0 }], ops: [{ kind: "put", key, value: "" }] });
  await store.commit({ ops: [{ kind: "delete", key }] });
  return { version: await store.version().catch(() => "of unknown version"), resources: entries.length };
}

/** The shared store that the configuration names. */
export async function currentStore(): Promise<EtcdConfig | undefined> {
  return (await readConfig(CONFIG_FILE)).store?.etcd;
}

export interface LocalUse {
  /** Addresses that containers of this host have. */
  readonly addresses: number;
  readonly networks: number;
}

export function localUse(file = STATE_FILE): LocalUse {
  if (!existsSync(file)) return { addresses: 0, networks: 0 };
  using state = openLocalState(file);
  return { addresses: state.ipam.allocations.all.size, networks: state.networks.size };
}

/** What this host claimed in its former store, where nothing of it is in use, and what it copied of another one. The agent must not run. */
function forgetFormer(keepBlocks: boolean): void {
  if (!existsSync(STATE_FILE)) return;
  {
    using copy = new ClusterCopy(STATE_FILE);
    copy.clear();
  }
  if (keepBlocks) return;
  using state = openLocalState(STATE_FILE);
  state.change(() => {
    for (const id of Array.from(state.ipam.blocks.all.keys())) state.ipam.blocks.delete(id);
    for (const id of Array.from(state.ipam.holds.all.keys())) state.ipam.holds.delete(id);
  });
}

export interface SwitchOptions {
  /** The addresses in use are in the new store as well. */
  readonly migrated: boolean;
  readonly configFile?: string;
}

/** The agent on the new store, or as it was before. @returns what manx status says of the store. @throws DriverError */
export async function switchStore(
  access: EtcdConfig,
  { migrated, configFile = CONFIG_FILE }: SwitchOptions,
): Promise<string> {
  const before = await readConfig(configFile);
  await stopAgent();
  try {
    forgetFormer(migrated);
    await writeConfig(configFile, { ...before, store: { etcd: access } });
    await startAgent();
    return await agentSays();
  } catch (error) {
    await stopAgent().catch(() => {});
    await writeConfig(configFile, before);
    await startAgent().catch(() => {});
    const why = error instanceof Error ? error.message : String(error);
    throw new DriverError("failed", `Cannot go over to the store: ${why}. The agent runs as before`, error);
  }
}

/** A run that died has left an agent that is stopped, or that just starts. */
export async function startIfStopped(): Promise<void> {
  if (existsSync(STATE_FILE) && !(await answers(API_SOCKET))) await startAgent();
}

async function agentSays(): Promise<string> {
  const client = createClient();
  for (let left = 50; ; left--) {
    const { components } = await client.status();
    const store = components.find(({ name }) => name === "store");
    if (store?.state === "ok" && store.summary.startsWith("etcd")) return store.summary;
    if (left === 0)
      throw new DriverError("failed", `the agent says of its store: ${store?.summary ?? ""} ${store?.why ?? ""}`);
    await sleep(200);
  }
}
