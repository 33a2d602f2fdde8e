/** From a thrown error to what the user reads and the exit status that a script gets. */
import { ApiError, UnreachableError } from "../api/client.ts";
import { formatProblems } from "../core/problem.ts";
import { DriverError, type DriverErrorCode } from "../drivers/error.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";

/** What a command throws where it knows best which exit status fits. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exit: ExitCode;
  readonly remedy: string | undefined;

  constructor(exit: ExitCode, message: string, remedy?: string) {
    super(message);
    this.exit = exit;
    this.remedy = remedy;
  }
}

interface Explained {
  readonly exit: ExitCode;
  readonly text: string;
  readonly remedy: string | undefined;
}

const BY_API: Readonly<Record<ApiError["code"], ExitCode>> = {
  invalid: EXIT.usage,
  "not-found": EXIT.notFound,
  exists: EXIT.refused,
  conflict: EXIT.refused,
  refused: EXIT.refused,
  denied: EXIT.denied,
  unavailable: EXIT.failed,
  timeout: EXIT.failed,
  internal: EXIT.failed,
};

const BY_DRIVER: Readonly<Record<DriverErrorCode, ExitCode>> = {
  "not-found": EXIT.notFound,
  exists: EXIT.refused,
  busy: EXIT.refused,
  denied: EXIT.denied,
  invalid: EXIT.usage,
  timeout: EXIT.failed,
  unavailable: EXIT.failed,
  failed: EXIT.failed,
};

export function explain(error: unknown): Explained {
  if (error instanceof CliError) return { exit: error.exit, text: error.message, remedy: error.remedy };
  if (error instanceof UnreachableError) {
    const exit = error.reason === "denied" ? EXIT.denied : EXIT.unreachable;
    return { exit, text: error.message, remedy: error.remedy };
  }
  if (error instanceof ApiError) {
    const problems = error.problems.length === 0 ? "" : `:\n${indent(formatProblems(error.problems))}`;
    return { exit: BY_API[error.code], text: error.message + problems, remedy: error.remedy };
  }
  if (error instanceof DriverError) return { exit: BY_DRIVER[error.code], text: error.message, remedy: undefined };
  const text =
    error instanceof Error
      ? process.env["MANX_DEBUG"]
        ? (error.stack ?? error.message)
        : error.message
      : String(error);
  return { exit: EXIT.failed, text, remedy: "This looks like a mistake in Manx; MANX_DEBUG=1 shows where." };
}

const indent = (text: string): string => text.replaceAll(/^/gm, "  ");
