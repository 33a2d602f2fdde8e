/** Conntrack as the kernel does it. */
import { setImmediate as turn } from "node:timers/promises";
import { type SystemError, systemError } from "../syscall/errno.ts";
import { MessageWriter } from "../syscall/netlink-message.ts";
import { NETLINK_NETFILTER, NetlinkSocket } from "../syscall/netlink-socket.ts";
import type { Connection, Conntrack } from "./conntrack.ts";
import { parseConnection, writeDelete, writeDeleteTurned, writeList } from "./messages.ts";

/** Entries deleted in one turn of the event loop: about 2 ms. */
const CHUNK = 200;

export class KernelConntrack implements Conntrack {
  readonly #options: { readonly netns?: string };

  /** `netns`: path of the namespace; absent: that of this process. */
  constructor(netns?: string) {
    this.#options = netns === undefined ? {} : { netns };
  }

  async list(select: (connection: Connection) => boolean, signal?: AbortSignal): Promise<Connection[]> {
    // A socket of its own: two lists at a time would disturb each other, and opening costs 0.1 ms.
    using socket = NetlinkSocket.open(NETLINK_NETFILTER, this.#options);
    const message = writeList(new MessageWriter(64)).finish();
    return await socket.dumpSlowly(
      message,
      "list the connections",
      (reply) => {
        const connection = parseConnection(reply);
        return connection !== undefined && select(connection) ? connection : undefined;
      },
      signal,
    );
  }

  cut(connections: readonly Connection[], signal?: AbortSignal): Promise<number> {
    return this.#delete(connections, writeDelete, signal);
  }

  cutTurned(connections: readonly Connection[], signal?: AbortSignal): Promise<number> {
    return this.#delete(connections, writeDeleteTurned, signal);
  }

  async #delete(
    connections: readonly Connection[],
    write: (writer: MessageWriter, connection: Connection) => void,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    if (connections.length === 0) return 0;
    using socket = NetlinkSocket.open(NETLINK_NETFILTER, this.#options);
    const writer = new MessageWriter(CHUNK * 128);
    let ended = 0;
    let failure: SystemError | undefined;
    for (let at = 0; at < connections.length; at += CHUNK) {
      if (at > 0) await turn();
      signal?.throwIfAborted();
      const chunk = connections.slice(at, at + CHUNK);
      writer.reset();
      for (const connection of chunk) write(writer, connection);
      const { failures } = socket.batch(writer.finish(), "cut connections");
      ended += chunk.length - failures.length;
      failure ??= failures.find(({ error }) => error.errno !== "ENOENT")?.error;
    }
    if (failure !== undefined) throw systemError("cut every connection that is forbidden now", failure);
    return ended;
  }
}
