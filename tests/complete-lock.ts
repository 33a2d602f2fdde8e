/**
 * `node tests/complete-lock.ts`: adds to package-lock.json what npm leaves out of it when a registry does not have a package for
 * some other platform; `npm ci` refuses a lock file with such a hole. Run it after every `npm install` that changed the file.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface LockEntry {
  readonly version?: string;
  readonly integrity?: string;
  readonly cpu?: string | readonly string[];
  readonly os?: string | readonly string[];
  readonly libc?: readonly string[];
  readonly optional?: boolean;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockEntry>>;
}

const OS = /\b(linux|darwin|win32|freebsd|openbsd|android|openharmony)\b/;
const CPU = /\b(x64|arm64|arm|ia32|riscv64|s390x|ppc64|loong64)\b/;

/** Optional dependencies with an exact version that the lock has no entry for, as the entries that are missing. */
export function holes({ packages }: Lock): Record<string, LockEntry> {
  const found: Record<string, LockEntry> = {};
  for (const { optionalDependencies = {}, dev } of Object.values(packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const path = `node_modules/${name}`;
      if (packages[path] !== undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue;
      found[path] = { version, ...platform(name), ...(dev === true ? { dev } : {}), optional: true };
    }
  }
  return found;
}

/** What its name says that it is for; npm ci skips it elsewhere. */
function platform(name: string): Pick<LockEntry, "cpu" | "os" | "libc"> {
  const os = OS.exec(name)?.[1];
  const cpu = CPU.exec(name)?.[1];
  if (os === undefined || cpu === undefined) throw new Error(`${name} does not say what platform it is for`);
  const libc = /musl/.test(name) ? { libc: ["musl"] } : /-(gnu|gnueabihf)$/.test(name) ? { libc: ["glibc"] } : {};
  return { cpu: [cpu], ...libc, os: [os] };
}

if (import.meta.main) {
  const path = join(import.meta.dirname, "../package-lock.json");
  const lock = JSON.parse(readFileSync(path, "utf8")) as Lock;
  const added = holes(lock);
  const packages = Object.fromEntries(
    Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => a.localeCompare(b, "en")),
  );
  writeFileSync(path, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
  console.log(`${Object.keys(added).length} entries added`);
}
