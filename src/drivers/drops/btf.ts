/** The kernel's own types (/sys/kernel/btf/vmlinux): where the fields of its structures lie. Documentation/bpf/btf.rst. Pure. */

const MAGIC = 0xeb9f;
const KIND = {
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  funcProto: 13,
  var: 14,
  datasec: 15,
  enum64: 19,
  int: 1,
  tag: 17,
} as const;
/** Words of 4 bytes that follow the 3 of a type, for each of its parts, and once; by its kind, which has 5 bits. */
const EACH = perKind(
  [KIND.struct, 3],
  [KIND.union, 3],
  [KIND.enum, 2],
  [KIND.funcProto, 2],
  [KIND.datasec, 3],
  [KIND.enum64, 3],
);
const ONCE = perKind([KIND.int, 1], [KIND.array, 3], [KIND.var, 1], [KIND.tag, 1]);

function perKind(...words: readonly (readonly [kind: number, words: number])[]): Uint8Array {
  const table = new Uint8Array(32);
  for (const [kind, count] of words) table[kind] = count;
  return table;
}

interface Type {
  readonly kind: number;
  readonly parts: number;
  /** Members' offsets carry the sizes of bit fields in their upper 8 bits. */
  readonly hasBits: boolean;
  /** Of its parts. */
  readonly at: number;
}

export class Btf {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #strings: number;
  /** Where each type lies, by its number; the first, void, lies nowhere. */
  readonly #places: Uint32Array;
  readonly #found = new Map<string, Type | undefined>();

  /** `bytes` begin at a multiple of 4 in their memory, as a file that was read. @throws RangeError for what is none */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#view.getUint16(0, true) !== MAGIC) throw new RangeError("this is no BTF of this machine");
    const header = this.#u32(4);
    this.#strings = header + this.#u32(16);
    this.#places = placesOf(bytes, header + this.#u32(8), this.#u32(12));
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  #type(number: number): Type | undefined {
    const at = this.#places[number] ?? 0;
    if (at === 0) return undefined;
    const info = this.#u32(at + 4);
    const [kind, parts] = [(info >>> 24) & 31, info & 0xffff];
    return { kind, parts, hasBits: info >>> 31 === 1, at: at + 12 };
  }

  #name(offset: number): string {
    const from = this.#strings + offset;
    return Buffer.from(this.#bytes.subarray(from, this.#bytes.indexOf(0, from))).toString("latin1");
  }

  /** All types are looked at for one; of one structure several fields are asked. */
  #find(kind: number, name: string): Type | undefined {
    const key = `${kind} ${name}`;
    if (!this.#found.has(key)) this.#found.set(key, this.#search(kind, name));
    return this.#found.get(key);
  }

  #search(kind: number, name: string): Type | undefined {
    const wanted = Buffer.from(`${name}\0`, "latin1");
    for (let number = 1; number < this.#places.length; number++) {
      const at = this.#places[number] ?? 0;
      const info = this.#u32(at + 4);
      if (((info >>> 24) & 31) !== kind || (info & 0xffff) === 0) continue;
      const from = this.#strings + this.#u32(at);
      if (wanted.every((byte, i) => this.#bytes[from + i] === byte)) return this.#type(number);
    }
    return undefined;
  }

  /** Bytes from the beginning of the structure to the field, through nameless parts of it; undefined: there is none. */
  offset(structure: string, field: string): number | undefined {
    const type = this.#find(KIND.struct, structure);
    return type === undefined ? undefined : this.#offsetIn(type, field);
  }

  #offsetIn(type: Type, field: string): number | undefined {
    for (let i = 0; i < type.parts; i++) {
      const at = type.at + i * 12;
      const name = this.#name(this.#u32(at));
      const bits = type.hasBits ? this.#u32(at + 8) & 0xffffff : this.#u32(at + 8);
      if (name === field) return bits / 8;
      const inner = name === "" ? this.#type(this.#u32(at + 4)) : undefined;
      const isGroup = inner?.kind === KIND.struct || inner?.kind === KIND.union;
      const found = isGroup ? this.#offsetIn(inner, field) : undefined;
      if (found !== undefined) return bits / 8 + found;
    }
    return undefined;
  }

  /** Numbers by name; empty: there is no such enumeration. */
  enumeration(name: string): ReadonlyMap<string, number> {
    const type = this.#find(KIND.enum, name);
    const out = new Map<string, number>();
    for (let i = 0; i < (type?.parts ?? 0); i++) {
      const at = (type?.at ?? 0) + i * 8;
      out.set(this.#name(this.#u32(at)), this.#u32(at + 4));
    }
    return out;
  }
}

/** A kernel has 150,000 types, and an agent's start waits for them: one loop over words. @throws RangeError where they are cut off */
function placesOf(bytes: Uint8Array, from: number, length: number): Uint32Array {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + from, length / 4);
  // No type is shorter than 3 words.
  const places = new Uint32Array(1 + Math.floor(words.length / 3));
  let count = 1;
  for (let at = 0; at < words.length; ) {
    places[count++] = from + at * 4;
    const info = words[at + 1] ?? 0;
    const kind = (info >>> 24) & 31;
    at += 3 + (ONCE[kind] ?? 0) + (EACH[kind] ?? 0) * (info & 0xffff);
  }
  return places.subarray(0, count);
}
