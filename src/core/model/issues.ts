/** zod's issues in our words: what is wrong, what is allowed, and what to write instead where that can be guessed. */
import type { z } from "zod";
import type { Segment } from "./loose.ts";
import { quote } from "./names.ts";

export interface Finding {
  readonly segments: readonly Segment[];
  readonly message: string;
  /** It is the name of the field that is wrong, not its value. */
  readonly atKey?: true;
}

type Issue = z.core.$ZodIssue;

/** Findings for the issues of one value; `value` is what was checked. */
export function findingsOf(issues: readonly Issue[], value: unknown, fieldsAt: FieldsAt): Finding[] {
  return issues.flatMap((issue) => describe(issue, issue.path.map(segment), value, fieldsAt));
}

/** The names of the fields that are allowed at a place, for a helpful word about an unknown one. */
export type FieldsAt = (segments: readonly Segment[]) => readonly string[];

function segment(part: PropertyKey): Segment {
  return typeof part === "symbol" ? String(part) : part;
}

function describe(issue: Issue, segments: readonly Segment[], root: unknown, fieldsAt: FieldsAt): Finding[] {
  const value = valueAt(root, segments);
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({
        segments: [...segments, key],
        message: unknownField(key, fieldsAt(segments)),
        atKey: true as const,
      }));
    case "invalid_union":
      return describeUnion(issue, segments, root, fieldsAt);
    case "invalid_type":
      return [{ segments, message: value === undefined ? "is missing" : wrongType(value, issue.expected) }];
    case "invalid_value":
      return [{ segments, message: value === undefined ? "is missing" : notOneOf(value, issue.values) }];
    case "too_small":
    case "too_big":
      return [{ segments, message: outOfRange(value, issue) }];
    case "custom":
    case "invalid_format":
    case "invalid_key":
    case "invalid_element":
    case "not_multiple_of":
      return [{ segments, message: issue.message }];
  }
}

type UnionIssue = Extract<Issue, { code: "invalid_union" }>;

/** Of a union the member that the value was meant for: the one whose type fits. */
function describeUnion(issue: UnionIssue, segments: readonly Segment[], root: unknown, fieldsAt: FieldsAt): Finding[] {
  const value = valueAt(root, segments);
  if (value === undefined) return [{ segments, message: "is missing" }];
  const meant = issue.errors.find(
    (issues) => issues.length > 0 && issues.every(({ code, path }) => path.length > 0 || code !== "invalid_type"),
  );
  const values = issue.errors.flatMap((issues) =>
    issues.flatMap((one) => (one.code === "invalid_value" ? one.values : [])),
  );
  if (values.length > 0) return [{ segments, message: notOneOf(value, values) }];
  if (meant !== undefined)
    return meant.flatMap((one) => describe(one, [...segments, ...one.path.map(segment)], root, fieldsAt));
  const expected = issue.errors.flatMap((issues) =>
    issues.flatMap((one) => (one.code === "invalid_type" ? [one.expected] : [])),
  );
  return [
    {
      segments,
      message: `${shown(value)} is ${typeName(value)}, ${[...new Set(expected.map(expectedName))].join(" or ")} is expected`,
    },
  ];
}

function valueAt(root: unknown, segments: readonly Segment[]): unknown {
  let value = root;
  for (const part of segments) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<Segment, unknown>>)[part];
  }
  return value;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map of fields",
  record: "a map of names to text",
};

function expectedName(expected: string): string {
  return EXPECTED[expected] ?? expected;
}

function wrongType(value: unknown, expected: string): string {
  const text = `${shown(value)} is ${typeName(value)}, ${expectedName(expected)} is expected`;
  const instead = insteadOf(value, expected);
  return instead === undefined ? text : `${text}: write ${instead}`;
}

function insteadOf(value: unknown, expected: string): string | undefined {
  if (expected === "string" && (typeof value === "number" || typeof value === "boolean")) return `"${value}"`;
  if ((expected === "number" || expected === "int") && typeof value === "string")
    return value.trim() !== "" && Number.isFinite(Number(value)) ? String(Number(value)) : undefined;
  if (expected === "boolean" && typeof value === "string") {
    if (/^(true|yes|on|y)$/i.test(value)) return "true";
    if (/^(false|no|off|n)$/i.test(value)) return "false";
  }
  if (expected === "array" && (typeof value === "string" || typeof value === "number")) return `[${shown(value)}]`;
  return undefined;
}

