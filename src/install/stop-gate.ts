/**
 * Has Docker tell Manx of a stop before it happens: the name of our authorization plugin in daemon.json, which a running dockerd reads
 * again on SIGHUP. What else stands in the file stays as it is.
 */
import { readFileSync, statSync } from "node:fs";
import { DriverError } from "../drivers/error.ts";
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";
import { kill } from "../drivers/system/processes.ts";
import { DAEMON_FILE } from "./docker-dns.ts";

/** Docker looks for its socket in /run/docker/plugins. */
export const GATE_NAME = "manx-drain";
export const GATE_SOCKET = `/run/docker/plugins/${GATE_NAME}.sock`;
const PID_FILE = "/var/run/docker.pid";
const FIELD = "authorization-plugins";

/** Whether the file names us. @throws DriverError where it cannot be read */
export async function hasGate(): Promise<boolean> {
  return namesIn(parse(await readIfExists(DAEMON_FILE))).includes(GATE_NAME);
}

/** @returns whether the file was changed; a running dockerd has been told then. May be repeated. @throws DriverError */
export async function setGate(on: boolean): Promise<boolean> {
  const text = await readIfExists(DAEMON_FILE);
  const written = withGate(text, on);
  if (written === undefined) return false;
  await writeFileAtomic(DAEMON_FILE, written, text === undefined ? 0o644 : statSync(DAEMON_FILE).mode & 0o777);
  reload();
  return true;
}

/** The file's text with us in it or not; undefined: it is so already. */
export function withGate(text: string | undefined, on: boolean): string | undefined {
  const config = parse(text);
  const names = namesIn(config);
  if (names.includes(GATE_NAME) === on) return undefined;
  const { [FIELD]: _, ...others } = config;
  // Ours comes last: what another plugin refuses drains nothing.
  const left = on ? [...names, GATE_NAME] : names.filter((name) => name !== GATE_NAME);
  const after = left.length === 0 ? others : { ...others, [FIELD]: left };
  return `${JSON.stringify(after, null, /\n([ \t]+)\S/.exec(text ?? "")?.[1] ?? "  ")}\n`;
}

function namesIn(config: Readonly<Record<string, unknown>>): string[] {
  const names = config[FIELD] ?? [];
  if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  throw new DriverError("invalid", `Cannot read ${DAEMON_FILE}: "${FIELD}" is no list of names`);
}

function parse(text: string | undefined): Record<string, unknown> {
  if (text === undefined || text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new DriverError("invalid", `Cannot read ${DAEMON_FILE}: ${(error as Error).message}`, error);
  }
  throw new DriverError("invalid", `Cannot read ${DAEMON_FILE}: it is no JSON object`);
}

function reload(): void {
  let pid = 0;
  try {
    pid = Number(readFileSync(PID_FILE, "utf8").trim());
    if (!readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("dockerd")) return;
  } catch {
    return; // it does not run: it reads the file when it starts
  }
  if (pid > 1) kill(pid, "SIGHUP");
}
