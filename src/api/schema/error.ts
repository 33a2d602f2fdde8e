/** How the API says no: one body for every error, with a code that does not change between versions. */
import { z } from "@hono/zod-openapi";

const ERROR_CODES = [
  "invalid",
  "not-found",
  "exists",
  "conflict",
  "refused",
  "denied",
  "unavailable",
  "timeout",
  "internal",
] as const;

export const ErrorCode = z.enum(ERROR_CODES).openapi("ErrorCode", {
  description: [
    "invalid: the request is wrong, see problems",
    "not-found: there is no such thing",
    "exists: there is already one of that name",
    "conflict: somebody else changed it meanwhile; read it again",
    "refused: it would do harm, or it is in use; the message says what to do first",
    "denied: the host does not let the agent do it",
    "unavailable: the store, the engine or the kernel does not answer at the moment; try again",
    "timeout: it took too long; it may still happen",
    "internal: a mistake in Manx",
  ].join("; "),
});
export type ErrorCode = z.infer<typeof ErrorCode>;

const ProblemSchema = z
  .object({
    path: z.string().openapi({ example: "spec.ingress[0].destination.ports[1]" }),
    message: z.string().openapi({ example: "70000 is not a port (1-65535)" }),
  })
  .readonly();

export const ErrorBody = z
  .object({
    code: ErrorCode,
    message: z.string().openapi({ example: 'Cannot remove the pool "default-v4": 12 addresses of it are in use' }),
    problems: z.array(ProblemSchema).readonly().optional(),
    remedy: z.string().optional().openapi({ example: "Remove the containers first: manx ls shows them." }),
  })
  .readonly()
  .openapi("Error");
export type ErrorBody = z.infer<typeof ErrorBody>;
