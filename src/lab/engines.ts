/**
 * Docker engines for lab hosts: the installed one, or another release unpacked from Debian's packages into a cache folder,
 * without touching what the machine has installed.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun, run } from "../drivers/exec.ts";

/** Debian's release that has each engine. */
const SUITES = { "20.10": "bookworm", "26.1": "trixie" } as const;
type EngineVersion = keyof typeof SUITES;
/** `installed`: whatever `dockerd` is in the PATH. */
export type EngineName = "installed" | EngineVersion;

export interface Engine {
  /** As dockerd prints it: `20.10.24+dfsg1`. */
  readonly version: string;
  /** Folders that go in front of the PATH of all that talks to or runs the engine. */
  readonly folders: readonly string[];
}

const PACKAGES = ["docker.io", "docker-cli", "containerd", "runc", "tini"];
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

/** Finds the engine; downloads it once where it is not the installed one. */
export async function findEngine(
  name: EngineName,
  progress: (line: string) => void,
  cache = "/var/cache/manx/engines",
): Promise<Engine> {
  const installed = await installedEngine();
  if (name === "installed" || installed?.version.startsWith(`${name}.`) === true) {
    if (installed !== undefined) return installed;
    throw new DriverError(
      "not-found",
      "Cannot start a lab: there is no dockerd. Install it: apt-get install docker.io",
    );
  }
  const folder = join(cache, name);
  if (!existsSync(folder)) await unpack(name, folder, progress);
  const folders = [join(folder, "usr/sbin"), join(folder, "usr/bin")];
  return { version: await versionOf(join(folder, "usr/sbin/dockerd")), folders };
}

async function installedEngine(): Promise<Engine | undefined> {
  const dockerd = findBinary("dockerd");
  if (dockerd === undefined) return undefined;
  // The distribution's own docker belongs to its dockerd; /usr/local/bin may have another.
  return { version: await versionOf(dockerd), folders: [dirname(dockerd), "/usr/bin"] };
}

async function versionOf(dockerd: string): Promise<string> {
  const text = await mustRun([dockerd, "--version"]);
  return /version ([^\s,]+)/.exec(text)?.[1] ?? text.trim();
}

/** Into a folder of its own first, then renamed: an engine in the cache is complete. */
async function unpack(name: EngineVersion, folder: string, progress: (line: string) => void): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(`${folder}.`);
  try {
    progress(`Docker ${name}: reading the package list of Debian ${SUITES[name]}`);
    const apt = await aptOptions(SUITES[name], join(work, "apt"));
    await mustRun(["apt-get", ...apt, "update"], { timeoutMs: 300_000 });
    progress(`Docker ${name}: downloading`);
    const packages = await available(apt);
    await mustRun(["apt-get", ...apt, "download", ...packages], { cwd: work, timeoutMs: 600_000 });
    progress(`Docker ${name}: unpacking`);
    const root = join(work, "root");
    for (const file of await readdir(work)) {
      if (file.endsWith(".deb")) await mustRun(["dpkg-deb", "-x", join(work, file), root]);
    }
    await dropForeignRunc(root);
    await rename(root, folder).catch((error: unknown) => {
      // Somebody else was faster.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A newer release's runc needs a newer libc than this machine may have; the machine's own runs every engine. */
async function dropForeignRunc(root: string): Promise<void> {
  if (findBinary("runc") === undefined) return;
  for (const file of [join(root, "usr/sbin/runc"), join(root, "usr/bin/runc")]) {
    const runs = await run([file, "--version"]).then(
      ({ code }) => code === 0,
      () => false,
    );
    if (!runs) await rm(file, { force: true });
  }
}

/** The packages that this release has: docker-cli is part of docker.io in some. */
async function available(apt: readonly string[]): Promise<string[]> {
  const known = (await mustRun(["apt-cache", ...apt, "pkgnames"])).split("\n");
  return PACKAGES.filter((name) => known.includes(name));
}

/** Options that make apt use a list of its own, so that the machine's lists, cache and choices stay as they are. */
async function aptOptions(suite: string, folder: string): Promise<string[]> {
  await mkdir(join(folder, "lists/partial"), { recursive: true });
  await mkdir(join(folder, "cache/archives/partial"), { recursive: true });
  const list = join(folder, "debian.sources");
  await writeFile(list, sources(await mirror(), suite));
  const settings = {
    "Dir::Etc::SourceList": list,
    "Dir::Etc::SourceParts": "/dev/null",
    "Dir::State::Lists": join(folder, "lists"),
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
