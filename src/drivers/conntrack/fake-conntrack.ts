/** A table of connections in memory. */
import type { Connection, Conntrack, Tuple } from "./conntrack.ts";

export class FakeConntrack implements Conntrack {
  readonly connections = new Map<number, Connection>();

  /** A packet that begins a connection. */
  begin(connection: Connection): void {
    this.connections.set(connection.id, connection);
  }

  async list(select: (connection: Connection) => boolean): Promise<Connection[]> {
    return [...this.connections.values()].filter(select);
  }

  async cut(connections: readonly Connection[]): Promise<number> {
    let ended = 0;
    for (const { id } of connections) {
      if (this.connections.delete(id)) ended++;
    }
    return ended;
  }

  cutTurned(connections: readonly Connection[]): Promise<number> {
    const wanted = new Set(connections.map(({ reply }) => textOf(reply)));
    return this.cut([...this.connections.values()].filter(({ original }) => wanted.has(textOf(original))));
  }
}

function textOf({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  return [protocol, source, sourcePort, destination, destinationPort].join();
}
