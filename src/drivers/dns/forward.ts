/** Asks the host's own resolvers what is not ours to answer: each in turn, the octets of the answer as they are. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { answersQuestion, type Query, RCODE, rcodeOf, withId } from "../../core/dns/message.ts";
import { framed } from "./listener.ts";

export interface ForwardOptions {
  readonly transport: "udp" | "tcp";
  /** In order. `10.0.0.1` or `fd00::1`. */
  readonly servers: readonly string[];
  /** Default 53. */
  readonly port?: number;
  /** Milliseconds for each server; default 2000, so that two of them fit into the five seconds that askers wait. */
  readonly patience?: number;
}

/** Undefined: none of them gave an answer. Never throws. */
export async function forward(
  message: Uint8Array,
  query: Query,
  { transport, servers, port = 53, patience = 2000 }: ForwardOptions,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  let failure: Uint8Array | undefined;
  for (const server of servers) {
    const id = randomInt(65_536);
    const limit = AbortSignal.any([signal, AbortSignal.timeout(patience)]);
    const ask = transport === "udp" ? askByUdp : askByTcp;
    const reply = await ask(withId(message, id), { server, port }, limit, (got) =>
      answersQuestion(got, id, query.question),
    );
    if (signal.aborted) return undefined;
    if (reply === undefined) continue;
    const own = withId(reply, query.id);
    const rcode = rcodeOf(reply);
    if (rcode !== RCODE.failed && rcode !== RCODE.refused) return own;
    failure ??= own; // another may know
  }
  return failure;
}

interface Server {
  readonly server: string;
  readonly port: number;
}

/** A socket of its own for each question: a port that cannot be guessed (RFC 5452), connected, so that nobody else is heard. */
function askByUdp(
  message: Uint8Array,
  { server, port }: Server,
  signal: AbortSignal,
  isAnswer: (got: Uint8Array) => boolean,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(server.includes(":") ? "udp6" : "udp4");
    const end = (reply?: Uint8Array): void => {
      signal.removeEventListener("abort", aborted);
      resolve(reply);
      try {
        socket.close();
      } catch {
        // it could not even be opened
      }
    };
    const aborted = (): void => end();
    signal.addEventListener("abort", aborted);
    socket.once("error", () => end());
    socket.on("message", (got) => isAnswer(got) && end(got));
    socket.connect(port, server, () => socket.send(message));
  });
}

function askByTcp(
  message: Uint8Array,
  { server, port }: Server,
  signal: AbortSignal,
  isAnswer: (got: Uint8Array) => boolean,
): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: server, port });
    let received = Buffer.alloc(0);
    const end = (reply?: Uint8Array): void => {
      signal.removeEventListener("abort", aborted);
      resolve(reply);
      socket.destroy();
    };
    const aborted = (): void => end();
    signal.addEventListener("abort", aborted);
    socket.once("connect", () => socket.write(framed(message)));
    socket.on("error", () => end());
    socket.once("close", () => end());
    socket.on("data", (data: Buffer) => {
      received = Buffer.concat([received, data]);
      if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
      const reply = received.subarray(2, 2 + received.readUInt16BE(0));
      end(isAnswer(reply) ? reply : undefined);
    });
  });
}
