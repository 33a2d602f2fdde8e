/** Numbers of errors as Linux gives them (errno(3)), and what they mean to a driver. */
import { constants } from "node:os";
import { getSystemErrorMap } from "node:util";
import { DriverError, type DriverErrorCode } from "../error.ts";

const NAMES = new Map<number, string>([
  ...Object.entries(constants.errno).map(([name, value]): [number, string] => [value, name]),
  // Of two names the one that the manual pages use.
  [11, "EAGAIN"],
  // Known to the kernel, unknown to Node.
  [19, "ENODEV"],
  [94, "ESOCKTNOSUPPORT"],
  [95, "EOPNOTSUPP"],
  [96, "EPFNOSUPPORT"],
  [117, "EUCLEAN"],
]);

const TEXTS = new Map<string, string>(
  [...getSystemErrorMap().values()].map(([name, text]): [string, string] => [name, text]),
);

const CODES: Readonly<Record<string, DriverErrorCode>> = {
  ENOENT: "not-found",
  ENODEV: "not-found",
  ESRCH: "not-found",
  ENXIO: "not-found",
  EADDRNOTAVAIL: "not-found",
  EEXIST: "exists",
  EBUSY: "busy",
  EAGAIN: "busy",
  EPERM: "denied",
  EACCES: "denied",
  EINVAL: "invalid",
  ERANGE: "invalid",
  EOPNOTSUPP: "invalid",
  EAFNOSUPPORT: "invalid",
  EPROTONOSUPPORT: "invalid",
  EMSGSIZE: "invalid",
  ENAMETOOLONG: "invalid",
  ENOTDIR: "invalid",
  ENETUNREACH: "invalid",
  EHOSTUNREACH: "invalid",
  ETIMEDOUT: "timeout",
  ENOBUFS: "unavailable",
  ENOMEM: "unavailable",
  EMFILE: "unavailable",
  ENFILE: "unavailable",
};

/** What the kernel said: `cause` of the DriverError that the driver's caller sees. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** As in errno(3), a positive number. */
  readonly number: number;
  /** `ENODEV` */
  readonly errno: string;

  constructor(number: number, detail?: string) {
    const errno = errnoName(number);
    const text = TEXTS.get(errno);
    super([`${errno}${text === undefined ? "" : `, ${text}`}`, ...(detail === undefined ? [] : [detail])].join(": "));
    this.number = number;
    this.errno = errno;
  }
}

/** `ENODEV` for 19; `errno 4711` for a number without a name. */
export function errnoName(number: number): string {
  return NAMES.get(number) ?? `errno ${number}`;
}

/** `what` completes "Cannot": `add the route "10.65.0.0/26"`. */
export function systemError(what: string, cause: SystemError): DriverError {
  return new DriverError(CODES[cause.errno] ?? "failed", `Cannot ${what}: ${cause.message}`, cause);
}

/** The kernel's name of the error behind a DriverError; undefined where the kernel was not asked. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof SystemError) return error.errno;
  return error instanceof DriverError ? errnoOf(error.cause) : undefined;
}
