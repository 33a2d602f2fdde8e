/**
 * One HTTP/1.1 request over a unix socket (RFC 9112), on a connection of its own.
 *
 * By hand over node:net, because loading node:http takes a command 45-75 ms and undici 80-120, more than all the rest of
 * `manx ls`; node:net takes 4. It speaks to our own server only: no redirects, no compression, no keep-alive, no trailers.
 */
import { connect, type Socket } from "node:net";

export interface HttpRequest {
  readonly socketPath: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string | undefined;
  /** Milliseconds until the head of the answer must be there. */
  readonly timeout?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** The body as it comes. To be read to its end or left: either closes the connection. */
  readonly body: AsyncIterable<Buffer>;
}

/** Rejects with the error of node:net (`code`), with code ETIMEDOUT, or with code EPROTO for what is no HTTP. */
export async function request(options: HttpRequest): Promise<HttpResponse> {
  const socket = connect({ path: options.socketPath });
  const abort = (): void => void socket.destroy(new Error("aborted"));
  options.signal?.addEventListener("abort", abort, { once: true });
  socket.once("close", () => options.signal?.removeEventListener("abort", abort));
  if (options.timeout !== undefined)
    socket.setTimeout(options.timeout, () => socket.destroy(problem("ETIMEDOUT", "no answer")));
  if (options.signal?.aborted) abort();
  socket.write(renderRequest(options));
  const reader = new Reader(socket);
  try {
    const head = parseHead(await reader.until("\r\n\r\n"));
    socket.setTimeout(0);
    return { status: head.status, body: closing(socket, readBody(reader, head)) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function renderRequest({ method, path, body }: HttpRequest): string {
  const lines = [`${method} ${path} HTTP/1.1`, "host: manx", "connection: close"];
  if (body !== undefined) lines.push("content-type: application/json", `content-length: ${Buffer.byteLength(body)}`);
  return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

interface Head {
  readonly status: number;
  readonly chunked: boolean;
  /** Undefined: the body ends with the connection. */
  readonly length: number | undefined;
}

function parseHead(text: string): Head {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.1 ([0-9]{3}) /.exec(`${first} `)?.[1];
  if (status === undefined) throw problem("EPROTO", "its answer is not HTTP");
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length = headers.get("content-length");
  const chunked = headers.get("transfer-encoding")?.toLowerCase() === "chunked";
  return { status: Number(status), chunked, length: length === undefined ? undefined : Number(length) };
}

async function* readBody(reader: Reader, { chunked, length }: Head): AsyncIterable<Buffer> {
  if (chunked) yield* readChunks(reader);
  else if (length !== undefined) yield await reader.take(length);
  else yield* reader.rest();
}

/** RFC 9112 section 7.1. Each chunk is handed on at once: an event must not wait for the next. */
async function* readChunks(reader: Reader): AsyncIterable<Buffer> {
  for (;;) {
    const size = Number.parseInt(await reader.until("\r\n"), 16);
    if (!Number.isInteger(size) || size < 0) throw problem("EPROTO", "its answer has a broken chunk");
    if (size === 0) return;
    yield await reader.take(size);
    await reader.take(2);
  }
}

async function* closing(socket: Socket, body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  try {
    yield* body;
  } finally {
    socket.destroy();
  }
}

/** Bytes of a socket, in portions that the caller chooses. */
class Reader {
  readonly #source: AsyncIterator<Buffer>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#source = socket.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  /** Text before the mark; the mark is eaten. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#buffer.indexOf(mark);
      if (at >= 0)
        return this.#cut(at + mark.length)
          .subarray(0, at)
          .toString("latin1");
      await this.#more();
    }
  }

  async take(size: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = size;
    while (missing > 0) {
      if (this.#buffer.length === 0) await this.#more();
      const part = this.#cut(Math.min(missing, this.#buffer.length));
      parts.push(part);
      missing -= part.length;
    }
    return Buffer.concat(parts);
  }

  async *rest(): AsyncIterable<Buffer> {
    yield this.#cut(this.#buffer.length);
    for (;;) {
      const { done, value } = await this.#source.next();
      if (done) return;
      yield value;
    }
  }

  #cut(size: number): Buffer {
    const part = this.#buffer.subarray(0, size);
    this.#buffer = this.#buffer.subarray(size);
    return part;
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#source.next();
    if (done) throw problem("ECONNRESET", "it closed the connection");
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
  }
}

const problem = (code: string, message: string): Error => Object.assign(new Error(message), { code });
