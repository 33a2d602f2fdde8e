/**
 * Docker's resolver asks us for what it does not know itself if its daemon.json names our address. Docker reads that file when it
 * starts, and only then. Behind us stand the resolvers that were asked before: with the agent away nothing else changes.
 */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { NAMES_ADDRESS } from "../core/rules/fixed.ts";
import { reachableResolvers } from "../drivers/dns/resolv-conf.ts";
import { DriverError } from "../drivers/error.ts";
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";

export const DAEMON_FILE = "/etc/docker/daemon.json";
/** What the file was before us, for manx uninstall and for people. */
export const RECORD_FILE = "/var/lib/manx/docker-dns.json";
const PID_FILE = "/var/run/docker.pid";
/** Where Debian's and Docker's packages, and those who follow their manuals, have dockerd's arguments. */
const DOCKER_SETTINGS = [
  "/etc/default/docker",
  "/etc/systemd/system/docker.service",
  "/lib/systemd/system/docker.service",
];
const DROP_INS = "/etc/systemd/system/docker.service.d";
/** Docker's resolver asks three at most. */
const MOST_SERVERS = 3;

interface Kept {
  /** Null: there was no file. */
  readonly before: string | null;
  readonly written: string;
  /** Resolvers of the host that we put behind ourselves. */
  readonly added: readonly string[];
}

/**
 * The file with us as the first resolver; undefined: we are it already. `fallback` stands behind us where the user has named none.
 * @throws DriverError "invalid" for a file that we cannot read and so leave alone
 */
export function withOurDns(text: string | undefined, fallback: readonly string[]): string | undefined {
  const config = parse(text);
  const { dns } = config;
  if (dns !== undefined && !(Array.isArray(dns) && dns.every((one) => typeof one === "string")))
    throw new DriverError("invalid", `Cannot change ${DAEMON_FILE}: its "dns" is no list of addresses`);
  const before: readonly string[] = dns ?? [];
  if (before[0] === NAMES_ADDRESS) return undefined;
  const others = before.filter((one) => one !== NAMES_ADDRESS);
  const servers = [NAMES_ADDRESS, ...(others.length > 0 ? others : fallback)].slice(0, MOST_SERVERS);
  return print({ ...config, dns: servers }, text);
}

/** The file without us: byte for byte as it was, if nobody has changed it since. Undefined: there was none. */
export function withoutOurDns(text: string, record: Kept | undefined): string | undefined {
  if (record !== undefined && text === record.written) return record.before ?? undefined;
  const { dns, ...rest } = parse(text);
  if (!Array.isArray(dns) || !dns.includes(NAMES_ADDRESS)) return text;
  const ours = [NAMES_ADDRESS, ...(record?.added ?? [])];
  const left = dns.filter((one) => !ours.includes(String(one)));
  return print(left.length > 0 ? { ...rest, dns: left } : rest, text);
}

/** Whether the file names us; "flags": dockerd is given resolvers on its command line; "unreadable". Both are left alone. */
export async function ourDns(): Promise<"set" | "missing" | "flags" | "unreadable"> {
  try {
    if (withOurDns(await readIfExists(DAEMON_FILE), []) === undefined) return "set";
  } catch {
    return "unreadable";
  }
  return hasFlags() ? "flags" : "missing";
}

/** With resolvers both there and in the file dockerd would not start any more. */
function hasFlags(): boolean {
  if (dockerdArguments().some((word) => /^--dns(=|$)/.test(word))) return true;
  return [...DOCKER_SETTINGS, ...dropIns()].some((file) => /--dns[ =]/.test(read(file) ?? ""));
}

function dropIns(): string[] {
  try {
    return readdirSync(DROP_INS).map((name) => join(DROP_INS, name));
  } catch {
    return [];
  }
}

function dockerdArguments(): readonly string[] {
  const pid = read(PID_FILE)?.trim() ?? "";
  return /^[0-9]+$/.test(pid) ? (read(`/proc/${pid}/cmdline`)?.split("\0") ?? []) : [];
}

/** For manx up and manx join, which go on where it cannot be done. @returns what to tell the user */
export async function askUsForNames(): Promise<string> {
  switch (await ourDns()) {
    case "set":
      return "Docker asks Manx for names already";
    case "flags":
      return `dockerd is given --dns on its command line, which is left alone: make ${NAMES_ADDRESS} the first of them`;
    case "unreadable":
      return `${DAEMON_FILE} is not understood and is left alone: containers find those of this host only`;
    case "missing":
      await setOurDns(await reachableResolvers());
      return `written to ${DAEMON_FILE}; in force when Docker is started again (systemctl restart docker)`;
  }
}

