/** What about this host, beside Manx, can stand in its way: for the doctor, with an agent or without. Changes nothing. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { HostFacts } from "../api/doctor/facts.ts";
import { findBinary, mustRun, run } from "../drivers/exec.ts";
import { readSysctl } from "../drivers/system/sysctls.ts";
import { API_SOCKET, ROOT } from "./service.ts";

export type Surroundings = Pick<HostFacts, "socketMode" | "ipv6" | "dropping" | "firewalldTrusts" | "clock">;

/** What cannot be found out is left out. @throws DriverError where a program that is there fails */
export async function surroundings(socket = API_SOCKET): Promise<Surroundings> {
  const mode = statSync(socket, { throwIfNoEntry: false })?.mode;
  const [dropping, trusts] = [await droppingChains(), await firewalldTrusts()];
  return {
    ...(mode === undefined ? {} : { socketMode: mode & 0o777 }),
    ipv6: readSysctl("net/ipv6/conf/all/disable_ipv6") === "0",
    ...(dropping === undefined ? {} : { dropping }),
    ...(trusts === undefined ? {} : { firewalldTrusts: trusts }),
    clock: { now: Date.now(), atLeast: statSync(join(ROOT, "package.json")).mtimeMs },
  };
}

interface ChainObject {
  readonly chain?: {
    readonly family: string;
    readonly table: string;
    readonly name: string;
    readonly hook?: string;
    readonly policy?: string;
  };
}

/**
 * Chains of others on the forward hook whose policy is to drop and that do not accept our interfaces first; not iptables' own, where
 * ours go (drivers/iptables). An accept in a table of ours does not help against them.
 */
async function droppingChains(): Promise<string[] | undefined> {
  if (findBinary("nft") === undefined || process.getuid?.() !== 0) return undefined;
  const { nftables } = JSON.parse(await mustRun(["nft", "-j", "list", "chains"])) as { nftables: ChainObject[] };
  const found: string[] = [];
  for (const { chain } of nftables) {
    if (chain === undefined || chain.hook !== "forward" || chain.policy !== "drop" || chain.table === "manx") continue;
    const isIptables = /^ip6?$/.test(chain.family) && chain.table === "filter" && chain.name === "FORWARD";
    if (!isIptables && !(await acceptsOurs(chain))) found.push(`${chain.family} ${chain.table} ${chain.name}`);
  }
  return found;
}

async function acceptsOurs({ family, table, name }: { family: string; table: string; name: string }): Promise<boolean> {
  const text = await mustRun(["nft", "-s", "list", "chain", family, table, name]);
  return ["iifname", "oifname"].every((field) =>
    new RegExp(`^\\s*${field} "manx\\*" (counter )?accept`, "m").test(text),
  );
}

/** Whether firewalld lets Manx interfaces pass; undefined where it does not run. */
async function firewalldTrusts(): Promise<boolean | undefined> {
  if (findBinary("firewall-cmd") === undefined) return undefined;
  if ((await run(["firewall-cmd", "--state"])).code !== 0) return undefined;
  const { stdout } = await run(["firewall-cmd", "--zone=trusted", "--list-interfaces"]);
  return stdout.split(/\s+/).includes("manx+");
}
