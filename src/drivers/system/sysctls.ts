/**
 * Kernel settings below /proc/sys/net. They bear no mark of ownership, so what a setting was before we changed it is remembered
 * (`Originals`), and given back by `restore` when Manx leaves the host. A setting that already is as it should be is not ours.
 *
 * A setting that is no longer wanted stays as it is until then: Docker may by now rely on the forwarding that we switched on.
 * Those of a LAN (proxy_ndp, proxy_delay) go at once.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError, type DriverErrorCode } from "../error.ts";

/** Values of host-wide settings from before our first change, by path as `net/ipv4/ip_forward`. Kept on disk. */
export interface Originals {
  entries(): Iterable<readonly [path: string, value: string]>;
  get(path: string): string | undefined;
  set(path: string, value: string): void;
  delete(path: string): void;
}

const ROOT = "/proc/sys";
const IPV6_FORWARDING = "net/ipv6/conf/all/forwarding";
/** Settings of a LAN interface: no use to anybody else, so given back as soon as they are not wanted any more. */
const LAN_SETTING = /^net\/ipv[46]\/(conf\/[^/]+\/proxy_ndp|neigh\/[^/]+\/proxy_delay)$/;
const OWN_INTERFACE = /^net\/ipv[46]\/(conf|neigh)\/manx[^/]*\//;

export class Sysctls implements Target<string, string> {
  readonly #originals: Originals;
  readonly #root: string;
  readonly equal = (a: string, b: string): boolean => a === b;

  constructor(originals: Originals, root: string = ROOT) {
    this.#originals = originals;
    this.#root = root;
  }

  list(_signal: AbortSignal, desired: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
    const actual = new Map<string, string>();
    const left = [...this.#originals.entries()].flatMap(([path]) => (LAN_SETTING.test(path) ? [path] : []));
    for (const path of [...desired.keys(), ...left]) {
      const value = readSysctl(path, this.#root);
      if (value !== undefined) actual.set(path, value);
    }
    return Promise.resolve(actual);
  }

  /** Settings of all interfaces first: writing one of them overwrites each interface's own. */
  async apply({ upserts, deletes }: Delta<string, string>): Promise<void> {
    const errors: unknown[] = [];
    const order = [...upserts].sort(([a], [b]) => Number(OWN_INTERFACE.test(a)) - Number(OWN_INTERFACE.test(b)));
    for (const [path, value] of order) {
      try {
        if (path === IPV6_FORWARDING && value !== "0") this.#keepRouterAdvertisements();
        this.#write(path, value);
      } catch (error) {
        errors.push(error);
      }
    }
    for (const path of deletes) {
      if (!LAN_SETTING.test(path)) continue;
      try {
        this.#giveBack(path);
      } catch (error) {
        errors.push(error);
      }
    }
    await Promise.resolve();
    throwAll(errors);
  }

  #giveBack(path: string): void {
    const before = this.#originals.get(path);
    if (before === undefined) return;
    if (readSysctl(path, this.#root) !== undefined) writeSysctl(path, before, this.#root); // the interface may be gone
    this.#originals.delete(path);
  }

  #write(path: string, value: string): void {
    const before = readSysctl(path, this.#root);
    if (before === value) return;
    // Remembered before it is changed: a kill in between leaves a note too many, never one too few.
    if (before !== undefined && !OWN_INTERFACE.test(path) && this.#originals.get(path) === undefined) {
      this.#originals.set(path, before);
    }
    writeSysctl(path, value, this.#root);
  }

  /**
   * A host that forwards IPv6 no longer heeds router advertisements where accept_ra is 1, and would lose its own default route;
   * with 2 it heeds them all the same (Documentation/networking/ip-sysctl.rst, accept_ra).
   */
  #keepRouterAdvertisements(): void {
    if (readSysctl(IPV6_FORWARDING, this.#root) !== "0") return;
    for (const name of readdirSync(join(this.#root, "net/ipv6/conf"))) {
      const path = `net/ipv6/conf/${name}/accept_ra`;
      if (name === "all" || name === "lo" || OWN_INTERFACE.test(path)) continue;
      if (readSysctl(path, this.#root) === "1") this.#write(path, "2");
    }
  }
}

/** Whether a setting of the host as a whole is another than wanted: the kernel tells nobody when one is changed. */
export function hasDrifted(desired: ReadonlyMap<string, string>, root: string = ROOT): boolean {
  for (const [path, value] of desired)
    if (!OWN_INTERFACE.test(path) && (readSysctl(path, root) ?? value) !== value) return true;
  return false;
}

/** Gives every remembered setting its value back, and forgets it. `keep`: settings that others rely on by now. */
export function restoreSysctls(originals: Originals, keep: ReadonlySet<string> = new Set(), root: string = ROOT): void {
  const errors: unknown[] = [];
  // accept_ra goes back after forwarding: the other way around it would be 1 while forwarding is still on.
  const order = [...originals.entries()].sort(
    ([a], [b]) => Number(b === IPV6_FORWARDING) - Number(a === IPV6_FORWARDING),
  );
  for (const [path, value] of order) {
    if (keep.has(path)) continue;
    try {
      if (readSysctl(path, root) !== undefined) writeSysctl(path, value, root);
      originals.delete(path);
    } catch (error) {
      errors.push(error);
    }
  }
  throwAll(errors);
}

/** Value without the line feed; undefined if there is no such setting (an interface that is gone, a kernel without IPv6). */
export function readSysctl(path: string, root: string = ROOT): string | undefined {
  try {
    return readFileSync(fileOf(path, root), "utf8").trimEnd();
  } catch (error) {
    if (codeOf(error) === "not-found") return undefined;
    throw new DriverError(codeOf(error), `Cannot read kernel setting "${dotted(path)}": ${messageOf(error)}`, error);
  }
}

/** Of a setting that there is. @throws DriverError */
export function writeSysctl(path: string, value: string, root: string = ROOT): void {
  try {
    // Never creates: a missing setting of /proc/sys and a missing file of a test fail alike.
    writeFileSync(fileOf(path, root), `${value}\n`, { flag: "r+" });
  } catch (error) {
    throw new DriverError(
      codeOf(error),
      `Cannot set kernel setting "${dotted(path)}" to "${value}": ${messageOf(error)}`,
      error,
    );
  }
}

function fileOf(path: string, root: string): string {
  if (
    !/^net\/[\w./:@%+-]+$/.test(path) ||
    path.split("/").some((part) => part === ".." || part === "." || part === "")
  ) {
    throw new DriverError("invalid", `Cannot use kernel setting "${path}": it is no path below net/`);
  }
  return join(root, path);
}

const dotted = (path: string): string => path.replaceAll("/", ".");
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const CODES: Readonly<Record<string, DriverErrorCode>> = {
  ENOENT: "not-found",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  EINVAL: "invalid",
  EBUSY: "busy",
};

function codeOf(error: unknown): DriverErrorCode {
  if (error instanceof DriverError) return error.code;
  return CODES[(error as NodeJS.ErrnoException).code ?? ""] ?? "failed";
}

function throwAll(errors: readonly unknown[]): void {
  const [first] = errors;
  if (first === undefined) return;
  if (errors.length === 1) throw first;
  const code = first instanceof DriverError ? first.code : "failed";
  throw new DriverError(code, errors.map(messageOf).join("; "), new AggregateError(errors));
}
