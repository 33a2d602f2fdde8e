/** The text of the agent's configuration file: how it reads, and what is allowed. */
import { LineCounter, parseDocument } from "yaml";
import * as z from "zod";
import type { FlowVerdict } from "../core/flows/flow.ts";
import { placeOf, toValue, type YamlDocument } from "../core/model/document.ts";
import type { FileProblem } from "../core/model/parse.ts";
import { parseListenAddress } from "../core/net/listen-address.ts";
import type { Facility } from "../drivers/log/syslog.ts";
import { parseEndpoints } from "../drivers/store/etcd.ts";

const path = z.string().regex(/^\/./, "is not an absolute path");

const VERDICTS = [
  "allow",
  "deny",
  "log",
  "would-allow",
  "would-deny",
  "would-pass",
] as const satisfies readonly FlowVerdict[];
const FACILITIES = [
  "user",
  "daemon",
  "local0",
  "local1",
  "local2",
  "local3",
  "local4",
  "local5",
  "local6",
  "local7",
] as const satisfies readonly Facility[];

const EtcdConfig = z
  .strictObject({
    endpoints: z
      .array(z.string())
      .min(1, "names no member of etcd")
      .check((context) => {
        for (const [index, endpoint] of context.value.entries())
          try {
            if (parseEndpoints(endpoint, false).length !== 1) throw new Error("is more than one endpoint");
          } catch (error) {
            const message = error instanceof Error ? error.message : String(error);
            context.issues.push({ code: "custom", message, input: endpoint, path: [index] });
          }
      }),
    caFile: path.optional(),
    certFile: path.optional(),
    keyFile: path.optional(),
    user: z.string().min(1).optional(),
    passwordFile: path.optional(),
  })
  .check(({ value, issues }) => {
    const together = (a: keyof typeof value, b: keyof typeof value): void => {
      if ((value[a] === undefined) !== (value[b] === undefined))
        issues.push({ code: "custom", message: `${a} and ${b} belong together`, input: value, path: [] });
    };
    together("certFile", "keyFile");
    together("user", "passwordFile");
  });
export type EtcdConfig = Readonly<z.infer<typeof EtcdConfig>>;

const Config = z.strictObject({
  host: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i, "is no host name")
    .optional(),
  endpointToHost: z.enum(["allow", "restricted", "deny"]).optional(),
  logLevel: z.enum(["debug", "info", "warn", "error"]).optional(),
  bgp: z.enum(["own", "external", "off"]).optional(),
  /** How the node's own addresses are found: see ip-method.ts. */
  ip: z.string().optional(),
  ip6: z.string().optional(),
  /** ADDRESS:PORT of a listener for Prometheus, without login. */
  metrics: z
    .string()
    .refine(
      (text) => text === "off" || parseListenAddress(text) !== undefined,
      "is not ADDRESS:PORT, as 127.0.0.1:7442",
    )
    .optional(),
  /** Flows and drops for who keeps them elsewhere. */
  flowLog: z
    .strictObject({
      verdicts: z.array(z.enum(VERDICTS)).min(1, "names no verdict").optional(),
      file: z
        .strictObject({
          path,
          maxSize: z.int().min(10_000).max(10_000_000_000).optional(),
          keep: z.int().min(1).max(100).optional(),
        })
        .optional(),
      syslog: z.strictObject({ socket: path.optional(), facility: z.enum(FACILITIES).optional() }).optional(),
    })
    .optional(),
  secrets: path.optional(),
  stateFile: path.optional(),
  socket: path.optional(),
  pluginSocket: path.optional(),
  dockerSocket: path.optional(),
  /** The dashboard. */
  ui: z
    .union([
      z.literal("off"),
      z.strictObject({
        address: z.string().optional(),
        certFile: path.optional(),
        keyFile: path.optional(),
        names: z.array(z.string()).optional(),
      }),
    ])
    .optional(),
  /** Absent: this host alone, its store in its own file. */
  store: z.strictObject({ etcd: EtcdConfig }).optional(),
});
export type Config = Readonly<z.infer<typeof Config>>;

export function parseConfig(text: string, file: string): { config: Config; problems: readonly FileProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, version: "1.2" }) as unknown as YamlDocument;
  const at = (offset: number): { file: string; line: number; column: number } => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const broken = document.errors.map(({ pos, message }) => ({
    ...at(pos[0]),
    path: "",
    message: (message.split("\n")[0] ?? "").replace(/ at line \d+.*$/, ""),
  }));
  if (broken.length > 0) return { config: {}, problems: broken };
  const { value, problems } = toValue(document);
  if (problems.length > 0)
    return {
      config: {},
      problems: problems.map(({ offset, segments, message }) => ({ ...at(offset), path: segments.join("."), message })),
    };
  const result = Config.safeParse(value ?? {});
  if (result.success) return { config: result.data, problems: [] };
  return {
    config: {},
    problems: result.error.issues.flatMap((issue) => {
      const segments = issue.path.filter((part) => typeof part !== "symbol");
      const keys = issue.code === "unrecognized_keys" ? issue.keys : [undefined];
      return keys.map((key) => ({
        ...at(placeOf(document, key === undefined ? segments : [...segments, key], key !== undefined)),
        path: [...segments, ...(key === undefined ? [] : [key])].join("."),
        message: key === undefined ? issue.message : "there is no such setting",
      }));
    }),
  };
}
