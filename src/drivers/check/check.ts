/** Whether a program answers at an address and port: by a TCP connection, or by a page (RFC 9110). One attempt; never throws. */
import { request } from "node:http";
import { connect } from "node:net";

export interface CheckTarget {
  readonly address: string;
  readonly port: number;
  /** Asked for by HTTP; absent: a connection is enough. */
  readonly path?: string;
}

export function check(target: CheckTarget, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return target.path === undefined
    ? accepts(target, timeoutMs, signal)
    : answers({ ...target, path: target.path }, timeoutMs, signal);
}

function accepts({ address, port }: CheckTarget, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const end = (good: boolean): void => {
      clearTimeout(late);
      signal.removeEventListener("abort", stop);
      socket.destroy();
      resolve(good);
    };
    const stop = (): void => end(false);
    const late = setTimeout(stop, timeoutMs);
    signal.addEventListener("abort", stop, { once: true });
    socket.once("connect", () => end(true)).on("error", stop);
  });
}

/** Any answer from 200 to 399; what comes after its head is not read. */
function answers(
  { address, port, path }: Required<CheckTarget>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request({
      host: address,
      port,
      path,
      agent: false,
      headers: { "user-agent": "manx", connection: "close" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    asked.once("response", (response) => {
      const { statusCode = 0 } = response;
      response.on("error", () => {}).destroy();
      resolve(statusCode >= 200 && statusCode < 400);
    });
    asked.on("error", () => resolve(false)).end();
  });
}
