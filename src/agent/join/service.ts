/**
 * Lets hosts in: listens only while there is a token that somebody may use, with a certificate of the cluster's CA that the token
 * pins. Only a host that has the key of the CA can do this.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Node } from "../../core/model/resources.ts";
import { DriverError } from "../../drivers/error.ts";
import type { Store } from "../../drivers/store/store.ts";
import { formatJoinLine, JOIN_NAME, JOIN_PORT } from "../../install/cluster/join-line.ts";
import { type JoinAnswer, JoinRequest } from "../../install/cluster/join-protocol.ts";
import { Authority, PKI_FOLDER } from "../../install/pki/authority.ts";
import type { Logger } from "../log.ts";
import { admit, Refused } from "./admission.ts";
import { type Token, Tokens } from "./tokens.ts";

export interface JoinServiceOptions {
  readonly store: Store;
  readonly nodes: () => readonly Node[];
  /** This host's addresses, best first. */
  readonly addresses: () => readonly string[];
  readonly access: (signal: AbortSignal) => Promise<JoinAnswer["store"]>;
  readonly log: Logger;
  readonly folder?: string;
  readonly port?: number;
}

const MAX_BODY = 16 * 1024;
const LOOK_MS = 5000;

export class JoinService implements AsyncDisposable {
  readonly #options: JoinServiceOptions;
  readonly #tokens: Tokens;
  readonly #closed = new AbortController();
  #server: Server | undefined;
  #look: NodeJS.Timeout | undefined;

  constructor(options: JoinServiceOptions) {
    this.#options = options;
    this.#tokens = new Tokens(options.store);
  }

  get #folder(): string {
    return this.#options.folder ?? PKI_FOLDER;
  }

  /** @returns the token and the line for `manx join`; the only time that the secret is told */
  async create(
    ask: { readonly ttl: number; readonly host?: string | undefined; readonly etcd: boolean },
    signal: AbortSignal,
  ): Promise<{ readonly token: Token; readonly line: string }> {
    const addresses = this.#options.addresses();
    if (addresses.length === 0)
      throw new DriverError("failed", "Cannot make a token: this host has no address that others could reach");
    const authority = await Authority.ensure(this.#folder);
    const { token, secret } = await this.#tokens.create(ask, signal);
    await this.#listen(authority);
    const port = this.#options.port ?? JOIN_PORT;
    const endpoints = addresses.map((address) => `${address.includes(":") ? `[${address}]` : address}:${port}`);
    return { token, line: formatJoinLine({ endpoints, fingerprint: authority.fingerprint, id: token.id, secret }) };
  }

  async list(signal: AbortSignal): Promise<Token[]> {
    return (await this.#tokens.list(signal)).map(({ token }) => token);
  }

  async remove(id: string, signal: AbortSignal): Promise<void> {
    await this.#tokens.remove(id, signal);
    await this.resume(signal);
  }

  /** Listens if a token is open, stops if none is: at start, and whenever that may have changed. */
  async resume(signal: AbortSignal = this.#closed.signal): Promise<void> {
    if (!Authority.isIn(this.#folder)) return;
    const open = (await this.#tokens.list(signal)).some(({ token }) => this.#tokens.isOpen(token));
    if (open) await this.#listen(await Authority.open(this.#folder));
    else await this.#stop();
  }

  async #listen(authority: Authority): Promise<void> {
    if (this.#server !== undefined) return;
    const { certificate, key } = authority.issue("join", ["server"], [JOIN_NAME]);
    const server = createServer(
      // The CA's certificate goes along: whoever joins knows only its fingerprint.
      { cert: certificate + authority.certificate, key, minVersion: "TLSv1.3", requestTimeout: 10_000 },
      (request, response) => void this.#answer(request, response, authority),
    );
    server.on("tlsClientError", () => {});
    const { port = JOIN_PORT, log } = this.#options;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause: NodeJS.ErrnoException) =>
        reject(new DriverError("failed", `Cannot let hosts in: port ${port} cannot be opened (${cause.code})`, cause)),
      );
      server.listen(port, "::", () => resolve());
    });
    this.#server = server;
    log.info({ port }, "hosts with a token are let in");
    this.#look = setInterval(() => void this.resume().catch(() => {}), LOOK_MS).unref();
  }

  async #stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    clearInterval(this.#look);
    if (server === undefined) return;
    this.#options.log.info("no host is let in any more: no token is left");
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      setTimeout(() => server.closeAllConnections(), 2000).unref();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse, authority: Authority): Promise<void> {
    const { store, nodes, access, log } = this.#options;
    const reply = (status: number, body: unknown): void => {
      response.writeHead(status, { "content-type": "application/json", connection: "close" });
      response.end(JSON.stringify(body));
    };
    try {
      if (request.method !== "POST" || request.url !== "/v1/join")
        return reply(404, { message: "there is no such path" });
      const parsed = JoinRequest.safeParse(JSON.parse(await bodyOf(request)));
      if (!parsed.success) return reply(400, { message: "the request does not read: is its manx of another version?" });
      const options = { store, tokens: this.#tokens, authority, nodes, access };
      const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(15_000)]);
      const answer = await admit(parsed.data, options, signal);
      log.info({ host: parsed.data.host, from: request.socket.remoteAddress }, "a host has joined");
      reply(200, answer);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      log.warn({ from: request.socket.remoteAddress, why: message }, "a host was not let in");
      if (error instanceof Refused) reply(403, { message });
      else reply(error instanceof SyntaxError ? 400 : 503, { message });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the agent is stopping"));
    this.#server?.closeAllConnections();
    await this.#stop();
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) throw new SyntaxError("the request is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
