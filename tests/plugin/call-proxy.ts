/**
 * Stands between a real engine and a real agent, to break off a call at a chosen moment: the engine sees what it would see if the
 * agent were killed just then. While the agent is away, calls wait here, as they would for the engine's next attempt.
 */
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** When the agent dies: as the call arrives, while it is at work on it, or when it has answered and nobody has heard it. */
export type Moment = "before" | "during" | "after";

export interface Seen {
  readonly name: string;
  readonly body: string;
  readonly answer: string;
}

export class CallProxy implements AsyncDisposable {
  /** Every call that was answered, in order. */
  readonly seen: Seen[] = [];
  /** Answers every call with an error that the engine does not try again after. */
  refuse = false;
  readonly #agentSocket: string;
  readonly #server: Server;
  readonly #stop = new AbortController();
  #trap: { readonly call: string; readonly moment: Moment; readonly kill: () => Promise<void> } | undefined;

  private constructor(agentSocket: string) {
    this.#agentSocket = agentSocket;
    this.#server = createServer((incoming, response) => {
      this.#take(incoming, response).catch(() => incoming.socket.destroy());
    });
    this.#server.keepAliveTimeout = 0;
  }

  /** Listens where the engine looks, and passes on to where the agent listens. */
  static async start(engineSide: string, agentSocket: string): Promise<CallProxy> {
    const proxy = new CallProxy(agentSocket);
    mkdirSync(dirname(engineSide), { recursive: true });
    rmSync(engineSide, { force: true });
    proxy.#server.listen(engineSide);
    await once(proxy.#server, "listening");
    return proxy;
  }

  /** The next such call kills the agent. */
  trap(call: string, moment: Moment, kill: () => Promise<void>): void {
    this.#trap = { call, moment, kill };
  }

  /** Whether the trap is still open. */
  get armed(): boolean {
    return this.#trap !== undefined;
  }

  async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    if (incoming.method !== "POST") return void response.writeHead(404).end();
    if (this.refuse) return void response.writeHead(500).end();
    const name = (incoming.url ?? "").slice(1);
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const trap = this.#trap?.call === name ? this.#trap : undefined;
    if (trap !== undefined) {
      this.#trap = undefined;
      if (trap.moment === "before") await trap.kill();
      else await this.#kill(name, body, trap.moment, trap.kill);
      incoming.socket.destroy();
      return;
    }
    const answer = await this.#forward(name, body);
    this.seen.push({ name, body, answer });
    response.writeHead(200, { "content-length": Buffer.byteLength(answer) }).end(answer);
  }

  async #kill(name: string, body: string, moment: Moment, kill: () => Promise<void>): Promise<void> {
    const answered = ask(this.#agentSocket, name, body).catch(() => "");
    if (moment === "after") await answered;
    await kill();
  }

  /** Waits for an agent that is away. */
  async #forward(name: string, body: string): Promise<string> {
    for (;;) {
      try {
        return await ask(this.#agentSocket, name, body);
      } catch {
        await sleep(20, undefined, { signal: this.#stop.signal });
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

function ask(socketPath: string, name: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { "content-length": Buffer.byteLength(body), host: "" };
    const call = request({ socketPath, path: `/${name}`, method: "POST", headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => resolve(text));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
  });
}
