/** Tells systemd how far we are (sd_notify(3)); nothing to do where systemd did not start us. */
import { run } from "../exec.ts";

/** `READY=1`, `STOPPING=1`, `STATUS=...`. Never throws: a service manager that does not listen is no reason to fail. */
export async function notify(
  state: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<void> {
  if (env["NOTIFY_SOCKET"] === undefined || env["NOTIFY_SOCKET"] === "") return;
  await run(["systemd-notify", `--pid=${process.pid}`, state]).catch(() => undefined);
}