function typeName(value: unknown): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isInteger(value) ? "a number" : "a fraction";
  return typeof value === "string" ? "text" : typeof value === "boolean" ? "a truth value" : "a map";
}

function notOneOf(value: unknown, values: readonly unknown[]): string {
  const names = values.map(String);
  const similar =
    typeof value === "string" ? names.find((name) => name.toLowerCase() === value.toLowerCase()) : undefined;
  if (similar !== undefined) return `${shown(value)} is not allowed: write ${similar}`;
  return names.length === 1
    ? `${shown(value)} is not allowed: it must be ${names[0]}`
    : `${shown(value)} is not one of ${names.join(", ")}`;
}

function outOfRange(value: unknown, issue: Extract<Issue, { code: "too_small" | "too_big" }>): string {
  const limit = issue.code === "too_small" ? `less than ${issue.minimum}` : `more than ${issue.maximum}`;
  if (Array.isArray(value)) return `has ${value.length} entries, ${limit}`;
  return value === "" ? "may not be empty" : `${shown(value)} is ${limit}`;
}

/** Fields of Calico that mean something only with Kubernetes, Envoy or the old API, and what to do without them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  serviceAccounts: "service accounts belong to Kubernetes: select endpoints by their labels",
  serviceAccountSelector: "service accounts belong to Kubernetes: select endpoints by their labels",
  services: "services belong to Kubernetes: select endpoints by their labels",
  http: "HTTP matches need Calico's proxy in Kubernetes: match the port",
  pod: "pods belong to Kubernetes",
  serviceAccountName: "service accounts belong to Kubernetes",
  domains: "domain names are not addresses: put the addresses into a network set",
  serviceClusterIPs: "services belong to Kubernetes",
  serviceExternalIPs: "services belong to Kubernetes",
  serviceLoadBalancerIPs: "services belong to Kubernetes",
  serviceLoadBalancerAggregation: "services belong to Kubernetes",
  localWorkloadSelector: "peering with containers is not supported: give a peerIP or a peerSelector",
  localWorkloadPeeringIPV4: "peering with containers is not supported",
  localWorkloadPeeringIPV6: "peering with containers is not supported",
  ipCooldownSeconds: "what was free the longest is given out first here, whenever that was",
  kubeVirtVMAddressPersistence: "virtual machines belong to Kubernetes",
  programClusterRoutes: "routes between hosts are always BGP's here",
  ipv4NormalRoutePriority: "a priority that nobody sets is always 1024 here",
  ipv6NormalRoutePriority: "a priority that nobody sets is always 1024 here",
  namespace: "only some kinds have a namespace, in their metadata: leave it out",
  ipip: "is of Calico's first API: write ipipMode",
  "nat-outgoing": "is of Calico's first API: write natOutgoing",
};

export function isElsewhere(key: string): boolean {
  return Object.hasOwn(ELSEWHERE, key);
}

export function unknownField(key: string, known: readonly string[]): string {
  if (isElsewhere(key)) return ELSEWHERE[key] ?? "";
  const similar =
    known.find((name) => name.toLowerCase() === key.toLowerCase()) ?? known.find((name) => isNear(name, key));
  if (similar !== undefined) return `unknown field ${quote(key)}: did you mean ${similar}?`;
  return known.length === 0
    ? `unknown field ${quote(key)}`
    : `unknown field ${quote(key)}, known are ${known.join(", ")}`;
}

/** One letter more, less, or other, or two swapped. */
export function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || b.length > 60) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const rest = [a.length - start - end, b.length - start - end];
  if (Math.max(...rest) <= 1) return true;
  return rest[0] === 2 && rest[1] === 2 && a[start] === b[start + 1] && a[start + 1] === b[start];
}

/** The value as a problem shows it. */
export function shown(value: unknown): string {
  if (typeof value === "string") return quote(value);
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "this";
}
