/**
 * Hears from Docker of a stop before it happens: an authorization plugin (docs.docker.com/engine/extend/plugins_authorization) that allows
 * everything, and answers a request that will end a container only once the container is out of its services. Docker calls it only
 * where `authorization-plugins` in daemon.json names it; from then on Docker refuses every request that nobody answers here, so it
 * has a socket of its own that opens first of all and answers whatever happens.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Log } from "./context.ts";
import { listenAlone } from "./socket.ts";

/** The container that a request is about to end, and what it gives it to end by itself. */
export interface Stop {
  /** As the request names it. */
  readonly container: string;
  /** Seconds. */
  readonly timeout: number;
}

export interface StopGateOptions {
  readonly socketPath: string;
  /** Resolves when the container may be stopped. */
  readonly before: (stop: Stop, signal: AbortSignal) => Promise<void>;
  readonly log: Log;
}

/** Bytes. Docker puts at most 1 MiB of a request's body into it, as base64. */
const MAX_BODY = 8 * 1024 * 1024;
/** Milliseconds. Docker itself waits for 30 s and then refuses the request. */
const LIMIT = 28_000;
/** Seconds that Docker gives where a request says nothing (the container may say otherwise). */
const STOP_TIMEOUT = 10;
/** HUP, USR1, USR2, CHLD, CONT, STOP, TSTP, WINCH: programs live through them by custom (signal(7)). */
const HARMLESS_SIGNAL = /^(?:SIG)?(?:HUP|USR1|USR2|CHLD|CONT|STOP|TSTP|WINCH|1|10|12|17|18|19|20|28)$/i;

export class StopGate implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: StopGateOptions;
  readonly #abort = new AbortController();

  private constructor(options: StopGateOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.keepAliveTimeout = 0;
    this.#server.timeout = 0;
  }

  /** @throws DriverError "exists" if another agent answers at the socket */
  static async start(options: StopGateOptions): Promise<StopGate> {
    const gate = new StopGate(options);
    await listenAlone(gate.#server, options.socketPath);
    return gate;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = (request.url ?? "").replace(/^\//, "");
    try {
      const body = await bodyOf(request);
      if (call === "Plugin.Activate") return reply(response, { Implements: ["authz"] });
      const stop = call === "AuthZPlugin.AuthZReq" ? stopIn(body) : undefined;
      if (stop !== undefined)
        await this.#options.before(stop, AbortSignal.any([this.#abort.signal, AbortSignal.timeout(LIMIT)]));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.log("warn", "a container is stopped although it may still be in its services", { call, why });
    }
    reply(response, { Allow: true, Msg: "" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error("the agent is stopping"));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    setTimeout(() => this.#server.closeAllConnections(), 500).unref();
    await closed;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_BODY) chunks.push(chunk);
  }
  return length <= MAX_BODY ? Buffer.concat(chunks).toString("utf8") : "";
}

function reply(response: ServerResponse, answer: object): void {
  if (response.destroyed) return;
  const text = JSON.stringify(answer);
  response.writeHead(200, {
    "content-type": "application/vnd.docker.plugins.v1.2+json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** What AuthZReq asks for, if it will end a container: stop, restart, kill (but for signals that end nothing), rm -f. */
export function stopIn(body: string): Stop | undefined {
  const { RequestMethod: method, RequestUri: uri } = JSON.parse(body === "" ? "{}" : body) as Record<string, unknown>;
  if (typeof method !== "string" || typeof uri !== "string") return undefined;
  const [path = "", query = ""] = uri.split("?", 2);
  const [, name, action] = /^(?:\/v[0-9.]+)?\/containers\/([^/]+)(?:\/([a-z]+))?$/.exec(path) ?? [];
  if (name === undefined) return undefined;
  const asked = new URLSearchParams(query);
  const container = decodeURIComponent(name);
  if (method === "DELETE" && action === undefined)
    return isTrue(asked.get("force")) ? { container, timeout: 0 } : undefined;
  if (method !== "POST") return undefined;
  if (action === "kill") return isHarmless(asked.get("signal") ?? "") ? undefined : { container, timeout: 0 };
  if (action !== "stop" && action !== "restart") return undefined;
  const given = Number(asked.get("t") ?? STOP_TIMEOUT);
  return { container, timeout: Number.isFinite(given) && given >= 0 ? given : STOP_TIMEOUT };
}

/** Whether a container lives through the signal, as `HUP`, `SIGHUP` or `1`. */
export function isHarmless(signal: string): boolean {
  return HARMLESS_SIGNAL.test(signal);
}

/** As the engine reads it (httputils.BoolValue): anything but these is true. */
function isTrue(text: string | null): boolean {
  return !["", "0", "no", "false", "none"].includes((text ?? "").trim().toLowerCase());
}
