/** What kernel settings were before we changed them, kept in the local state, so that they can be given back. */
import type { Originals } from "../drivers/system/sysctls.ts";
import type { LocalState } from "./local-state.ts";

const KEY = "sysctl-originals";

export class SysctlOriginals implements Originals {
  readonly #state: LocalState;
  readonly #values: Map<string, string>;

  constructor(state: LocalState) {
    this.#state = state;
    this.#values = new Map(Object.entries(JSON.parse(state.meta(KEY) ?? "{}") as Record<string, string>));
  }

  entries(): Iterable<readonly [path: string, value: string]> {
    return [...this.#values];
  }

  get(path: string): string | undefined {
    return this.#values.get(path);
  }

  set(path: string, value: string): void {
    this.#values.set(path, value);
    this.#save();
  }

  delete(path: string): void {
    if (this.#values.delete(path)) this.#save();
  }

  #save(): void {
    this.#state.setMeta(KEY, JSON.stringify(Object.fromEntries(this.#values)));
  }
}
