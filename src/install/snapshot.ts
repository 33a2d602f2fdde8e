/**
 * What a host is like before Manx changes anything, so that `manx uninstall` can prove that it is so again: kernel settings, firewalls,
 * links, addresses, routes, and the files in the places where Manx puts something.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun } from "../drivers/exec.ts";
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";

export const SNAPSHOT_FILE = "/var/lib/manx/snapshot.json";

/** Facts by what they are about: `sysctl net/ipv4/ip_forward` -> `0`, `link eth0` -> `ether 02:..., mtu 1500`. */
export interface Snapshot {
  readonly version: 1;
  /** RFC 3339. */
  readonly takenAt: string;
  readonly facts: Readonly<Record<string, string>>;
}

/** Places where Manx or what it installs puts files. */
const FOLDERS = [
  "/usr/local/bin",
  "/etc/systemd/system",
  "/run/docker/plugins",
  "/etc/docker",
  "/etc/manx",
  "/run/manx",
];
/** Counters, and what the kernel or others change by themselves. */
const VOLATILE =
  /\/(nf_conntrack_count|nf_conntrack_buckets|stable_secret|flush|random_table_perturb|inet_peer_.*|rt_cache.*|error_cost|max_addresses|tcp_fastopen_key|last_seen.*)$/;

export async function takeSnapshot(): Promise<Snapshot> {
  const parts = await Promise.all([sysctls(), nftTables(), legacyTables(), links(), addresses(), routes(), files()]);
  return { version: 1, takenAt: new Date().toISOString(), facts: Object.assign({}, ...parts) as Snapshot["facts"] };
}

export async function saveSnapshot(snapshot: Snapshot): Promise<void> {
  await writeFileAtomic(SNAPSHOT_FILE, `${JSON.stringify(snapshot, null, 1)}\n`, 0o600);
}

/** The snapshot taken at the installation; undefined if there is none. */
export async function loadSnapshot(): Promise<Snapshot | undefined> {
  const text = await readIfExists(SNAPSHOT_FILE);
  if (text === undefined) return undefined;
  try {
    const snapshot = JSON.parse(text) as Partial<Snapshot>;
    if (snapshot.version === 1 && typeof snapshot.facts === "object") return snapshot as Snapshot;
  } catch {
    // said below
  }
  throw new DriverError("invalid", `Cannot read "${SNAPSHOT_FILE}": it is not a snapshot that this version knows`);
}

export interface Difference {
  /** What it is about, as `route 10.0.0.0/8`. */
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
  /** `package`: a Debian package that ./quickstart installed. */
  readonly by: "manx" | "docker" | "package" | "somebody else";
}

/** What else may have changed the host since the snapshot. */
export interface Others {
  /** Docker runs now. */
  readonly docker: boolean;
  /** Debian packages that ./quickstart installed. */
  readonly packages: readonly string[];
}

/** In the order of `what`. */
export function compareSnapshots(before: Snapshot, after: Snapshot, others: Others): Difference[] {
  const keys = [...new Set([...Object.keys(before.facts), ...Object.keys(after.facts)])].sort();
  return keys
    .filter((key) => !isSame(key, before.facts[key], after.facts[key]) && !isOfLostInterface(key, before, after))
    .map((what) => {
      const [old, now] = [before.facts[what], after.facts[what]];
      const values = { ...(old === undefined ? {} : { before: old }), ...(now === undefined ? {} : { after: now }) };
      return { what, ...values, by: whoMade(what, `${old ?? ""}\n${now ?? ""}`, others) };
    });
}

/** Marks of what Manx makes. */
const OURS = /\bmanx|\bmxp[0-9a-f]{11}\b|169\.254\.1\.\d|proto 109\b/i;

/** Also where the snapshot was taken when an agent had run already: what of it is gone is as it should be. */
function isSame(what: string, before: string | undefined, after: string | undefined): boolean {
  return before === after || (before !== undefined && withoutOurs(what, before) === after);
}

function withoutOurs(what: string, text: string): string | undefined {
  if (OURS.test(what)) return undefined;
  if (!what.startsWith("nftables ")) return OURS.test(text) ? undefined : text;
  const lines = text.split("\n");
  return lines.filter((line) => !OURS.test(line)).join("\n");
}

/** The hundred settings of an interface that came or went say no more than that it did. */
function isOfLostInterface(key: string, before: Snapshot, after: Snapshot): boolean {
  const name = /^sysctl net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(key)?.[1];
  if (name === undefined || name === "all" || name === "default") return false;
  return [before, after].some(({ facts }) => facts[`link ${name}`] === undefined);
}

/** What dockerd switches on at its start, and what the kernel changes with it (inet_forward_change in net/ipv4/devinet.c). */
const FORWARDING = /^sysctl net\/(ipv4\/(ip_forward|conf\/[^/]+\/(forwarding|accept_redirects))|bridge\/)/;

/** Part of the names of files that a package brings, where it is not the package's own name. */
const PACKAGE_FILES: Readonly<Record<string, string>> = { "docker.io": "docker", bird2: "/bird" };

