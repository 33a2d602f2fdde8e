/** Serves an app on a unix socket that only root can open. */
import { lstat, mkdir, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { connect } from "node:net";
import { dirname } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { ApiError } from "./error.ts";
import { SOCKET_PATH } from "./socket.ts";

export interface ServerHandle extends AsyncDisposable {
  readonly path: string;
}

/**
 * Listens on `path` with mode 0600; a socket that a dead agent left is replaced, a live one is not.
 * Throws `ApiError` "exists" if somebody answers there, "denied" or "unavailable" if the socket cannot be made.
 * Disposal ends open connections, waits for none of them, and removes the socket.
 */
export async function serve(
  app: { readonly fetch: (request: Request) => Response | Promise<Response> },
  path: string = SOCKET_PATH,
): Promise<ServerHandle> {
  await mkdir(dirname(path), { recursive: true, mode: 0o755 });
  await removeStale(path);
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  server.requestTimeout = 60_000;
  await listen(server, path);
  return {
    path,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(cannotListen(path, error)));
    // The socket is bound within listen(); with the umask it never exists with a wider mode, which chmod would not achieve.
    const umask = process.umask(0o177);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(umask);
    }
  });
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new ApiError("exists", `Cannot listen on "${path}": something that is no socket is in the way`, {
      remedy: `Look at it, then: rm ${path}`,
    });
  if (await answers(path))
    throw new ApiError("exists", `Cannot listen on "${path}": another agent runs`, { remedy: "systemctl stop manx" });
  await unlink(path).catch((error: unknown) => {
    throw cannotListen(path, error);
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function cannotListen(path: string, error: unknown): ApiError {
  const denied = error instanceof Error && "code" in error && (error.code === "EACCES" || error.code === "EPERM");
  const why = error instanceof Error ? error.message : String(error);
  return new ApiError(denied ? "denied" : "unavailable", `Cannot listen on "${path}": ${why}`, {
    ...(denied && { remedy: "The agent runs as root." }),
    cause: error,
  });
}
