/** The error that the agent throws and the client gets: the same code, text and problems on both ends of the socket. */
import type { Problem } from "../core/problem.ts";
import type { ErrorBody, ErrorCode } from "./schema/error.ts";

export interface ErrorDetails {
  readonly problems?: readonly Problem[] | undefined;
  /** What the user can do about it: a sentence, or a command. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

/** A request that cannot be fulfilled. The message reads `Cannot <do what> "<thing>": <why>`. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];
  readonly remedy: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.problems = details.problems ?? [];
    this.remedy = details.remedy;
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.problems.length > 0 && { problems: [...this.problems] }),
      ...(this.remedy !== undefined && { remedy: this.remedy }),
    };
  }
}

/** HTTP status of each code (RFC 9110 section 15). */
export const HTTP_STATUS = {
  invalid: 400,
  denied: 403,
  "not-found": 404,
  exists: 409,
  conflict: 409,
  refused: 422,
  internal: 500,
  unavailable: 503,
  timeout: 504,
} as const satisfies Record<ErrorCode, number>;
