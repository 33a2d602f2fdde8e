/** One listener at a unix socket: what a killed process left is replaced, a living one is not. */
import { once } from "node:events";
import { lstat, mkdir, unlink } from "node:fs/promises";
import { connect, type Server } from "node:net";
import { dirname } from "node:path";
import { DriverError } from "../../drivers/error.ts";

/** Milliseconds to see whether somebody accepts at the socket. */
const PROBE_LIMIT = 2000;

/** Listens at the path with mode 0600. @throws DriverError "exists": another process listens there, or something else is there */
export async function listenAlone(server: Server, path: string): Promise<void> {
  const what = `Cannot open the plugin socket "${path}"`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await clear(path, what);
    await listen(server, path);
  } catch (error) {
    if (error instanceof DriverError) throw error;
    const code = codeOf(error);
    if (code === "EADDRINUSE") throw new DriverError("exists", `${what}: another process took it just now`, error);
    const denied = code === "EACCES" || code === "EPERM" || code === "EROFS";
    throw new DriverError(
      denied ? "denied" : "failed",
      `${what}: ${error instanceof Error ? error.message : code}`,
      error,
    );
  }
}

async function clear(path: string, what: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new DriverError("exists", `${what}: there is something that is not a socket. Remove it`);
  if (await isAlive(path))
    throw new DriverError("exists", `${what}: another agent runs and answers there. manx status shows it`);
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== "ENOENT") throw error;
  });
}

/** The kernel refuses connections to a socket whose process is gone; anything else may be a living one. */
async function isAlive(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(PROBE_LIMIT) });
    return true;
  } catch (error) {
    return !["ECONNREFUSED", "ENOENT"].includes(codeOf(error));
  } finally {
    socket.destroy();
  }
}

/** The mode must hold from the first moment on, so it comes from the umask: bind(2) makes the file within `listen`. */
async function listen(server: Server, path: string): Promise<void> {
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, "listening");
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}