/** @returns whether the file was changed. May be repeated. @throws DriverError */
export async function setOurDns(fallback: readonly string[]): Promise<boolean> {
  const before = await readIfExists(DAEMON_FILE);
  const written = withOurDns(before, fallback);
  if (written === undefined) return false;
  const added = (JSON.parse(written) as { readonly dns: readonly string[] }).dns.filter((one) =>
    fallback.includes(one),
  );
  // The record first: a file of ours without it could not be given back.
  await writeFileAtomic(RECORD_FILE, `${JSON.stringify({ before: before ?? null, written, added })}\n`, 0o600);
  await writeFileAtomic(DAEMON_FILE, written, before === undefined ? 0o644 : statSync(DAEMON_FILE).mode & 0o777);
  return true;
}

/** @returns whether the file was changed. May be repeated. @throws DriverError */
export async function unsetOurDns(): Promise<boolean> {
  const text = await readIfExists(DAEMON_FILE);
  if (text === undefined) return false;
  const before = withoutOurDns(text, await readRecord());
  if (before === text) return false;
  if (before === undefined) await rm(DAEMON_FILE, { force: true });
  else await writeFileAtomic(DAEMON_FILE, before, statSync(DAEMON_FILE).mode & 0o777);
  await rm(RECORD_FILE, { force: true });
  return true;
}

/** Resolvers that the user had named for Docker before us; empty: Docker took the host's. */
export async function usersOwnDns(): Promise<readonly string[]> {
  const record = await readRecord();
  try {
    const { dns } = parse((await readIfExists(DAEMON_FILE)) ?? undefined);
    const all = Array.isArray(dns) ? dns.map(String) : [];
    return all.filter((one) => one !== NAMES_ADDRESS && record?.added.includes(one) !== true);
  } catch {
    return [];
  }
}

/** Why Docker does not ask us; undefined: it does, as far as its command line and its file say. */
export function whyNotAsked(): { readonly why: string; readonly remedy: string } | undefined {
  const pid = read(PID_FILE)?.trim() ?? "";
  const argv = dockerdArguments();
  if (argv.some((word, i) => word === `--dns=${NAMES_ADDRESS}` || (word === NAMES_ADDRESS && argv[i - 1] === "--dns")))
    return undefined;
  if (!isNamed())
    return {
      why: `Docker is not told to ask for names here: ${DAEMON_FILE} has no "dns": ["${NAMES_ADDRESS}"]`,
      remedy:
        "./quickstart or manx join sets it; then restart Docker (systemctl restart docker). docs/names.md tells more.",
    };
  const started = existsSync(`/proc/${pid}/stat`) && pid !== "" ? statSync(`/proc/${pid}`).ctimeMs : undefined;
  if (started !== undefined && statSync(DAEMON_FILE).mtimeMs > started)
    return {
      why: `Docker runs since before ${DAEMON_FILE} named us`,
      remedy: "When containers may stop for a moment (or with live-restore), restart Docker: systemctl restart docker",
    };
  return undefined;
}

function isNamed(): boolean {
  try {
    const { dns } = parse(read(DAEMON_FILE));
    return Array.isArray(dns) && dns.includes(NAMES_ADDRESS);
  } catch {
    return false;
  }
}

async function readRecord(): Promise<Kept | undefined> {
  const text = await readIfExists(RECORD_FILE);
  try {
    const { before, written, added } = JSON.parse(text ?? "") as Partial<Kept>;
    if (typeof written !== "string" || (before !== null && typeof before !== "string")) return undefined;
    return { before, written, added: Array.isArray(added) ? added.map(String) : [] };
  } catch {
    return undefined;
  }
}

function parse(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DriverError("invalid", `Cannot read ${DAEMON_FILE}: ${(error as Error).message}`, error);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new DriverError("invalid", `Cannot read ${DAEMON_FILE}: it is no JSON object`);
}

/** Indented as it was. */
function print(config: object, like: string | undefined): string {
  return `${JSON.stringify(config, null, /\n([ \t]+)\S/.exec(like ?? "")?.[1] ?? "  ")}\n`;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
