/**
 * The dashboard, served by the agent: the page of page/, and the API behind a gate. It keeps no state but the token's file.
 * Where it cannot listen the agent goes on without it, and tries again.
 */
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { UiView } from "../api/schema/ui.ts";
import type { ListenAddress } from "../core/net/listen-address.ts";
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";
import { formatListenAddress, isLoopback } from "./address.ts";
import { Gate, type GateOptions } from "./gate.ts";
import { Page } from "./page.ts";
import { newToken } from "./sessions.ts";

export interface DashboardOptions {
  readonly address: ListenAddress;
  /** PEM. Without them it speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly tokenFile: string;
  readonly names: readonly string[];
  /** Told when it cannot listen, and (undefined) when it can again. */
  readonly onTrouble?: (why: string | undefined) => void;
}

const AGAIN_AFTER = 30_000;
const CONNECTIONS = 256;

export class Dashboard implements AsyncDisposable {
  readonly #options: DashboardOptions;
  readonly #gate: Gate;
  readonly #page = new Page();
  #server: Server | undefined;
  #trouble: string | undefined;
  #again: NodeJS.Timeout | undefined;
  #token: Promise<string> | undefined;

  private constructor(options: DashboardOptions, api: GateOptions["api"]) {
    this.#options = options;
    const { names, tls } = options;
    this.#gate = new Gate({ api, page: this.#page, names, secure: tls !== undefined, token: () => this.token() });
  }

  /** Resolves when it listens, or has found that it cannot. */
  static async open(options: DashboardOptions, api: GateOptions["api"]): Promise<Dashboard> {
    const dashboard = new Dashboard(options, api);
    await dashboard.#listen();
    return dashboard;
  }

  /** Made when first asked for. */
  token(): Promise<string> {
    this.#token ??= this.#readToken().catch((error: unknown) => {
      this.#token = undefined;
      throw error;
    });
    return this.#token;
  }

  /** Another token; whoever is logged in has to log in again. */
  async renew(): Promise<void> {
    const token = newToken();
    await writeFileAtomic(this.#options.tokenFile, `${token}\n`, 0o600);
    this.#token = Promise.resolve(token);
  }

  async view(): Promise<UiView> {
    if (this.#trouble !== undefined) return { state: "failed", why: this.#trouble };
    void this.#page.warm(); // a browser comes with the link
    const url = this.#url();
    const token = await this.token();
    return { state: "on", url, token, link: `${url}#token=${token}` };
  }

  #url(): string {
    const { address, tls, names } = this.#options;
    const bound = this.#server?.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : address.port;
    // A certificate is for a name.
    const host = isLoopback(address) ? address.address : (names[0] ?? address.address);
    return `${tls === undefined ? "http" : "https"}://${formatListenAddress({ address: host, port })}/`;
  }

  async #readToken(): Promise<string> {
    const found = (await readIfExists(this.#options.tokenFile))?.trim();
    if (found !== undefined && /^[\w-]{43}$/.test(found)) return found;
    const token = newToken();
    await writeFileAtomic(this.#options.tokenFile, `${token}\n`, 0o600);
    return token;
  }

  async #listen(): Promise<void> {
    const { address, onTrouble } = this.#options;
    const server = await this.#makeServer();
    const trouble = await new Promise<string | undefined>((resolve) => {
      server.once("error", (error) => resolve(error.message));
      server.listen(address.port, address.address, () => resolve(undefined));
    });
    this.#trouble = trouble === undefined ? undefined : `Cannot listen on ${formatListenAddress(address)}: ${trouble}`;
    onTrouble?.(this.#trouble);
    if (trouble === undefined) {
      server.on("error", () => {}); // of one connection: it is closed
      this.#server = server;
    } else this.#again = setTimeout(() => void this.#listen(), AGAIN_AFTER).unref();
  }

  async #makeServer(): Promise<Server> {
    const { tls } = this.#options;
    const fetch = (request: Request, env: unknown): Promise<Response> => this.#gate.answer(request, peerOf(env));
    const server = createAdaptorServer(
      tls === undefined
        ? { fetch }
        : {
            fetch,
            createServer: (await import("node:https")).createServer,
            serverOptions: { ...tls, minVersion: "TLSv1.2" },
          },
    ) as Server;
    server.maxConnections = CONNECTIONS;
    server.requestTimeout = 60_000;
    server.headersTimeout = 10_000;
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#again);
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }
}

function peerOf(env: unknown): string {
  const { incoming } = env as { readonly incoming?: { readonly socket?: { readonly remoteAddress?: string } } };
  return incoming?.socket?.remoteAddress ?? "";
}
