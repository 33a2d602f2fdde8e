/**
 * Docker engines for lab hosts: the installed one, or another release unpacked from Debian's packages into a cache folder,
 * without touching what the machine has installed.
 */
import { existsSync, readdirSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun, run } from "../drivers/exec.ts";
import { unpackPackages } from "./debian.ts";

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

/** The library is 20.10's, and Debian 13 does not bring it by itself. */
const PACKAGES = ["docker.io", "docker-cli", "containerd", "runc", "tini", "libdevmapper1.02.1"];

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

async function unpack(name: EngineVersion, folder: string, progress: (line: string) => void): Promise<void> {
  const { suite, packages } = { suite: SUITES[name], packages: PACKAGES };
  await unpackPackages({ what: `Docker ${name}`, suite, packages, folder, finish, progress });

  async function finish(root: string): Promise<void> {
    await dropForeignRunc(root);
    if (!(await works(join(root, "usr/sbin/dockerd")))) await lendLibraries(root, folder);
  }
}

function works(program: string): Promise<boolean> {
  return run([program, "--version"]).then(
    ({ code }) => code === 0,
    () => false,
  );
}

/** Has the engine, which will lie in `folder`, look for libraries among its own. */
async function lendLibraries(root: string, folder: string): Promise<void> {
  const file = "usr/libexec/manx/dockerd";
  await mkdir(dirname(join(root, file)), { recursive: true });
  await rename(join(root, "usr/sbin/dockerd"), join(root, file));
  const folders = ["lib", "usr/lib"].flatMap((name) =>
    existsSync(join(root, name)) ? readdirSync(join(root, name)).map((inner) => join(folder, name, inner)) : [],
  );
  const path = folders.filter((name) => name.endsWith("-linux-gnu")).join(":");
  const script = `#!/bin/sh\nLD_LIBRARY_PATH='${path}' exec '${join(folder, file)}' "$@"\n`;
  await writeFile(join(root, "usr/sbin/dockerd"), script, { mode: 0o755 });
}

/** A newer release's runc needs a newer libc than this machine may have; the machine's own runs every engine. */
async function dropForeignRunc(root: string): Promise<void> {
  if (findBinary("runc") === undefined) return;
  for (const file of [join(root, "usr/sbin/runc"), join(root, "usr/bin/runc")]) {
    if (!(await works(file))) await rm(file, { force: true });
  }
}
