/** What every route shares: the shape of errors, and how a thrown error becomes one. */
import { z } from "@hono/zod-openapi";
import { DriverError, type DriverErrorCode } from "../../drivers/error.ts";
import { ApiError } from "../error.ts";
import { ErrorBody, type ErrorCode } from "../schema/error.ts";

const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** The answers of a route: 200 with the schema, and every error that the API has. */
export function answers<S extends z.ZodType>(schema: S, description: string) {
  return { 200: json(schema, description), ...errors };
}

const errors = {
  400: json(ErrorBody, "The request is wrong"),
  403: json(ErrorBody, "The host does not let the agent do it"),
  404: json(ErrorBody, "There is no such thing"),
  409: json(ErrorBody, "It exists already, or somebody changed it meanwhile"),
  422: json(ErrorBody, "It would do harm, or is in use"),
  500: json(ErrorBody, "A mistake in Manx"),
  503: json(ErrorBody, "Something behind the agent does not answer"),
  504: json(ErrorBody, "It took too long"),
};

export function body<S extends z.ZodType>(schema: S) {
  return { required: true, content: { "application/json": { schema } } };
}

export const name = z.string().min(1).max(253);

const FROM_DRIVER: Readonly<Record<DriverErrorCode, ErrorCode>> = {
  "not-found": "not-found",
  exists: "exists",
  busy: "refused",
  denied: "denied",
  invalid: "invalid",
  timeout: "timeout",
  unavailable: "unavailable",
  failed: "internal",
};

/** Any thrown thing as the error that goes over the wire. The cause stays here: it is for the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof DriverError) return new ApiError(FROM_DRIVER[error.code], error.message, { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError("internal", `Cannot finish the request: ${message}`, {
    remedy: "This is a mistake in Manx. journalctl -u manx has the details.",
    cause: error,
  });
}
