/**
 * What the doctor can find out about this host without an agent: then a doctor is needed most. What only the agent knows is left
 * out, and reads as unknown.
 */
import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { hostname, release } from "node:os";
import { CONFIG_FILE, readConfig } from "../agent/config-file.ts";
import type { HostFacts } from "../api/doctor/facts.ts";
import { EngineClient } from "../drivers/docker/engine.ts";
import { ignoredSubnets } from "../drivers/docker/subnets.ts";
import { findBinary } from "../drivers/exec.ts";
import { Forward } from "../drivers/iptables/forward.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import { readSysctl } from "../drivers/system/sysctls.ts";
import { answers, DOCKER_SOCKET, hasSystemd, PLUGIN_SOCKET, UNIT_FILE } from "./service.ts";
import { surroundings } from "./surroundings.ts";

const STATE_FOLDER = "/var/lib/manx";
const ENABLED = "/etc/systemd/system/multi-user.target.wants/manx.service";

/** `why`: what became of asking the agent. Never throws: what fails is told in `errors`. */
export async function localFacts(why: string): Promise<HostFacts> {
  const errors: string[] = [];
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      errors.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const forward = await attempt("the FORWARD chains", () => new Forward().look());
  const around = await attempt("the surroundings", () => surroundings());
  const space = await statfs(STATE_FOLDER).catch(() => undefined);
  const [nft, bird] = [findBinary("nft"), findBinary("bird")];
  return {
    host: hostname(),
    agent: { running: false, why, ...(await badSettings()) },
    kernel: {
      release: release(),
      ...(process.getuid?.() === 0 && { nfTables: await hasNfTables() }),
      conntrack: readSysctl("net/netfilter/nf_conntrack_max") !== undefined,
    },
    sysctls: [],
    engine: await engine(),
    pluginSocket: { path: PLUGIN_SOCKET, listening: await answers(PLUGIN_SOCKET) },
    ...(forward !== undefined && {
      forward: forward.map(({ family, policy, accepted }) => ({ family, policy, accepted })),
    }),
    firewalls: [
      { name: "ufw", active: (await readFile("/etc/ufw/ufw.conf", "utf8").catch(() => "")).includes("\nENABLED=yes") },
      { name: "firewalld", active: existsSync("/run/firewalld.pid") },
    ],
    tools: { ...(nft !== undefined && { nft }), ...(bird !== undefined && { bird }) },
    ...around,
    unit: { systemd: hasSystemd(), installed: existsSync(UNIT_FILE), enabled: existsSync(ENABLED) },
    ...(space !== undefined && { freeBytes: space.bavail * space.bsize }),
    errors,
  };
}

async function badSettings(): Promise<{ badSettings?: string }> {
  try {
    await readConfig(CONFIG_FILE);
    return {};
  } catch (error) {
    return { badSettings: (error instanceof Error ? error.message : String(error)).replaceAll(/\s*\n\s*/g, " ") };
  }
}

async function hasNfTables(): Promise<boolean> {
  try {
    using tables = Nftables.open();
    await tables.list();
    return true;
  } catch {
    return false;
  }
}

async function engine(): Promise<HostFacts["engine"]> {
  if (!existsSync(DOCKER_SOCKET) && findBinary("dockerd") === undefined) return { state: "missing" };
  await using client = new EngineClient({ socketPath: DOCKER_SOCKET });
  try {
    const { version } = await client.version(AbortSignal.timeout(5_000));
    const networks = await client.networks("manx", AbortSignal.timeout(5_000));
    const foreignIpam = networks.filter(({ ipamDriver }) => ipamDriver !== "manx").map(({ name }) => name);
    return { state: "running", version, foreignIpam, ignoredSubnets: ignoredSubnets(networks) };
  } catch (error) {
    return { state: "stopped", why: error instanceof Error ? error.message : String(error) };
  }
}
