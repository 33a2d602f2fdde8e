/** eBPF instructions as bytes (RFC 9669), with labels for jumps. Pure. */

export type Register = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10;
/** Bytes of a load or store. */
export type Size = 1 | 2 | 4 | 8;

const SIZES: Readonly<Record<Size, number>> = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 };
const [LDX, ST, STX, MEM, ATOMIC] = [0x61 & 7, 0x62 & 7, 0x63 & 7, 0x60, 0xc0];
const JUMPS = { eq: 0x10, ne: 0x50, lt: 0xa0, ge: 0x30 } as const;

export class Assembler {
  readonly #code: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #jumps: { readonly at: number; readonly label: string }[] = [];

  #emit(op: number, to: number, from: number, offset: number, value: number): this {
    this.#code.push(op, (from << 4) | to, offset & 255, (offset >> 8) & 255);
    this.#code.push(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, (value >>> 24) & 255);
    return this;
  }

  set(to: Register, value: number): this {
    return this.#emit(0xb7, to, 0, 0, value);
  }

  copy(to: Register, from: Register): this {
    return this.#emit(0xbf, to, from, 0, 0);
  }

  add(to: Register, value: number | { readonly register: Register }): this {
    return typeof value === "number" ? this.#emit(0x07, to, 0, 0, value) : this.#emit(0x0f, to, value.register, 0, 0);
  }

  subtract(to: Register, from: Register): this {
    return this.#emit(0x1f, to, from, 0, 0);
  }

  and(to: Register, value: number): this {
    return this.#emit(0x57, to, 0, 0, value);
  }

  load(to: Register, size: Size, from: Register, offset: number): this {
    return this.#emit(LDX | MEM | SIZES[size], to, from, offset, 0);
  }

  store(size: Size, to: Register, offset: number, from: Register): this {
    return this.#emit(STX | MEM | SIZES[size], to, from, offset, 0);
  }

  storeValue(size: Size, to: Register, offset: number, value: number): this {
    return this.#emit(ST | MEM | SIZES[size], to, 0, offset, value);
  }

  /** Adds a register to 8 bytes of memory, all at once. */
  addAtomic(to: Register, offset: number, from: Register): this {
    return this.#emit(STX | ATOMIC | SIZES[8], to, from, offset, 0);
  }

  /** A map by its descriptor. */
  map(to: Register, fd: number): this {
    return this.#emit(0x18, to, 1, 0, fd).#emit(0, 0, 0, 0, 0);
  }

  call(helper: number): this {
    return this.#emit(0x85, 0, 0, 0, helper);
  }

  exit(): this {
    return this.#emit(0x95, 0, 0, 0, 0);
  }

  label(name: string): this {
    this.#labels.set(name, this.#code.length / 8);
    return this;
  }

  go(label: string): this {
    this.#jumps.push({ at: this.#code.length, label });
    return this.#emit(0x05, 0, 0, 0, 0);
  }

  /** Jumps where the register compares so with the value, as unsigned numbers of 64 bits. */
  when(register: Register, how: keyof typeof JUMPS, value: number, label: string): this {
    this.#jumps.push({ at: this.#code.length, label });
    return this.#emit(0x05 | JUMPS[how], register, 0, 0, value);
  }

  /** @throws RangeError for a jump to nowhere */
  finish(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(new ArrayBuffer(this.#code.length));
    bytes.set(this.#code);
    const view = new DataView(bytes.buffer);
    for (const { at, label } of this.#jumps) {
      const to = this.#labels.get(label);
      if (to === undefined) throw new RangeError(`no label "${label}"`);
      view.setInt16(at + 2, to - at / 8 - 1, true);
    }
    return bytes;
  }
}