/** By the marks that Manx and Docker leave on what they make. */
function whoMade(what: string, text: string, { docker, packages }: Others): Difference["by"] {
  const all = `${what}\n${text}`;
  if (OURS.test(all)) return "manx";
  if (FORWARDING.test(what)) return docker ? "docker" : "manx";
  if (what.startsWith("sysctl net/ipv6/conf/") && /(forwarding|accept_ra)$/.test(what))
    return docker ? "docker" : "manx";
  if (what.startsWith("file ") && packages.some((name) => what.includes(PACKAGE_FILES[name] ?? name))) return "package";
  return /docker|containerd|\bbr-[0-9a-f]{12}\b|^link veth/i.test(all) ? "docker" : "somebody else";
}

function sysctls(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const area of ["ipv4", "ipv6", "netfilter", "bridge", "core"]) {
    for (const path of list(join("/proc/sys/net", area))) {
      const value = VOLATILE.test(path) ? undefined : read(path);
      if (value !== undefined) found[`sysctl ${path.slice("/proc/sys/".length)}`] = value.trim();
    }
  }
  return Promise.resolve(found);
}

/** All tables of nftables, those of iptables-nft among them, without counters. */
async function nftTables(): Promise<Record<string, string>> {
  if (findBinary("nft") === undefined) return {};
  const text = (await mustRun(["nft", "-s", "list", "ruleset"])).replace(/ counter packets \d+ bytes \d+/g, " counter");
  const tables = text.split(/^(?=table )/m).filter((table) => table.startsWith("table "));
  return Object.fromEntries(tables.map((table) => [`nftables ${table.split(" {")[0]}`, table.trim()]));
}

/** Tables of iptables-legacy. Only those that exist: asking for another would make the kernel create it. */
async function legacyTables(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [family, program] of [
    ["ip", "iptables-legacy-save"],
    ["ip6", "ip6tables-legacy-save"],
  ] as const) {
    const names = (read(`/proc/net/${family}_tables_names`) ?? "").split("\n").filter((name) => name !== "");
    if (findBinary(program) === undefined) continue;
    for (const name of names) {
      const text = await mustRun([program, "-t", name]);
      found[`iptables-legacy ${family} ${name}`] = text.replace(/^#.*\n/gm, "").replace(/\[\d+:\d+\]/g, "");
    }
  }
  return found;
}

interface IpLink {
  readonly ifname: string;
  readonly link_type: string;
  readonly address?: string;
  readonly mtu: number;
  readonly master?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly scope?: string;
    readonly dynamic?: boolean;
  }[];
}

async function ip<T>(...args: readonly string[]): Promise<T[]> {
  const text = await mustRun(["ip", "-j", ...args]);
  return text.trim() === "" ? [] : (JSON.parse(text) as T[]).filter((item) => Object.keys(item as object).length > 0);
}

async function links(): Promise<Record<string, string>> {
  const all = await ip<IpLink>("-d", "link", "show");
  return Object.fromEntries(
    all.map(({ ifname, link_type, address = "", mtu, master, linkinfo }) => {
      const kind = linkinfo?.info_kind ?? link_type;
      return [`link ${ifname}`, `${kind} ${address} mtu ${mtu}${master === undefined ? "" : ` master ${master}`}`];
    }),
  );
}

async function addresses(): Promise<Record<string, string>> {
  const all = await ip<IpLink>("address", "show");
  return Object.fromEntries(
    all.flatMap(({ ifname, addr_info = [] }) =>
      addr_info
        .filter(({ dynamic }) => dynamic !== true)
        .map(({ local, prefixlen, scope }) => [`address ${local}/${prefixlen} on ${ifname}`, scope ?? ""]),
    ),
  );
}

interface IpRoute {
  readonly type?: string;
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly protocol?: string;
  readonly metric?: number;
  readonly prefsrc?: string;
  readonly table?: string;
}

/** Of all tables; those that the kernel makes for addresses and links are seen with these. */
async function routes(): Promise<Record<string, string>> {
  const all = [
    ...(await ip<IpRoute>("-4", "route", "show", "table", "all")),
    ...(await ip<IpRoute>("-6", "route", "show", "table", "all")),
  ];
  const lasting = all.filter(({ protocol, table }) => protocol !== "kernel" && protocol !== "ra" && table !== "local");
  return Object.fromEntries(
    lasting.map(({ type, dst, gateway, dev, protocol, metric, prefsrc, table = "main" }) => {
      const parts = [type, gateway && `via ${gateway}`, dev && `dev ${dev}`, prefsrc && `src ${prefsrc}`];
      const value = [...parts, `proto ${protocol ?? ""}`].filter((part) => part !== undefined).join(" ");
      return [`route ${dst} table ${table} metric ${metric ?? 0}`, value];
    }),
  );
}

function files(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of FOLDERS.flatMap(list)) found[`file ${path}`] = describe(path);
  return Promise.resolve(found);
}

function describe(path: string): string {
  try {
    return `link to ${readlinkSync(path)}`;
  } catch {
    const content = read(path);
    return content === undefined ? "special" : createHash("sha256").update(content).digest("hex").slice(0, 16);
  }
}

/** Files below a folder, without folders; none if there is no such folder. */
function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // write-only, or gone meanwhile
  }
}
