/**
 * One request at a time to a Docker engine over its unix socket, with a limit on time and on size: a frozen engine must not
 * hold up who asks. Paths carry no API version: each engine answers in its own newest (1.40 to 1.55 are known to work).
 */
import { type Dispatcher, Pool } from "undici";
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
  readonly #pool: Pool;

  constructor(options: EngineHttpOptions = {}) {
    this.socketPath = options.socketPath ?? DEFAULT_SOCKET;
    this.#timeout = options.timeout ?? DEFAULT_TIMEOUT;
    this.#pool = new Pool("http://docker", {
      socketPath: this.socketPath,
      connections: 16,
      // Time is kept by our own signal, over all of a call; undici's limits would only cover its parts.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
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
    const timeout = AbortSignal.timeout(call.timeout ?? this.#timeout);
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    try {
      const answer = await this.#send(call, both);
      const text = await readAll(answer.body);
      if (answer.statusCode >= 400) throw refusal(call.what, answer.statusCode, text);
      return text;
    } catch (error) {
      throw this.#translate(call.what, error, signal);
    }
  }

  /** The body as it comes, for as long as the signal lets it. Only the answer's head is under the time limit. */
  async stream(call: Call, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const head = new AbortController();
    const timer = setTimeout(() => head.abort(), call.timeout ?? this.#timeout);
    try {
      const answer = await this.#send(call, AbortSignal.any([signal, head.signal]));
      if (answer.statusCode >= 400) throw refusal(call.what, answer.statusCode, await readAll(answer.body));
      return answer.body;
    } catch (error) {
      throw this.#translate(call.what, error, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  #send(call: Call, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, path } = call;
    if (call.body === undefined) return this.#pool.request({ method, path, signal });
    const headers = { "content-type": "application/json" };
    return this.#pool.request({ method, path, headers, body: JSON.stringify(call.body), signal });
  }

  #translate(what: string, error: unknown, signal: AbortSignal | undefined): unknown {
    if (error instanceof DriverError) return error;
    if (signal?.aborted === true) return signal.reason;
    const code = errorCode(error);
    if (isAbort(error))
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
    await this.#pool.destroy();
  }
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

function isAbort(error: unknown): boolean {
  const named = error instanceof Error ? error.name : "";
  return named === "AbortError" || named === "TimeoutError" || errorCode(error) === "UND_ERR_ABORTED";
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
