/** The host's syslog (RFC 3164 as syslog(3) writes it to /dev/log): datagrams over a unix socket, which never wait. */
import { closeSync } from "node:fs";
import { DriverError, messageOf } from "../error.ts";
import { errnoOf } from "../syscall/errno.ts";
import { SOCK_CLOEXEC, SOCK_NONBLOCK, sendto, socket } from "../syscall/libc.ts";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
/** Bytes of a message; longer ones are cut off. */
const MOST = 8_000;
/** `struct sockaddr_un` */
const PATH = 108;

/** RFC 3164 section 4.1.1. */
const SEVERITY = { warning: 4, info: 6 } as const;
const NUMBERS = {
  user: 1,
  daemon: 3,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type Facility = keyof typeof NUMBERS;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export interface SyslogMessage {
  readonly severity: keyof typeof SEVERITY;
  readonly text: string;
}

/** `<132>Nov 27 09:05:01 manx[17]: TEXT`, in local time. */
export function syslogLine({ severity, text }: SyslogMessage, facility: Facility, time: Date, pid: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  const date = `${MONTHS[time.getMonth()]} ${String(time.getDate()).padStart(2)} ${clock}`;
  return `<${NUMBERS[facility] * 8 + SEVERITY[severity]}>${date} manx[${pid}]: ${text}`;
}

/** Sends what the receiver takes at once. @returns how many: fewer than there are where its queue is full. @throws DriverError */
export function sendToSyslog(path: string, facility: Facility, messages: readonly SyslogMessage[], time: Date): number {
  const address = new Uint8Array(2 + PATH);
  address[0] = AF_UNIX;
  address.set(Buffer.from(path).subarray(0, PATH - 1), 2);
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  let sent = 0;
  try {
    for (const message of messages) {
      sendto(fd, Buffer.from(syslogLine(message, facility, time, process.pid)).subarray(0, MOST), address);
      sent++;
    }
    return sent;
  } catch (error) {
    if (error instanceof DriverError && error.code === "busy") return sent;
    throw new DriverError("unavailable", `Cannot send to ${path}: ${errnoOf(error) ?? messageOf(error)}`, error);
  } finally {
    closeSync(fd);
  }
}
