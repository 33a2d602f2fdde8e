/**
 * A lab's hosts, its router and its outside machines are each a set of namespaces (mount, net, UTS, PID) kept alive by one
 * process, its PID 1, which also reaps zombies. When that process dies, the kernel ends everything inside.
 *
 * How a fresh process knows that they are ours: the holder's command line ends with `manx-lab NAME HOST`. There is no
 * list of process numbers on disk that could be wrong.
 */
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../drivers/error.ts";
import { findBinary } from "../drivers/exec.ts";
import {
  childrenOf,
  kill,
  type Process,
  pidNamespace,
  processes,
  processesIn,
  readProc,
  waitGone,
} from "../drivers/system/processes.ts";

const MARK = "manx-lab";

export interface Holder {
  readonly lab: string;
  readonly name: string;
  /** PID 1 of the namespaces, as seen from here. */
  readonly pid: number;
}

/** Starts namespaces that outlive this process, and waits until they are there. */
export async function startHolder(lab: string, name: string): Promise<Holder> {
  const unshare = findBinary("unshare");
  const busybox = findBinary("busybox");
  if (unshare === undefined) throw new DriverError("not-found", "Cannot make a host: there is no unshare (util-linux)");
  if (busybox === undefined)
    throw new DriverError("not-found", "Cannot make a host: there is no busybox (busybox-static)");
  const spaces = ["--mount", "--net", "--uts", "--pid", "--ipc", "--fork", "--kill-child=SIGKILL"];
  // While a shell waits for a child it reaps every other one too. Constant text: nothing of a user's is in it.
  const init = [busybox, "sh", "-c", "while sleep 3600; do :; done"];
  const child = spawn(unshare, [...spaces, "--propagation", "slave", "--", ...init, MARK, lab, name], {
    detached: true,
    stdio: "ignore",
    cwd: "/",
  });
  child.unref();
  for (let waited = 0; waited < 5000; waited += 10) {
    const begun = childrenOf(child.pid ?? 0).flatMap((process) => holderOf(process) ?? []);
    const found = begun.find((holder) => holder.lab === lab && holder.name === name);
    if (found !== undefined) return found;
    if (child.exitCode !== null) break;
    await sleep(10);
  }
  throw new DriverError("failed", `Cannot make namespaces for "${name}": unshare ended with status ${child.exitCode}`);
}

/** All holders, or those of one lab. */
export function findHolders(lab?: string): Holder[] {
  return processes().flatMap((process) => {
    const holder = holderOf(process);
    return holder === undefined || (lab !== undefined && holder.lab !== lab) ? [] : [holder];
  });
}

function holderOf({ pid, argv }: Process): Holder | undefined {
  const [mark, lab, name] = argv.slice(-3);
  // unshare itself has the same ending; PID 1 of the namespaces is its child.
  if (mark !== MARK || lab === undefined || name === undefined || argv[1] !== "sh") return undefined;
  return innerPid(pid) === 1 ? { lab, name, pid } : undefined;
}

/** Number of the process in its innermost PID namespace (proc_pid_status(5), NSpid). */
function innerPid(pid: number): number | undefined {
  const numbers = /^NSpid:\s*(.+)$/m.exec(readProc(pid, "status"))?.[1]?.split(/\s+/) ?? [];
  return numbers.length < 2 ? undefined : Number(numbers.at(-1));
}

/** The processes of a host, without its containers' (they have PID namespaces of their own). */
export function members(holder: Holder): Process[] {
  return processesIn(pidNamespace(holder.pid)).filter(({ pid }) => pid !== holder.pid);
}

/** Ends everything inside, containers included, and waits until it is gone. */
export async function endHolder(holder: Holder): Promise<void> {
  kill(holder.pid, "SIGKILL");
  await waitGone([holder.pid], 60_000); // a busy machine takes its time over many containers
}

/** Command line that runs another one inside. The working directory becomes the host's root. */
export function enter(holder: Holder, argv: readonly string[]): string[] {
  return ["nsenter", "--target", `${holder.pid}`, "--mount", "--net", "--uts", "--pid", "--ipc", "--", ...argv];
}

/** Like `enter`, with this machine's own files and processes: only the network is the host's. */
export function enterNetwork(holder: Holder, argv: readonly string[]): string[] {
  return ["nsenter", "--target", `${holder.pid}`, "--net", "--", ...argv];
}
