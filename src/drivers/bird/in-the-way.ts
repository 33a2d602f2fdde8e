/** Who else routes on this host: a BIRD that is not ours, or a program that listens at our port. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** /proc/net/tcp (proc(5)): state of a socket that listens. */
const LISTEN = "0A";

/** What stands in the way, in words; undefined: nothing. `ours` is the process that may. */
export function inTheWay(ports: readonly number[], ours?: number): string | undefined {
  const bird = processIds().find((pid) => pid !== ours && isDaemon(pid) && sharesNetwork(pid));
  if (bird !== undefined)
    return `another BIRD runs here (process ${bird}): two would remove each other's routes from the kernel`;
  for (const port of ports) {
    const inode = listener(port);
    const pid = inode === undefined ? undefined : owner(inode);
    if (inode === undefined || (ours !== undefined && pid === ours)) continue;
    return `${pid === undefined ? "another program" : `${nameOf(pid)} (process ${pid})`} listens at port ${port}`;
  }
  return undefined;
}

/** Inode of the socket that listens at the port in this network namespace. */
function listener(port: number): string | undefined {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  for (const file of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of read(file).split("\n").slice(1)) {
      const columns = line.trim().split(/ +/);
      if (columns[3] === LISTEN && columns[1]?.endsWith(`:${hex}`)) return columns[9];
    }
  }
  return undefined;
}

function owner(inode: string): number | undefined {
  return processIds().find((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`);
    } catch {
      return false; // gone, or not ours to look at
    }
  });
}

function processIds(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A BIRD that routes. `bird -p` only reads a configuration; a process that starts or ends this moment has no command line. */
function isDaemon(pid: number): boolean {
  if (!isBird(pid)) return false;
  const argv = read(`/proc/${pid}/cmdline`).split("\0");
  return argv[0] !== "" && !argv.includes("-p");
}

/** Until it has ended: a process that ends has no command line long before its sockets are closed. proc_pid_stat(5) */
export function isBird(pid: number): boolean {
  return /^\d+ \(bird\) [^ZX]/.test(read(`/proc/${pid}/stat`));
}

function nameOf(pid: number): string {
  return read(`/proc/${pid}/comm`).trim();
}

function sharesNetwork(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync("/proc/self/ns/net");
  } catch {
    return false;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
