/** Network namespaces (network_namespaces(7)) by the path of a file that stands for one. */
import { closeSync, openSync } from "node:fs";
import { DriverError } from "../error.ts";
import { CLONE_NEWNET, setns } from "./libc.ts";

/**
 * Runs `action` with the main thread inside the namespace at `path` (`/var/run/netns/x`, `/proc/PID/ns/net`). Sockets and
 * files below /proc/sys/net that it opens keep belonging to that namespace. It must be synchronous: nothing else may run
 * meanwhile. Throws `not-found` where nothing is at the path, `invalid` where it is no network namespace.
 */
export function inNetworkNamespace<T>(path: string, action: () => T extends Promise<unknown> ? never : T): T {
  const home = openNamespace("/proc/thread-self/ns/net");
  try {
    const target = openNamespace(path);
    try {
      setns(target, CLONE_NEWNET);
    } catch (error) {
      throw new DriverError(
        "invalid",
        `Cannot enter the network namespace "${path}": it is not one, or not ours`,
        error,
      );
    } finally {
      closeSync(target);
    }
    try {
      return action();
    } finally {
      goHome(home);
    }
  } finally {
    closeSync(home);
  }
}

function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new DriverError("not-found", `Cannot open the network namespace "${path}": ${String(error)}`, error);
  }
}

function goHome(home: number): void {
  try {
    setns(home, CLONE_NEWNET);
  } catch (error) {
    // All that follows would be done to a stranger's namespace.
    console.error("Cannot return to the own network namespace:", error);
    process.abort();
  }
}
