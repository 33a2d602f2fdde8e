/**
 * Names of chains and sets: `PREFIX-HINT-HASH`, where the hint is for people who read `nft list table inet manx` and the hash
 * stands for the identity. The same identity has the same name in every derivation, so that nothing moves without need.
 */
export class Names {
  readonly #byIdentity = new Map<string, string>();
  readonly #taken = new Set<string>();

  /** How many names have been given; they are never forgotten. */
  get size(): number {
    return this.#taken.size;
  }

  /** The name of the thing with this identity (any text that tells it from all others). */
  of(prefix: string, hint: string, identity: string): string {
    const key = `${prefix} ${identity}`;
    const known = this.#byIdentity.get(key);
    if (known !== undefined) return known;
    const plain = [prefix, readable(hint), hash(identity)].filter((part) => part !== "").join("-");
    // The hash is not cryptographic and identities come from users: a collision must never make one of two things.
    let name = plain;
    for (let i = 2; this.#taken.has(name); i++) name = `${plain}-${i}`;
    this.#taken.add(name);
    this.#byIdentity.set(key, name);
    return name;
  }
}

/** Letters, digits and `-` of a text, at most 32: nft's grammar and the kernel's NFT_NAME_MAXLEN leave room for that. */
function readable(text: string): string {
  return text
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-+/, "")
    .slice(0, 32)
    .replace(/-+$/, "");
}

/** 53 bits of a text as 11 characters of base 36. */
export function hash(text: string): string {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return (4294967296 * (b & 0x1fffff) + (a >>> 0)).toString(36).padStart(11, "0");
}
