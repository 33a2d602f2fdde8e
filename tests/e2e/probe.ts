/** Probes: what a container, or a machine of a lab, reaches. Programs of this machine in that one's network, without a process in between. */
import { DriverError } from "../../src/drivers/error.ts";
import { type Result, type RunOptions, run } from "../../src/drivers/exec.ts";
import type { Machine } from "../../src/lab/host.ts";

/** Runs a command in the network alone of a container, whose process the host numbers `pid`, or of the machine itself. */
export function inNetwork(
  { machine, pid = 1 }: { readonly machine: Machine; readonly pid?: number | undefined },
  argv: readonly string[],
  options: RunOptions = {},
): Promise<Result> {
  return run(["nsenter", `--net=${machine.path(`/proc/${pid}/ns/net`)}`, "--", ...argv], options);
}

/** Whether a web server answers: the connection must stand after so many seconds, and a page come soon after. */
export async function fetches(
  from: { readonly machine: Machine; readonly pid?: number | undefined },
  address: string,
  port: number,
  seconds: number,
): Promise<boolean> {
  const argv = ["busybox", "nc", "-w", String(seconds), address, String(port)];
  try {
    const options = { input: "GET / HTTP/1.0\r\n\r\n", timeoutMs: 1000 * (seconds + 2) };
    const { code, stdout } = await inNetwork(from, argv, options);
    return code === 0 && stdout.includes("HTTP/1");
  } catch (error) {
    if (error instanceof DriverError && error.code === "timeout") return false;
    throw error;
  }
}
