/** The filing cabinet of the label index. */

/** Sets under a key; an empty one is forgotten. */
export class SetMap<T> {
  readonly #sets = new Map<string, Set<T>>();
  static readonly #none: ReadonlySet<never> = new Set<never>();

  get(key: string): ReadonlySet<T> {
    return this.#sets.get(key) ?? SetMap.#none;
  }

  add(key: string, value: T): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([value]));
    else set.add(value);
  }

  delete(key: string, value: T): void {
    const set = this.#sets.get(key);
    if (set?.delete(value) && set.size === 0) this.#sets.delete(key);
  }
}

/** Sets under a label with a value, and under a label whatever its value. */
export class LabelSets<T> {
  readonly #any = new SetMap<T>();
  readonly #valued = new SetMap<T>();

  withValue(label: string, value: string): ReadonlySet<T> {
    return this.#valued.get(pairKey(label, value));
  }

  withLabel(label: string): ReadonlySet<T> {
    return this.#any.get(label);
  }

  add(label: string, value: string | undefined, member: T): void {
    if (value === undefined) this.#any.add(label, member);
    else this.#valued.add(pairKey(label, value), member);
  }

  delete(label: string, value: string | undefined, member: T): void {
    if (value === undefined) this.#any.delete(label, member);
    else this.#valued.delete(pairKey(label, value), member);
  }
}

/** The length keeps pairs apart whatever characters Docker lets into a label. */
function pairKey(label: string, value: string): string {
  return `${label.length} ${label} ${value}`;
}
