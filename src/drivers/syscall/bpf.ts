/** bpf(2): maps, programs and where they hang, by number as in linux/bpf.h. What is opened goes with its descriptor. */
import { closeSync } from "node:fs";
import koffi from "koffi";
import { DriverError } from "../error.ts";
import { SystemError, systemError } from "./errno.ts";

export const MAP = { array: 2, lruHash: 9, queue: 22 } as const;
const CMD = { MAP_CREATE: 0, MAP_LOOKUP: 1, PROG_LOAD: 5, RAW_TRACEPOINT_OPEN: 17, MAP_LOOKUP_AND_DELETE: 21 } as const;
const RAW_TRACEPOINT = 17;
const ENOENT = 2;
const EAGAIN = 11;
/** A signal that arrives while the verifier is at work breaks it off, and a child that ends sends one. libbpf tries as often. */
const ATTEMPTS = 5;
/** System call numbers of the architectures that Manx runs on. */
const NUMBER: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
/** The text of our programs may be used under either; some helpers are given to such programs only. */
const LICENSE = "Dual MIT/GPL";

interface Libc {
  readonly syscall: (number: number, command: number, attributes: Uint8Array, size: number) => number;
  readonly memmove: (to: Uint8Array, from: Uint8Array, length: number) => number | bigint;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  const define = (definition: string): never => library.func(definition) as unknown as never;
  loaded = {
    syscall: define("long syscall(long number, int command, void *attributes, unsigned int size)"),
    memmove: define("uint64_t memmove(void *to, void *from, size_t length)"),
  };
  return loaded;
}

function call(command: number, attributes: Uint8Array): number {
  const number = NUMBER[process.arch];
  if (number === undefined) throw new DriverError("invalid", `Cannot use BPF on ${process.arch}`);
  return libc().syscall(number, command, attributes, attributes.length);
}

/** Attributes with addresses of other buffers in them, which must live until the call is over. */
class Attributes {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  readonly #pins: Uint8Array[] = [];

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
  }

  u32(at: number, value: number): this {
    this.#view.setUint32(at, value, true);
    return this;
  }

  address(at: number, of: Uint8Array): this {
    this.#pins.push(of);
    this.#view.setBigUint64(at, addressOf(of), true);
    return this;
  }

  call(command: number): number {
    const result = call(command, this.bytes);
    this.#pins.length = 0; // until here they are used
    return result;
  }
}

/** memmove(3) returns its first argument. An array whose buffer was looked at does not move. */
function addressOf(bytes: Uint8Array): bigint {
  if (bytes.buffer.byteLength === 0) return 0n;
  return BigInt(libc().memmove(bytes, bytes, 0));
}

function check(what: string, result: number): number {
  if (result < 0) throw systemError(what, new SystemError(koffi.errno()));
  return result;
}

export function createMap(type: number, keySize: number, valueSize: number, entries: number): number {
  const attributes = new Attributes(72).u32(0, type).u32(4, keySize).u32(8, valueSize).u32(12, entries);
  return check("make a BPF map", attributes.call(CMD.MAP_CREATE));
}

/** @throws DriverError with what the kernel's verifier says, if it has something against the program */
export function loadProgram(instructions: Uint8Array, attempts = ATTEMPTS): number {
  const log = new Uint8Array(65_536);
  const text = Buffer.from(`${LICENSE}\0`);
  const attributes = new Attributes(72).u32(0, RAW_TRACEPOINT).u32(4, instructions.length / 8);
  attributes.address(8, instructions).address(16, text).u32(24, 1).u32(28, log.length).address(32, log);
  const fd = attributes.call(CMD.PROG_LOAD);
  if (fd >= 0) return fd;
  const errno = koffi.errno();
  if (errno === EAGAIN && attempts > 1) return loadProgram(instructions, attempts - 1);
  const error = new SystemError(errno);
  const said = Buffer.from(log).toString().replace(/\0.*$/s, "").trim().split("\n").slice(-3).join("; ");
  throw systemError(said === "" ? "load a BPF program" : `load a BPF program (${said})`, error);
}

/** The program runs at each passing of the tracepoint until the descriptor is closed. */
export function openRawTracepoint(name: string, program: number): number {
  const attributes = new Attributes(72).address(0, Buffer.from(`${name}\0`)).u32(8, program);
  return check(`hang a BPF program on the tracepoint ${name}`, attributes.call(CMD.RAW_TRACEPOINT_OPEN));
}

/** Takes the first of a queue into `value`; false where it is empty. */
export function pop(queue: number, value: Uint8Array): boolean {
  return lookup(CMD.MAP_LOOKUP_AND_DELETE, queue, undefined, value);
}

/** The value of an array's element. */
export function element(array: number, index: number, value: Uint8Array): boolean {
  return lookup(CMD.MAP_LOOKUP, array, Uint8Array.of(index & 255, index >> 8, 0, 0), value);
}

function lookup(command: number, map: number, key: Uint8Array | undefined, value: Uint8Array): boolean {
  const attributes = new Attributes(32).u32(0, map).address(16, value);
  if (key !== undefined) attributes.address(8, key);
  if (attributes.call(command) >= 0) return true;
  if (koffi.errno() === ENOENT) return false;
  throw systemError("read a BPF map", new SystemError(koffi.errno()));
}

export function close(fds: readonly number[]): void {
  for (const fd of fds) closeSync(fd);
}
