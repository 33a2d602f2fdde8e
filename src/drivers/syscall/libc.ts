/**
 * The few calls of the C library that sockets and namespaces need, by name and number as in section 2 of the man pages.
 * Each throws DriverError with a SystemError (errno) as its cause; numbers are those of x86-64 and arm64 Linux.
 *
 * Buffers are passed in place: a call that blocks elsewhere (`async`) must keep its buffer alive and untouched meanwhile.
 */
import { endianness } from "node:os";
import koffi, { type KoffiFunc } from "koffi";
import { DriverError } from "../error.ts";
import { SystemError, systemError } from "./errno.ts";

export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_RAW = 3;
export const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_BINDTODEVICE = 25;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SOL_NETLINK = 270;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const CLONE_NEWNET = 0x40000000;
export const EPOLLIN = 1;
export const EPOLLONESHOT = 1 << 30;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
/** `struct epoll_event`: packed on x86-64 only. */
export const EPOLL_EVENT_SIZE = process.arch === "x64" ? 12 : 16;

const EPOLL_CLOEXEC = 0o2000000;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
const EINTR = 4;
const EAGAIN = 11;

type Send = (fd: number, data: Uint8Array, length: number, flags: number, to: Uint8Array, toLength: number) => number;
type EpollWait = (fd: number, events: Uint8Array, max: number, timeout: number) => number;

interface Libc {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, length: number) => number;
  readonly getsockname: (fd: number, address: Uint8Array, length: Uint8Array) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array, length: number) => number;
  readonly sendto: KoffiFunc<Send>;
  readonly recvfrom: (
    fd: number,
    data: Uint8Array,
    length: number,
    flags: number,
    from: Uint8Array,
    fromLength: Uint8Array,
  ) => number;
  readonly setns: (fd: number, type: number) => number;
  readonly epoll_create1: (flags: number) => number;
  readonly epoll_ctl: (epoll: number, op: number, fd: number, event: Uint8Array) => number;
  readonly epoll_wait: KoffiFunc<EpollWait>;
  readonly eventfd: (initial: number, flags: number) => number;
}

let loaded: Libc | undefined;

/** Loaded on first use: a command that touches no kernel should not pay for it. */
function libc(): Libc {
  if (loaded !== undefined) return loaded;
  if (endianness() !== "LE")
    throw new DriverError("invalid", "Cannot speak netlink: this machine is not little endian");
  const library = koffi.load(null);
  // What stands in the declaration is what the interface says; nothing can check it.
  const define = (definition: string): never => library.func(definition) as unknown as never;
  loaded = {
    socket: define("int socket(int domain, int type, int protocol)"),
    bind: define("int bind(int fd, void *address, unsigned int length)"),
    getsockname: define("int getsockname(int fd, void *address, void *length)"),
    setsockopt: define("int setsockopt(int fd, int level, int name, void *value, unsigned int length)"),
    sendto: define("long sendto(int fd, void *data, size_t length, int flags, void *to, unsigned int toLength)"),
    recvfrom: define("long recvfrom(int fd, void *data, size_t length, int flags, void *from, void *fromLength)"),
    setns: define("int setns(int fd, int type)"),
    epoll_create1: define("int epoll_create1(int flags)"),
    epoll_ctl: define("int epoll_ctl(int epoll, int op, int fd, void *event)"),
    epoll_wait: define("int epoll_wait(int epoll, void *events, int max, int timeout)"),
    eventfd: define("int eventfd(unsigned int initial, int flags)"),
  };
  return loaded;
}

function check(what: string, result: number): number {
  if (result < 0) throw systemError(what, new SystemError(koffi.errno()));
  return result;
}

export function socket(domain: number, type: number, protocol: number): number {
  return check("open a socket", libc().socket(domain, type | SOCK_CLOEXEC, protocol));
}

export function bind(fd: number, address: Uint8Array): void {
  check("bind the socket", libc().bind(fd, address, address.length));
}

