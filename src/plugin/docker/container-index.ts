/**
 * Which container has a name? The engine answers for an ID at once and for a name only after it has compared all of them, so what
 * events say is kept. A hint: whoever uses it compares the name that the engine then answers.
 */
import type { EngineEvent } from "../../drivers/docker/events.ts";
import type { EngineContainer } from "../../drivers/docker/values.ts";

export class ContainerIndex {
  readonly #idOf = new Map<string, string>();
  /** In the order of creation. */
  readonly #nameOf = new Map<string, string>();

  #complete = false;

  /** The whole truth of one moment. */
  reset(containers: readonly Pick<EngineContainer, "id" | "name" | "created">[]): void {
    this.#complete = true;
    this.#idOf.clear();
    this.#nameOf.clear();
    for (const { id, name } of containers.toSorted((a, b) => a.created - b.created)) this.#set(id, name);
  }

  take({ action, id, name }: Extract<EngineEvent, { kind: "container" }>): void {
    if (action === "destroy") this.#forget(id);
    else if (action === "create" || action === "rename") this.#set(id, name);
  }

  /** Events are missed from now on, until the next `reset`. */
  lose(): void {
    this.#complete = false;
  }

  /** False: as far as events have said, no container has this name. */
  mayExist(name: string): boolean {
    return !this.#complete || this.#idOf.has(name);
  }

  /** undefined: not known; ask by the name. */
  idOf(name: string): string | undefined {
    return this.#idOf.get(name);
  }

  /** The same names, the container that was created first in front; unknown ones last. */
  byCreation(names: readonly string[]): string[] {
    const known = [...this.#nameOf.values()].filter((name) => names.includes(name));
    return [...known, ...names.filter((name) => !known.includes(name))];
  }

  #set(id: string, name: string): void {
    const before = this.#nameOf.get(id);
    if (before !== undefined && this.#idOf.get(before) === id) this.#idOf.delete(before);
    this.#idOf.set(name, id);
    this.#nameOf.set(id, name);
  }

  #forget(id: string): void {
    const name = this.#nameOf.get(id);
    if (name !== undefined && this.#idOf.get(name) === id) this.#idOf.delete(name);
    this.#nameOf.delete(id);
  }
}
