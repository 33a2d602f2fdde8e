/**
 * One request at a time to a Docker engine over its unix socket, with a limit on time and on size: a frozen engine must not
 * hold up who asks. Paths carry no API version: each engine answers in its own newest (1.40 to 1.55 are known to work).
 */
import { Agent, type IncomingMessage, request } from "node:http";
import { DriverError, type DriverErrorCode } from "../error.ts";

export interface EngineHttpOptions {
  /** The engine's socket; "/var/run/docker.sock" where nothing is said. */
  readonly socketPath?: string;
  /** Milliseconds for a whole call, from connecting to the last byte. */
  readonly timeout?: number;
}

export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  /** As the option of the same name, for this call alone. */
  readonly timeout?: number;
  /** For the text of errors: `list containers`. */
  readonly what: string;
}

const DEFAULT_SOCKET = "/var/run/docker.sock";
const DEFAULT_TIMEOUT = 10_000;
const MAX_ANSWER = 256 * 1024 * 1024;

export class EngineHttp implements AsyncDisposable {
  readonly socketPath: string;
  readonly #timeout: number;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });
  readonly #closed = new AbortController();

  constructor(options: EngineHttpOptions = {}) {
    this.socketPath = options.socketPath ?? DEFAULT_SOCKET;
    this.#timeout = options.timeout ?? DEFAULT_TIMEOUT;
  }

  /** The answer's JSON (undefined if it has no body). @throws DriverError; the signal's reason if the caller aborted. */
  async json(call: Call, signal?: AbortSignal): Promise<unknown> {
    const text = await this.text(call, signal);
    if (text.trim() === "") return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new DriverError("failed", `Cannot ${call.what}: Docker's answer is not JSON`, cause);
    }
  }

  async text(call: Call, signal?: AbortSignal): Promise<string> {
    using limit = new Limit(call.timeout ?? this.#timeout, [signal, this.#closed.signal]);
    try {
      const answer = await this.#send(call, limit.signal);
      const text = await readAll(answer);
      if (isRefusal(answer)) throw refusal(call.what, answer.statusCode ?? 0, text);
      return text;
    } catch (error) {
      throw this.#translate(call.what, error, limit, signal);
    }
  }

  /** The body as it comes, for as long as the signal lets it. Only the answer's head is under the time limit. */
  async stream(call: Call, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const limit = new Limit(call.timeout ?? this.#timeout, [signal, this.#closed.signal]);
    try {
      const answer = await this.#send(call, limit.signal);
      answer.once("close", () => limit[Symbol.dispose]());
      if (isRefusal(answer)) throw refusal(call.what, answer.statusCode ?? 0, await readAll(answer));
      limit.lift();
      return answer;
    } catch (error) {
      limit[Symbol.dispose]();
      throw this.#translate(call.what, error, limit, signal);
    }
  }

  /** A question over a connection that the engine had closed meanwhile is asked once more. */
  async #send(call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    try {
      return await this.#sendOnce(call, signal);
    } catch (error) {
      if (!(error instanceof StaleConnection) || call.method !== "GET") throw error;
      return this.#sendOnce(call, signal);
    }
  }

  #sendOnce({ method, path, body }: Call, signal: AbortSignal): Promise<IncomingMessage> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      host: "docker",
      ...(text !== undefined && { "content-type": "application/json", "content-length": Buffer.byteLength(text) }),
    };
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.socketPath, agent: this.#agent, method, path, headers, signal }, resolve);
      sent.on("error", (error) => {
        const isStale = sent.reusedSocket && errorCode(error) === "ECONNRESET";
        reject(isStale ? new StaleConnection(error.message, { cause: error }) : error);
      });
      sent.end(text);
    });
  }

  #translate(what: string, error: unknown, limit: Limit, signal: AbortSignal | undefined): unknown {
    if (error instanceof DriverError) return error;
    if (signal?.aborted === true) return signal.reason;
    const code = errorCode(error);
    if (limit.isOver)
      return new DriverError("timeout", `Cannot ${what}: Docker at "${this.socketPath}" does not answer`, error);
    if (code === "EACCES" || code === "EPERM")
      return new DriverError("denied", `Cannot ${what}: no permission to open "${this.socketPath}"`, error);
    if (code === "ENOENT" || code === "ECONNREFUSED")
      return new DriverError("unavailable", `Cannot ${what}: Docker is not running at "${this.socketPath}"`, error);
    const why = error instanceof Error ? error.message : String(error);
    return new DriverError("unavailable", `Cannot ${what}: the connection to Docker broke: ${why}`, error);
  }

  /** Closes the connections; calls in flight are cut. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the connections to Docker are closed"));
    this.#agent.destroy();
  }
}

class StaleConnection extends Error {}

/** Time that a call has, and who else may end it. Leaves nothing behind on signals that live longer than the call. */
class Limit implements Disposable {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout;
  readonly #sources: readonly AbortSignal[];
  isOver = false;

  constructor(milliseconds: number, sources: readonly (AbortSignal | undefined)[]) {
    this.#sources = sources.flatMap((source) => source ?? []);
    // In two halves: where this process itself stood still, the answer may lie there unread when a timer comes due.
    const over = (): void => {
      this.isOver = true;
      this.#controller.abort();
    };
    this.#timer = setTimeout(() => (this.#timer = setTimeout(over, milliseconds / 2)), milliseconds / 2);
    for (const source of this.#sources) {
      if (source.aborted) this.#end();
      else source.addEventListener("abort", this.#end);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  readonly #end = (): void => this.#controller.abort();

  /** From now on only the others end it. */
  lift(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const source of this.#sources) source.removeEventListener("abort", this.#end);
  }
}

function isRefusal({ statusCode = 0 }: IncomingMessage): boolean {
  return statusCode >= 400;
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_ANSWER) throw new DriverError("failed", "Cannot read Docker's answer: it is larger than 256 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function errorCode(error: unknown): string {
  if (typeof error !== "object" || error === null || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}

const CODES: ReadonlyMap<number, DriverErrorCode> = new Map([
  [400, "invalid"],
  [401, "denied"],
  [403, "denied"],
  [404, "not-found"],
  [409, "exists"],
  [503, "unavailable"],
]);

/** Docker says why in {"message": ...}. A network in use is a 403 (20.10 to 28) whose message says "has active endpoints". */
function refusal(what: string, status: number, text: string): DriverError {
  const why = message(text) ?? `HTTP status ${status}`;
  const code = why.includes("has active endpoints") ? "busy" : (CODES.get(status) ?? "failed");
  return new DriverError(code, `Cannot ${what}: ${why}`);
}

function message(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null || !("message" in parsed)) return undefined;
    return typeof parsed.message === "string" ? parsed.message.slice(0, 2000) : undefined;
  } catch {
    return text.trim() === "" ? undefined : text.trim().slice(0, 500);
  }
}
