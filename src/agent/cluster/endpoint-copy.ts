/**
 * What other hosts had published, on this host's own disk: an agent that starts while the store is away begins with it, so that
 * rules that are in force stay. Written in the background, some changes at once; the last moments may be missing.
 */
import { type Database, openDatabase, type Schema } from "../../drivers/store/database.ts";

const SCHEMA: Schema = {
  component: "copy of other hosts' endpoints",
  migrations: ["CREATE TABLE remote_endpoints (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"],
};
const DELAY_MS = 1000;

export class EndpointCopy implements Disposable {
  readonly #db: Database;
  readonly #changes = new Map<string, string | undefined>();
  #timer: NodeJS.Timeout | undefined;

  /** @throws DriverError */
  constructor(path: string) {
    this.#db = openDatabase({ path, schema: SCHEMA, durable: "process" });
  }

  load(): { readonly key: string; readonly value: string }[] {
    const rows = this.#db.sql.prepare("SELECT key, value FROM remote_endpoints").all();
    return rows.map(({ key, value }) => ({ key: String(key), value: String(value) }));
  }

  /** `value` undefined: gone. */
  note(key: string, value: string | undefined): void {
    this.#changes.set(key, value);
    this.#timer ??= setTimeout(() => this.#write(), DELAY_MS).unref();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const put = this.#db.sql.prepare("INSERT OR REPLACE INTO remote_endpoints VALUES (?, ?)");
    const drop = this.#db.sql.prepare("DELETE FROM remote_endpoints WHERE key = ?");
    this.#db.write(() => {
      for (const [key, value] of this.#changes)
        if (value === undefined) drop.run(key);
        else put.run(key, value);
    });
    this.#changes.clear();
  }

  [Symbol.dispose](): void {
    if (this.#changes.size > 0) this.#write();
    this.#db[Symbol.dispose]();
  }
}
