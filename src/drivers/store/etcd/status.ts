/** What a gRPC status of etcd means for us. Codes: grpc.io/docs/guides/status-codes; texts: etcd's rpctypes/error.go. */
import type { ServiceError } from "@grpc/grpc-js";
import { DriverError, type DriverErrorCode } from "../../error.ts";

export type Failure =
  /** Another member, or the same one later, may do it. `sent`: the request may have been carried out all the same. */
  | { readonly kind: "unreachable"; readonly why: string; readonly sent: boolean }
  /** The token is no good any more: authenticate, then again. */
  | { readonly kind: "token"; readonly why: string }
  /** The history is gone that far back. */
  | { readonly kind: "compacted" }
  /** etcd has answered, and that is its answer. */
  | { readonly kind: "refused"; readonly code: DriverErrorCode; readonly why: string };

/** gRPC's numbers. */
const CODE = {
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unauthenticated: 16,
} as const;

const TOKEN_TEXTS = ["invalid auth token", "revision of auth store is old", "user name is empty"];
/** Said before a request was looked at. */
const UNSENT_TEXTS = [
  "no connection established",
  "name resolution failed",
  "no leader",
  "server stopped",
  "rpc not supported for learner",
  "not capable",
];

/** etcd's own refusal, and that of its gRPC server, which is before it. */
const TOO_LARGE_TEXTS = ["request is too large", "message larger than max", "too many operations in txn"];
const TOO_LARGE =
  "it takes no transaction as large as this. Raise its limit (--max-request-bytes, 1.5 MiB unless set), or do it in smaller parts";

const NO_SPACE =
  "its database is full. Compact and defragment it, then disarm the alarm: etcdctl defrag; etcdctl alarm disarm";

export function failureOf(error: unknown): Failure {
  const { code, text } = statusOf(error);
  const lower = text.toLowerCase();
  if (TOKEN_TEXTS.some((one) => lower.includes(one)) || code === CODE.unauthenticated)
    return { kind: "token", why: text };
  if (lower.includes("required revision has been compacted")) return { kind: "compacted" };
  if (lower.includes("database space exceeded")) return { kind: "refused", code: "failed", why: NO_SPACE };
  if (TOO_LARGE_TEXTS.some((one) => lower.includes(one))) return { kind: "refused", code: "invalid", why: TOO_LARGE };
  if (lower.includes("authentication failed"))
    return { kind: "refused", code: "denied", why: "it knows no such user with this password" };
  switch (code) {
    case CODE.permissionDenied:
      return {
        kind: "refused",
        code: "denied",
        why: "the user may not do this: it needs readwrite on the prefix /manx/",
      };
    case CODE.invalidArgument:
      return { kind: "refused", code: "invalid", why: text };
    case CODE.notFound:
      return { kind: "refused", code: "not-found", why: text };
    case CODE.failedPrecondition:
    case CODE.outOfRange:
      return { kind: "refused", code: "failed", why: text };
    case CODE.deadlineExceeded:
      return { kind: "unreachable", why: "no answer in time", sent: true };
    case CODE.cancelled:
      return { kind: "unreachable", why: "the connection was given up", sent: true };
    default:
      // Unavailable, resource exhausted ("too many requests"), and whatever a broken transport or proxy makes up.
      return { kind: "unreachable", why: plainWords(text), sent: !UNSENT_TEXTS.some((one) => lower.includes(one)) };
  }
}

/** The error that a caller of the driver gets. */
export function asDriverError(what: string, failure: Failure, where: string): DriverError {
  switch (failure.kind) {
    case "unreachable":
      return new DriverError("unavailable", `Cannot ${what}: etcd cannot be reached (${where}: ${failure.why})`);
    case "token":
      return new DriverError("denied", `Cannot ${what}: etcd at ${where} wants a user and a password, or other ones`);
    case "compacted":
      return new DriverError("failed", `Cannot ${what}: etcd at ${where} has compacted that part of its history`);
    case "refused":
      return new DriverError(failure.code, `Cannot ${what}: etcd at ${where} says: ${failure.why}`);
  }
}

function statusOf(error: unknown): { readonly code: number; readonly text: string } {
  if (!(error instanceof Error)) return { code: -1, text: String(error) };
  const { code, details } = error as Partial<ServiceError>;
  const text = typeof details === "string" && details !== "" ? details : error.message;
  return { code: typeof code === "number" ? code : -1, text: text.replace(/^etcdserver: /, "") };
}

/** What Node and OpenSSL say when a connection does not come to be, for people. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, "nobody listens there"],
  [/EHOSTUNREACH|ENETUNREACH/, "there is no route to it"],
  [/ETIMEDOUT/, "it does not answer"],
  [/ENOTFOUND|EAI_AGAIN|name resolution failed/i, "its name cannot be resolved"],
  [/CERT_HAS_EXPIRED|certificate has expired/i, "its certificate has expired"],
  [/CERT_NOT_YET_VALID|not yet valid/i, "its certificate is not valid yet: is this host's clock right?"],
  [/ALTNAME|does not match certificate/i, "its certificate is for another name or address"],
  [
    /SELF_SIGNED|self-signed|UNABLE_TO_VERIFY|unable to verify|UNABLE_TO_GET_ISSUER|unable to get/i,
    "its certificate is not signed by the CA that this host was told of",
  ],
  [/wrong version number|packet length too long|EPROTO/i, "it does not speak TLS; or it does, and http was asked for"],
  [/bad certificate|certificate required|unknown ca|alert/i, "it does not accept this host's certificate"],
  [/Failed to connect \(/, "it ends the connection at once: it may want TLS (https), or be no etcd"],
  [
    /ECONNRESET|socket hang up|socket disconnected|Connection dropped|GOAWAY|ECONNABORTED|EPIPE/i,
    "the connection broke",
  ],
];

function plainWords(text: string): string {
  const known = WORDS.find(([pattern]) => pattern.test(text))?.[1];
  return known ?? text.replace(/^No connection established\. Last error: /, "").replace(/ ?Resolution note: ?$/, "");
}
