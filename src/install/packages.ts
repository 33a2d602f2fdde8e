/**
 * `node packages.ts [--dev]`: exits with 0 if node_modules holds what package-lock.json says, 1 if not. Run before anything else
 * is there, so it imports nothing but Node's own modules.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

interface Entry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly cpu?: string | readonly string[];
}

/** Names of packages that are missing or of another version. Optional ones count only if they are for this machine's processor. */
export function missingPackages(root: string, includeDev: boolean): string[] {
  const entries = Object.entries(lock(join(root, "package-lock.json")));
  const installed = lock(join(root, "node_modules/.package-lock.json"));
  return entries
    .filter(([path, { dev }]) => path !== "" && (includeDev || dev !== true))
    .filter(([path, entry]) => installed[path]?.version !== entry.version || !existsSync(join(root, path)))
    .filter(([path, { optional, cpu }]) => optional !== true || (path.includes("node-linux-") && isForThisCpu(cpu)))
    .map(([path]) => path);
}

function isForThisCpu(cpu: Entry["cpu"]): boolean {
  return cpu === undefined || cpu === process.arch || (Array.isArray(cpu) && cpu.includes(process.arch));
}

function lock(path: string): Readonly<Record<string, Entry>> {
  try {
    const { packages } = JSON.parse(readFileSync(path, "utf8")) as { packages?: Record<string, Entry> };
    return packages ?? {};
  } catch {
    return {};
  }
}

if (import.meta.main) {
  const missing = missingPackages(join(import.meta.dirname, "../.."), process.argv.includes("--dev"));
  process.exitCode = missing.length === 0 ? 0 : 1;
  for (const name of missing) console.log(name);
}
