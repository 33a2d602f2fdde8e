/** A table of connections in memory. */
import type { Connection, ConnectionEvent, Conntrack, Tuple } from "./conntrack.ts";

export class FakeConntrack implements Conntrack {
  readonly connections = new Map<number, Connection>();
  /** Those that began while somebody listened. */
  readonly #followed = new Set<number>();
  readonly #listeners = new Set<(event: ConnectionEvent) => void>();

  /** A packet that begins a connection. */
  begin(connection: Connection): void {
    this.connections.set(connection.id, connection);
    if (this.#listeners.size > 0) this.#followed.add(connection.id);
    this.#tell({ kind: "new", connection });
  }

  async list(select: (connection: Connection) => boolean): Promise<Connection[]> {
    return [...this.connections.values()].filter(select);
  }

  async cut(connections: readonly Connection[]): Promise<number> {
    let ended = 0;
    for (const { id } of connections) {
      const connection = this.connections.get(id);
      if (connection === undefined) continue;
      this.connections.delete(id);
      if (this.#followed.delete(id)) this.#tell({ kind: "end", connection });
      ended++;
    }
    return ended;
  }

  cutTurned(connections: readonly Connection[]): Promise<number> {
    const wanted = new Set(connections.map(({ reply }) => textOf(reply)));
    return this.cut([...this.connections.values()].filter(({ original }) => wanted.has(textOf(original))));
  }

  events(signal: AbortSignal): AsyncGenerator<readonly ConnectionEvent[], void, undefined> {
    const waiting: ConnectionEvent[] = [];
    let wake = (): void => undefined;
    const listener = (event: ConnectionEvent): void => {
      waiting.push(event);
      wake();
    };
    this.#listeners.add(listener);
    const stop = (): void => {
      this.#listeners.delete(listener);
      wake();
    };
    signal.addEventListener("abort", stop, { once: true });
    return (async function* (): AsyncGenerator<readonly ConnectionEvent[], void, undefined> {
      while (!signal.aborted) {
        if (waiting.length > 0) {
          yield waiting.splice(0);
          continue;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        wake = resolve;
        await promise;
      }
    })();
  }

  #tell(event: ConnectionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function textOf({ source, destination, protocol, sourcePort, destinationPort }: Tuple): string {
  return [protocol, source, sourcePort, destination, destinationPort].join();
}