/** The socket's own address, at most `length` bytes. */
export function getsockname(fd: number, length: number): Uint8Array {
  const address = new Uint8Array(length);
  check("read the socket's address", libc().getsockname(fd, address, u32(length)));
  return address;
}

/** Sets an integer option; throws `denied` where it needs a capability. */
export function setsockopt(fd: number, level: number, name: number, value: number): void {
  check(`set the socket option ${level}/${name}`, libc().setsockopt(fd, level, name, u32(value), 4));
}

/** Sets an option that is a structure or a text. */
export function setsockoptBytes(fd: number, level: number, name: number, value: Uint8Array): void {
  check(`set the socket option ${level}/${name}`, libc().setsockopt(fd, level, name, value, value.length));
}

export function sendto(fd: number, data: Uint8Array, to: Uint8Array): number {
  for (;;) {
    const sent = libc().sendto(fd, data, data.length, 0, to, to.length);
    if (sent >= 0 || koffi.errno() !== EINTR) return check("send to the kernel", sent);
  }
}

/** As `sendto`, on another thread: for what the kernel does for longer than the event loop may wait. */
export function sendtoAsync(fd: number, data: Uint8Array, to: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    libc().sendto.async(fd, data, data.length, 0, to, to.length, (error: unknown, sent: number) => {
      const errno = koffi.errno();
      if (error !== null && error !== undefined) reject(new DriverError("failed", "Cannot send to the kernel", error));
      else if (sent < 0) reject(systemError("send to the kernel", new SystemError(errno)));
      else resolve(sent);
    });
  });
}

/** Length of the datagram, which may exceed that of the buffer if `flags` has MSG_TRUNC; undefined: nothing there (EAGAIN). */
export function recvfrom(fd: number, into: Uint8Array, flags: number, from: Uint8Array): number | undefined {
  const fromLength = u32(from.length);
  for (;;) {
    const length = libc().recvfrom(fd, into, into.length, flags, from, fromLength);
    if (length >= 0) return length;
    const errno = koffi.errno();
    if (errno === EAGAIN) return undefined;
    if (errno !== EINTR) throw systemError("receive from the kernel", new SystemError(errno));
  }
}

/** Moves the calling thread into the namespace that the descriptor stands for. */
export function setns(fd: number, type: number): void {
  check("enter the namespace", libc().setns(fd, type));
}

export function epollCreate(): number {
  return check("make an epoll descriptor", libc().epoll_create1(EPOLL_CLOEXEC));
}

/** Adds, changes or removes a descriptor; its number comes back as the data of the event. */
export function epollCtl(epoll: number, op: number, fd: number, events: number): void {
  const event = new Uint8Array(EPOLL_EVENT_SIZE);
  const view = new DataView(event.buffer);
  view.setUint32(0, events, true);
  view.setInt32(EPOLL_EVENT_SIZE - 8, fd, true);
  check("watch the descriptor", libc().epoll_ctl(epoll, op, fd, event));
}

/** Waits on another thread, without end, until a descriptor is ready; gives those that are. `events` is the room for them. */
export function epollWait(epoll: number, events: Uint8Array): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    const max = Math.floor(events.length / EPOLL_EVENT_SIZE);
    libc().epoll_wait.async(epoll, events, max, -1, (error: unknown, count: number) => {
      const errno = koffi.errno();
      if (error !== null && error !== undefined) reject(new DriverError("failed", "Cannot wait for the kernel", error));
      else if (count < 0 && errno !== EINTR) reject(systemError("wait for the kernel", new SystemError(errno)));
      else resolve(readyDescriptors(events, count));
    });
  });
}

function readyDescriptors(events: Uint8Array, count: number): number[] {
  const view = new DataView(events.buffer, events.byteOffset, events.byteLength);
  const out: number[] = [];
  for (let i = 0; i < count; i++) out.push(view.getInt32(i * EPOLL_EVENT_SIZE + EPOLL_EVENT_SIZE - 8, true));
  return out;
}

export function eventfd(): number {
  return check("make an event descriptor", libc().eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

function u32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value, true);
  return bytes;
}
