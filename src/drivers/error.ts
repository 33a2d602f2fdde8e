/** What went wrong outside the process, in a closed list of kinds. */
export type DriverErrorCode =
  | "not-found"
  | "exists"
  | "busy"
  | "denied"
  | "invalid"
  | "timeout"
  | "unavailable"
  | "failed";

/** The one error type of all drivers. The message says what could not be done to what, and why; `cause` has the original. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** What a thrown thing says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
