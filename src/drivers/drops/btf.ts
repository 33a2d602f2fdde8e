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
/** Bytes that follow the 12 of a type, for each of its parts, and once. */
const EACH: Readonly<Record<number, number>> = {
  [KIND.struct]: 12,
  [KIND.union]: 12,
  [KIND.enum]: 8,
  [KIND.funcProto]: 8,
  [KIND.datasec]: 12,
  [KIND.enum64]: 12,
};
const ONCE: Readonly<Record<number, number>> = { [KIND.int]: 4, [KIND.array]: 12, [KIND.var]: 4, [KIND.tag]: 4 };

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
  readonly #places: number[] = [0];

  /** @throws RangeError for what is none */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#view.getUint16(0, true) !== MAGIC) throw new RangeError("this is no BTF of this machine");
    const header = this.#u32(4);
    const [types, length] = [header + this.#u32(8), this.#u32(12)];
    this.#strings = header + this.#u32(16);
    for (let at = types; at < types + length; ) at = this.#pass(at);
  }

  #u32(at: number): number {
    return this.#view.getUint32(at, true);
  }

  /** @returns where the next one begins */
  #pass(at: number): number {
    const info = this.#u32(at + 4);
    const kind = (info >>> 24) & 31;
    this.#places.push(at);
    return at + 12 + (ONCE[kind] ?? 0) + (EACH[kind] ?? 0) * (info & 0xffff);
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

  #find(kind: number, name: string): Type | undefined {
    const wanted = Buffer.from(`${name}\0`, "latin1");
    const number = this.#places.findIndex((at) => {
      const info = this.#u32(at + 4);
      if (at === 0 || ((info >>> 24) & 31) !== kind || (info & 0xffff) === 0) return false;
      const from = this.#strings + this.#u32(at);
      return wanted.every((byte, i) => this.#bytes[from + i] === byte);
    });
    return this.#type(number);
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
