/** DNS over UDP and TCP (RFC 1035 section 4.2, RFC 7766) on one address of this host. Only octets: what they mean is not decided here. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { DriverError } from "../error.ts";

export interface Question {
  readonly message: Uint8Array;
  /** Address that it came from. */
  readonly from: string;
  readonly transport: "udp" | "tcp";
}

export interface ListenerOptions {
  readonly address: string;
  /** Default 53. */
  readonly port?: number;
  /** Undefined: nothing is said. Must not throw. */
  readonly answer: (question: Question) => Promise<Uint8Array | undefined>;
}

const PORT = 53;
/** A question of 255 octets with all that can come with it is far below. */
const MOST_QUESTION = 4096;
const MOST_CONNECTIONS = 128;
const MOST_CONNECTIONS_OF_ONE = 8;
/** Questions of one connection that are being answered. */
const MOST_PENDING = 16;
/** Milliseconds (RFC 7766 section 6.2.3). */
const IDLE = 5_000;

export class DnsListener implements AsyncDisposable {
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Map<Socket, string>();

  private constructor(udp: UdpSocket, tcp: Server) {
    this.#udp = udp;
    this.#tcp = tcp;
  }

  /** @throws DriverError: "busy" where somebody has the port, "not-found" while the host has no such address */
  static async open({ address, port = PORT, answer }: ListenerOptions): Promise<DnsListener> {
    const udp = createSocket(address.includes(":") ? { type: "udp6", ipv6Only: true } : { type: "udp4" });
    const tcp = createServer();
    const listener = new DnsListener(udp, tcp);
    try {
      await started(udp, () => udp.bind({ address, port, exclusive: true }));
      await started(tcp, () =>
        tcp.listen({ host: address, port: udp.address().port, exclusive: true, ipv6Only: true }),
      );
    } catch (error) {
      await listener[Symbol.asyncDispose]();
      throw refusal(error, address, port);
    }
    for (const socket of [udp, tcp]) socket.on("error", () => {}); // of one datagram or connection: the next may be well
    udp.on("message", (message, { address: from, port: back }) => {
      void answer({ message, from, transport: "udp" }).then((reply) => {
        if (reply !== undefined) listener.#send(reply, back, from);
      });
    });
    tcp.on("connection", (connection) => listener.#serve(connection, answer));
    return listener;
  }

  get port(): number {
    return this.#udp.address().port;
  }

  #send(reply: Uint8Array, port: number, address: string): void {
    try {
      this.#udp.send(reply, port, address, () => {}); // who asked may be gone
    } catch {
      // closed meanwhile
    }
  }

  #serve(connection: Socket, answer: ListenerOptions["answer"]): void {
    const from = connection.remoteAddress ?? "";
    const ofOne = [...this.#connections.values()].filter((other) => other === from).length;
    connection.on("error", () => connection.destroy());
    if (this.#connections.size >= MOST_CONNECTIONS || ofOne >= MOST_CONNECTIONS_OF_ONE)
      return void connection.destroy();
    this.#connections.set(connection, from);
    connection.once("close", () => this.#connections.delete(connection));
    connection.setTimeout(IDLE, () => connection.destroy());
    let received = Buffer.alloc(0);
    let pending = 0;
    connection.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]);
      for (;;) {
        const length = received.length < 2 ? 0 : received.readUInt16BE(0);
        if (length > MOST_QUESTION || pending >= MOST_PENDING) return void connection.destroy();
        if (received.length < 2 || received.length < 2 + length) return;
        const message = received.subarray(2, 2 + length);
        received = received.subarray(2 + length);
        pending++;
        void answer({ message, from, transport: "tcp" }).then((reply) => {
          pending--;
          if (reply === undefined || connection.destroyed) return void connection.destroy();
          connection.write(framed(reply));
        });
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections.keys()) connection.destroy();
    await Promise.all([
      new Promise<void>((resolve) => {
        try {
          this.#udp.close(() => resolve());
        } catch {
          resolve(); // never opened
        }
      }),
      new Promise<void>((resolve) => void this.#tcp.close(() => resolve())),
    ]);
  }
}

/** With its length in front (RFC 1035 section 4.2.2). */
export function framed(message: Uint8Array): Buffer {
  const out = Buffer.alloc(2 + message.length);
  out.writeUInt16BE(message.length);
  out.set(message, 2);
  return out;
}

function started(socket: UdpSocket | Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("listening", () => {
      socket.off("error", reject);
      resolve();
    });
    start();
  });
}

function refusal(error: unknown, address: string, port: number): DriverError {
  const code = (error as NodeJS.ErrnoException).code;
  const what = `Cannot answer names on ${address}, port ${port}`;
  if (code === "EADDRINUSE") return new DriverError("busy", `${what}: another program has it`, error);
  if (code === "EADDRNOTAVAIL") return new DriverError("not-found", `${what}: the host has no such address yet`, error);
  return new DriverError("failed", `${what}: ${error instanceof Error ? error.message : String(error)}`, error);
}
