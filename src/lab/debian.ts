/**
 * Programs out of Debian's packages, of any release, unpacked into a folder of their own: without touching what the machine has
 * installed, its package lists or its choices.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { mustRun } from "../drivers/exec.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

export interface Unpacking {
  /** For progress: `Docker 26.1`. */
  readonly what: string;
  /** Debian's release: `trixie`. */
  readonly suite: string;
  /** Those that the release does not have are left out. */
  readonly packages: readonly string[];
  readonly folder: string;
  /** Changes what was unpacked before it counts. */
  readonly finish?: (root: string) => Promise<void>;
  readonly progress: (line: string) => void;
}

/** Into a folder of its own first, then renamed: what is in the place is complete. */
export async function unpackPackages(options: Unpacking): Promise<void> {
  const { what, suite, packages, folder, finish, progress } = options;
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}.`);
  try {
    progress(`${what}: reading the package list of Debian ${suite}`);
    const apt = await aptOptions(suite, join(work, "apt"));
    await mustRun(["apt-get", ...apt, "update"], { timeoutMs: 300_000 });
    progress(`${what}: downloading`);
    const known = (await mustRun(["apt-cache", ...apt, "pkgnames"])).split("\n");
    const wanted = packages.filter((name) => known.includes(name));
    await mustRun(["apt-get", ...apt, "download", ...wanted], { cwd: work, timeoutMs: 600_000 });
    progress(`${what}: unpacking`);
    const root = join(work, "root");
    for (const file of await readdir(work)) {
      if (file.endsWith(".deb")) await mustRun(["dpkg-deb", "-x", join(work, file), root]);
    }
    await finish?.(root);
    await rename(root, folder).catch((error: unknown) => {
      // Somebody else was faster.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Options that make apt use a list of its own, so that the machine's lists, cache and choices stay as they are, and that keep it from
 * knowing what is installed: that would be its choice where it is newer than the release asked for.
 */
async function aptOptions(suite: string, folder: string): Promise<string[]> {
  await mkdir(join(folder, "lists/partial"), { recursive: true });
  await mkdir(join(folder, "cache/archives/partial"), { recursive: true });
  const list = join(folder, "debian.sources");
  await writeFile(list, sources(await mirror(), suite));
  const settings = {
    "Dir::Etc::SourceList": list,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(folder, "cache"),
    "APT::Sandbox::User": "root",
  };
  return ["-qq", ...Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`])];
}

function sources(uri: string, suite: string): string {
  return ["Types: deb", `URIs: ${uri}`, `Suites: ${suite}`, "Components: main", `Signed-By: ${KEYRING}`, ""].join("\n");
}

/** The machine's own Debian mirror. */
async function mirror(): Promise<string> {
  if (!existsSync(KEYRING)) {
    const fix = "Install it: apt-get install debian-archive-keyring";
    throw new DriverError("not-found", `Cannot verify Debian's packages: there is no ${KEYRING}. ${fix}`);
  }
  const parts = "/etc/apt/sources.list.d";
  const files = [join(parts, "debian.sources"), "/etc/apt/sources.list"];
  for (const file of files) {
    const found = mirrorIn(await readFile(file, "utf8").catch(() => ""));
    if (found !== undefined) return found;
  }
  return DEFAULT_MIRROR;
}

/** The first Debian archive in a sources file of either format (sources.list(5)); security updates are in another archive. */
export function mirrorIn(text: string): string | undefined {
  const uris = text
    .split("\n")
    .filter((line) => /^(URIs:|deb\s)/.test(line))
    .flatMap((line) => line.match(/\bhttps?:\/\/\S+/g) ?? []);
  return uris.find((uri) => /\/debian\/?$/.test(uri))?.replace(/\/$/, "");
}
