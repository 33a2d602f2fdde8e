/** As Contributions, for keys without values: elements of a set, each there as long as somebody contributes it. */

import type { MapDelta } from "../reconcile/patched-map.ts";
import type { ElementData } from "../rules/ir.ts";
import { exactly } from "./exactly.ts";
import { Taken } from "./taken.ts";

export class CountedSet {
  readonly #owners = new Map<string, readonly string[]>();
  readonly #counts = new Map<string, number>();
  readonly #taken = new Taken<ElementData>();

  /** All that the owner contributes from now on. */
  set(owner: string, elements: readonly string[]): void {
    const old = this.#owners.get(owner) ?? [];
    if (old.length === elements.length && old.every((element, i) => element === elements[i])) return;
    for (const element of elements) this.#add(element, 1);
    for (const element of old) this.#add(element, -1);
    if (elements.length === 0) this.#owners.delete(owner);
    else this.#owners.set(owner, exactly(elements));
  }

  delete(owner: string): void {
    this.set(owner, []);
  }

  /** The elements as they are now, each with null. The map is never changed afterwards. */
  take(): ReadonlyMap<string, ElementData> {
    return this.#taken.take((element) => (this.#counts.has(element) ? null : undefined));
  }

  get delta(): MapDelta<ElementData> | undefined {
    return this.#taken.delta;
  }

  #add(element: string, by: 1 | -1): void {
    const count = (this.#counts.get(element) ?? 0) + by;
    if (count === 0) this.#counts.delete(element);
    else this.#counts.set(element, count);
    this.#taken.touch(element);
  }
}
