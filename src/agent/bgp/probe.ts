/** Sends packets towards a peer, to tell a network that does not carry them from a router that does not speak BGP. */
import { createConnection } from "node:net";
import type { Session } from "../../core/bgp/state.ts";
import { run } from "../../drivers/exec.ts";

const PATIENCE_MS = 2000;

/** One sentence: whether the peer answers pings, and whether anything listens at its BGP port. */
export async function probePeer(session: Session, signal?: AbortSignal): Promise<string | undefined> {
  const { remote, remotePort, source } = session;
  if (remote.kind === "range") return undefined;
  const target = remote.address + (remote.interface === undefined ? "" : `%${remote.interface}`);
  const [answers, port] = await Promise.all([ping(target, source, signal), knock(target, remotePort, source)]);
  const words = { open: "is open", refused: "is closed", silent: "does not answer" }[port];
  return `${target} ${answers ? "answers" : "does not answer"} pings, its port ${remotePort} ${words}`;
}

async function ping(target: string, source: string | undefined, signal?: AbortSignal): Promise<boolean> {
  const from = source === undefined ? [] : ["-I", source];
  const options = { timeoutMs: PATIENCE_MS + 1000, ...(signal === undefined ? {} : { signal }) };
  const result = await run(["ping", "-n", "-c", "1", "-W", "1", ...from, target], options).catch(() => undefined);
  return result?.code === 0;
}

function knock(host: string, port: number, localAddress: string | undefined): Promise<"open" | "refused" | "silent"> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, ...(localAddress === undefined ? {} : { localAddress }) });
    socket.setTimeout(PATIENCE_MS);
    const end = (how: "open" | "refused" | "silent") => (): void => {
      socket.destroy();
      resolve(how);
    };
    socket.once("connect", end("open"));
    socket.once("timeout", end("silent"));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED" ? "refused" : "silent")());
  });
}
