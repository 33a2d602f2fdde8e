/**
 * Docker's side of the plugin: HTTP on a unix socket. No content type is sent, a call without arguments has no content, and a
 * call whose connection breaks is repeated without its content, so nothing is closed that Docker might be about to use.
 *
 * Errors: HTTP 200 with `Err` (read by the network side) and `Error` (read by the IPAM side), the same sentence in both.
 * Only what is not the protocol at all gets another status.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Answer, Call } from "./calls.ts";
import type { Log } from "./context.ts";
import { sentenceOf } from "./errors.ts";
import { listenAlone } from "./socket.ts";

/** Bytes. The largest real message has 7 MiB: a container that publishes all ports of a protocol (`-p 1-65535:1-65535`). */
export const MAX_BODY = 16 * 1024 * 1024;
/** Milliseconds for a message to arrive, and for an answer to be made. */
const BODY_LIMIT = 10_000;
const ANSWER_LIMIT = 30_000;

export interface ServerOptions {
  /** Where Docker looks for the driver "manx". */
  readonly socketPath?: string;
  readonly calls: ReadonlyMap<string, Call>;
  readonly log: Log;
  /** Told of each call that was answered: for metrics. */
  readonly onCall?: (name: string, milliseconds: number, failed: boolean) => void;
  /** Milliseconds, for tests. */
  readonly bodyLimit?: number;
  /** Bytes of a message, for tests. */
  readonly maxBody?: number;
}

const PLUGIN_SOCKET = "/run/docker/plugins/manx.sock";

export class PluginServer implements AsyncDisposable {
  /** The last one listens; those before it have lost their socket, and keep the connections that they have. */
  readonly #servers: Server[] = [];
  readonly #options: ServerOptions;
  readonly #abort = new AbortController();
  readonly #underWay = new Set<Promise<void>>();

  private constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** @throws DriverError "exists" if another agent answers at the socket */
  static async start(options: ServerOptions): Promise<PluginServer> {
    const server = new PluginServer(options);
    await server.listen();
    return server;
  }

  /** Again, where somebody has removed the socket. @throws DriverError "exists" if anybody answers at the socket */
  async listen(): Promise<void> {
    const server = createServer((request, response) => {
      const work = this.#take(request, response);
      this.#underWay.add(work);
      void work.finally(() => this.#underWay.delete(work));
    });
    // Docker keeps idle connections. If we closed one just as it sends, the call would be repeated without its content.
    server.keepAliveTimeout = 0;
    server.timeout = 0;
    server.requestTimeout = 0; // the body's time is kept below, with an answer that says so
    await listenAlone(server, this.#options.socketPath ?? PLUGIN_SOCKET);
    this.#servers.push(server);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = (request.url ?? "").replace(/^\//, "");
    const call = this.#options.calls.get(name);
    if (request.method !== "POST" || call === undefined) {
      const asked = JSON.stringify(name.slice(0, 80));
      const [status, why] =
        call === undefined ? [404, `Manx has no call ${asked}`] : [405, `The call ${asked} is made with POST`];
      return reply(response, status, errorAnswer(why), true);
    }
    const begun = performance.now();
    let failed = false;
    try {
      const { bodyLimit = BODY_LIMIT, maxBody = MAX_BODY } = this.#options;
      const body = await readBody(request, bodyLimit, maxBody);
      const limit = AbortSignal.any([this.#abort.signal, AbortSignal.timeout(ANSWER_LIMIT)]);
      reply(response, 200, await call(body, limit));
    } catch (error) {
      failed = true;
      if (error instanceof BodyError) reply(response, error.status, errorAnswer(error.message), true);
      else reply(response, 200, errorAnswer(this.#explain(name, error)));
    }
    this.#options.onCall?.(name, performance.now() - begun, failed);
  }

  #explain(name: string, error: unknown): string {
    const { log } = this.#options;
    const sentence = sentenceOf(error);
    if (sentence === undefined) {
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log("error", `${name} failed unexpectedly`, { stack });
      return `Cannot answer ${name}: something unforeseen went wrong in Manx. Its log has the details (manx doctor tells where)`;
    }
    log("warn", `${name} was refused`, { why: sentence });
    return sentence;
  }

  /** Lets the calls under way finish, for up to the time that an answer may take. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = Promise.all(
      this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
    for (const server of this.#servers) server.closeIdleConnections();
    const soon = setTimeout(() => this.#abort.abort(new Error("the agent is stopping")), 2000);
    await Promise.allSettled(this.#underWay);
    clearTimeout(soon);
    this.#abort.abort(new Error("the agent is stopping"));
    for (const server of this.#servers) server.closeAllConnections();
    await closed;
  }
}

class BodyError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The whole body as text. @throws BodyError */
async function readBody(request: IncomingMessage, limit: number, most: number): Promise<string> {
  if (Number(request.headers["content-length"] ?? 0) > most) throw tooLarge(most);
  const whole = await gather(request, limit, most);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch {
    throw new BodyError(400, "Cannot read the request: it is not UTF-8");
  }
}

/** Nothing is destroyed on the way: who sends too much or too slowly gets an answer. @throws BodyError */
function gather(request: IncomingMessage, limit: number, most: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const end = (settle: () => void): void => {
      clearTimeout(late);
      request.off("data", take);
      settle();
    };
    const refuse = (error: BodyError): void => {
      request.pause(); // before "data" has no listener, or the rest would be read to its end
      end(() => reject(error));
    };
    const late = setTimeout(() => refuse(new BodyError(408, "Cannot read the request: it took too long")), limit);
    const take = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > most) refuse(tooLarge(most));
      else chunks.push(chunk);
    };
    const broken = (): void => refuse(new BodyError(400, "Cannot read the request: the connection broke"));
    request.on("data", take).once("end", () => end(() => resolve(Buffer.concat(chunks))));
    request.once("error", broken).once("close", broken);
  });
}

function tooLarge(most: number): BodyError {
  return new BodyError(413, `Cannot read the request: it is larger than ${most} bytes`);
}

function errorAnswer(message: string): Answer {
  return { Err: message, Error: message };
}

function reply(response: ServerResponse, status: number, answer: Answer, close = false): void {
  if (response.destroyed) return;
  const text = JSON.stringify(answer);
  response.writeHead(status, {
    "content-type": "application/vnd.docker.plugins.v1.2+json",
    "content-length": Buffer.byteLength(text),
    // What is left of a body that nobody will read would be taken for the next call.
    ...(close && { connection: "close" }),
  });
  response.end(text);
}
