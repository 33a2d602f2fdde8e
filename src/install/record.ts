/** What ./quickstart brought to this host, for `manx uninstall` to name. */
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";

const FILE = "/var/lib/manx/install.json";

export interface Installation {
  /** Debian packages that were not there before. */
  readonly packages: readonly string[];
}

export async function readInstallation(): Promise<Installation> {
  try {
    const { packages } = JSON.parse((await readIfExists(FILE)) ?? "{}") as Partial<Installation>;
    return { packages: Array.isArray(packages) ? packages.map(String) : [] };
  } catch {
    return { packages: [] };
  }
}

/** Adds to what is recorded. */
export async function recordInstallation({ packages }: Installation): Promise<void> {
  const before = await readInstallation();
  const all = [...new Set([...before.packages, ...packages])];
  await writeFileAtomic(FILE, `${JSON.stringify({ packages: all })}\n`);
}
