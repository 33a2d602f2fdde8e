/** The kind Service: what its fields may say, what they demand of each other, and what they mean where they are absent. */
import { z } from "zod";
import { formatAddress, parseAddress } from "../net/address.ts";
import { ipAddress, selector, textThat, wholeNumber } from "./fields.ts";
import { field, listField, type Report, textField } from "./loose.ts";
import { quote } from "./names.ts";
import type { ServiceCheck } from "./resources.ts";

/** A path goes into the first line of a request (RFC 9112 section 3). */
const path = textThat((text) =>
  /^\/[!-~]{0,1023}$/.test(text)
    ? undefined
    : `${quote(text)} is not a path: it begins with "/" and has neither spaces nor control characters`,
);

export const ServiceSpec = z.strictObject({
  addresses: z
    .array(ipAddress)
    .min(1)
    .meta({
      description: "Addresses that the containers have besides their own; at most one of each IP version",
      examples: ["203.0.113.10", "2001:db8::10"],
    }),
  selector: selector.meta({ description: "Labels of the containers", examples: ["app == 'api'"] }),
  check: z
    .strictObject({
      type: z
        .enum(["docker", "tcp", "http"])
        .exactOptional()
        .meta({ description: "Docker's own health check, a connection, or a page", default: "docker" }),
      port: wholeNumber(1, 65535).exactOptional().meta({ description: "Port of the container that is asked" }),
      path: path.exactOptional().meta({ description: "What is asked for: 200 to 399 is a good answer", default: "/" }),
      interval: wholeNumber(1, 3600).exactOptional().meta({ description: "Seconds between two checks", default: 2 }),
      timeout: wholeNumber(1, 60).exactOptional().meta({ description: "Seconds to wait for an answer", default: 1 }),
      rise: wholeNumber(1, 100).exactOptional().meta({ description: "Good answers in a row to be well", default: 2 }),
      fall: wholeNumber(1, 100).exactOptional().meta({ description: "Bad answers in a row to be unwell", default: 3 }),
    })
    .exactOptional()
    .meta({ description: "How it is found out whether a container is well" }),
  drain: wholeNumber(0, 25)
    .exactOptional()
    .meta({ description: "Seconds between the withdrawal and the stop signal", default: 1 }),
});

const DEFAULT_CHECK: ServiceCheck = { type: "docker", interval: 2, timeout: 1, rise: 2, fall: 3 };
export const DEFAULT_DRAIN = 1;

export function checkService(resource: unknown, report: Report): void {
  const spec = field(resource, "spec");
  const families = new Set<number>();
  for (const [index, text] of listField(spec, "addresses").entries()) {
    const parsed = typeof text === "string" ? parseAddress(text) : undefined;
    if (parsed === undefined) continue;
    const why = whyNotServiceAddress(String(text));
    if (why !== undefined) report(["spec", "addresses", index], why);
    if (families.has(parsed.family))
      report(["spec", "addresses", index], `a service has one IPv${parsed.family} address: make another service`);
    families.add(parsed.family);
  }
  const check = field(spec, "check");
  const type = textField(check, "type") ?? "docker";
  if (type === "docker")
    for (const name of ["port", "path"])
      if (field(check, name) !== undefined) report(["spec", "check", name], "is only for the types tcp and http");
  if (type === "tcp" && field(check, "path") !== undefined)
    report(["spec", "check", "path"], "is only for the type http");
  if (["tcp", "http"].includes(type) && field(check, "port") === undefined)
    report(["spec", "check", "port"], `is missing: the type ${type} needs one`);
}

/** Nobody can be reached there (RFC 6890, RFC 4291): loopback, link-local, multicast, and addresses that stand for none. */
export function whyNotServiceAddress(text: string): string | undefined {
  const parsed = parseAddress(text);
  if (parsed === undefined) return `${quote(text)} is not an IP address`;
  const { family, value } = parsed;
  const first = Number(family === 4 ? value >> 24n : value >> 112n);
  const bad =
    family === 4
      ? first === 0 || first === 127 || first >= 224 || value >> 16n === 0xa9fen
      : value <= 1n || first >= 0xff00 || (first & 0xffc0) === 0xfe80 || value >> 32n === 0xffffn;
  return bad ? `${quote(text)} cannot be announced: nobody could be reached there` : undefined;
}

/** `docker`, `tcp:80`, `http:8080/healthz`; undefined for anything else. */
export function parseCheck(text: string): ServiceCheck | undefined {
  if (text === "docker") return DEFAULT_CHECK;
  const [, type, digits, rest = ""] = /^(tcp|http):([0-9]{1,5})(\/.*)?$/.exec(text.trim()) ?? [];
  const port = Number(digits);
  if (type === undefined || port < 1 || port > 65535) return undefined;
  if (type === "tcp") return rest === "" ? { ...DEFAULT_CHECK, type, port } : undefined;
  return path.safeParse(rest || "/").success ? { ...DEFAULT_CHECK, type: "http", port, path: rest || "/" } : undefined;
}

/** `http:8080/healthz` */
export function checkText({ type, port, path: asked }: ServiceCheck): string {
  return type === "docker" ? type : `${type}:${port ?? ""}${type === "http" ? (asked ?? "/") : ""}`;
}

type Fields = Readonly<Record<string, unknown>>;

export function completeService(spec: Fields): Fields {
  const given = (spec["check"] ?? {}) as Partial<ServiceCheck>;
  return {
    ...spec,
    addresses: (spec["addresses"] as readonly string[]).map(canonical).sort(byFamily),
    check: { ...DEFAULT_CHECK, ...(given.type === "http" ? { path: "/" } : {}), ...given },
    drain: spec["drain"] ?? DEFAULT_DRAIN,
  };
}

function canonical(text: string): string {
  const parsed = parseAddress(text);
  return parsed === undefined ? text : formatAddress(parsed);
}

function byFamily(a: string, b: string): number {
  return Number(a.includes(":")) - Number(b.includes(":"));
}
