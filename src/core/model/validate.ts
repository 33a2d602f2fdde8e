/**
 * The one door through which a resource comes in, whoever brings it: file, API, store. Anything may be passed; what comes out
 * is a resource with its defaults, or every problem there is. The same resource passes again and comes out the same.
 *
 * What Calico's API refuses is refused, what it accepts is accepted (libcalico-go's validator and clientv3, the CEL rules of
 * its API types), except, on purpose:
 * - what needs Kubernetes or Envoy (service accounts, services, HTTP) is refused with a sentence;
 * - unknown fields, also those that differ in case only, and what YAML 1.1 and 1.2 read in two ways are refused (document.ts);
 * - a namespace on a kind that has none is refused, and a BGPFilter whose shortest prefix is longer than its longest;
 * - lists and selectors may be longer than Calico's CRDs allow (1,024 rules, 50 ports, 256 nets, 1,024 characters): those are
 *   the cost limits of Kubernetes' API server;
 * - compose projects are namespaces, so a namespace may have "_" in its name.
 */
import type { Problem, Result } from "../problem.ts";
import { complete } from "./complete.ts";
import { type Finding, findingsOf, isElsewhere, isNear, shown, unknownField } from "./issues.ts";
import { fieldsOf, jsonSchema, schemaAt } from "./json-schema.ts";
import { findKind, KINDS, type KindInfo } from "./kinds.ts";
import { field, type Segment, textField } from "./loose.ts";
import type { AnyResource } from "./resources.ts";

export type Checked =
  | { readonly ok: true; readonly resource: AnyResource }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Checks a value of unknown shape. All problems at once, each with its path: `spec.ingress[0].destination.ports[1]`. */
export function validateResource(value: unknown): Result<AnyResource> {
  const checked = checkResource(value);
  return checked.ok ? { ok: true, value: checked.resource } : { ok: false, problems: checked.findings.map(toProblem) };
}

/** As `validateResource`, with paths in parts, for who must find the place in a file. */
export function checkResource(input: unknown): Checked {
  if (typeof input !== "object" || input === null || Array.isArray(input))
    return {
      ok: false,
      findings: [
        { segments: [], message: "is not a resource: a map with apiVersion, kind, metadata and spec is expected" },
      ],
    };
  const findings: Finding[] = [];
  const absent: Segment[][] = [];
  const value = dropAbsent(input, findings, absent);
  const info = kindOf(value, findings);
  if (info === undefined) return { ok: false, findings };
  const whole = { metadata: {}, spec: {}, ...(value as object) };
  const parsed = info.schema.safeParse(whole);
  if (!parsed.success) findings.push(...findingsOf(parsed.error.issues, whole, (segments) => fieldsOf(info, segments)));
  findings.push(...absent.flatMap((at) => unknownAbsent(info, at)));
  addOthers(findings, (report) => info.check(whole, report));
  return parsed.success && findings.length === 0
    ? { ok: true, resource: complete(info.kind, parsed.data) }
    : { ok: false, findings: findings.toSorted(byPlace) };
}

/** Of two findings at one place the first is enough: the schema has said that the value is no good at all. */
function addOthers(
  findings: Finding[],
  run: (report: (segments: readonly Segment[], message: string) => void) => void,
): void {
  const taken = new Set(findings.map(({ segments }) => formatPath(segments)));
  run((segments, message) => {
    if (!taken.has(formatPath(segments))) findings.push({ segments, message });
  });
}

/** Apart from the place of each field in its map, which is how people look for it. */
function byPlace(a: Finding, b: Finding): number {
  return a.segments.length === 0 ? -1 : b.segments.length === 0 ? 1 : 0;
}

function toProblem({ segments, message }: Finding): Problem {
  return { path: formatPath(segments), message };
}

/** `spec.ingress[0].destination`, `metadata.labels["a.b/c"]`. */
export function formatPath(segments: readonly Segment[]): string {
  let path = "";
  for (const part of segments) {
    if (typeof part === "number") path += `[${part}]`;
    else if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) path += `[${JSON.stringify(part.slice(0, 100))}]`;
    else path += path === "" ? part : `.${part}`;
  }
  return path;
}

/** The parts of what `formatPath` wrote. */
export function parsePath(path: string): Segment[] {
  return Array.from(path.matchAll(/\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[]+)/g), ([, index, quoted, name]) => {
    if (index !== undefined) return Number(index);
    return quoted === undefined ? (name ?? "") : (JSON.parse(quoted) as string);
  });
}

const MAX_DEPTH = 64;
/** Maps whose values are text: a key without a value has the empty text there. */
const TEXT_MAPS = new Set(["labels", "annotations", "labelsToApply"]);

/** Fields that Calico reads as absent where they are empty (`omitempty`). */
const EMPTY_IS_ABSENT = new Set(
  `orchestrator workload endpoint ipv4Gateway ipv6Gateway hostIP
   selector notSelector namespaceSelector nodeSelector serviceAccountSelector tier stagedAction ipipMode vxlanMode
   interfaceName containerID mac ipv4Address ipv6Address ipv4IPIPTunnelAddr routeReflectorClusterID ipv4VXLANTunnelAddr
   ipv6VXLANTunnelAddr vxlanTunnelMACAddr vxlanTunnelMACAddrV6 namespace uid creationTimestamp resourceVersion
   selfLink cidr matchOperator interface peerType node peerIP peerSelector nextHopMode sourceAddress
   reachableBy reversePeering logSeverityScreen bindMode net defaultEndpointToHostAction`.split(/\s+/),
);

/** A field without value is unknown as one with a value is; those that Calico has are put up with. */
function unknownAbsent(info: KindInfo, at: readonly Segment[]): Finding[] {
  const [place, key] = [at.slice(0, -1), String(at.at(-1))];
  if (info.kind === "FelixConfiguration" || isElsewhere(key)) return [];
  const map = schemaAt(jsonSchema(info), place);
  const known = map?.["properties"];
  if (typeof known !== "object" || known === null || Object.hasOwn(known, key)) return [];
  return [{ segments: at, message: unknownField(key, fieldsOf(info, place)), atKey: true }];
}

/**
 * A copy without what is null, as Calico reads it: a field without value is a field that is not there. Own keys only; the
 * copy's maps are plain ones, and a key `__proto__` is a finding.
 */
function dropAbsent(value: unknown, findings: Finding[], absent: Segment[][], at: readonly Segment[] = []): unknown {
  if (at.length > MAX_DEPTH) {
    findings.push({ segments: at.slice(0, 8), message: `is nested more than ${MAX_DEPTH} levels deep` });
    return undefined;
  }
  if (Array.isArray(value)) return value.map((item, index) => dropAbsent(item, findings, absent, [...at, index]));
  if (typeof value !== "object" || value === null) return value;
  const out: Record<string, unknown> = {};
  const texts = TEXT_MAPS.has(String(at.at(-1)));
  for (const [key, inner] of Object.entries(value)) {
    if (inner === "" && !texts && EMPTY_IS_ABSENT.has(key)) continue;
    // Of Calico's first API, and nothing as long as it says no.
    if (inner === false && key === "nat-outgoing") continue;
    if (key === "__proto__") findings.push({ segments: [...at, key], message: "is not a name that anything may have" });
    else if (inner === null || inner === undefined) {
      if (texts) out[key] = "";
      else if (inner === null) absent.push([...at, key]);
    } else out[key] = dropAbsent(inner, findings, absent, [...at, key]);
  }
  return out;
}

/** Kinds that files for Calico or Kubernetes contain, and why they are not for us. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  StagedKubernetesNetworkPolicy: "it belongs to Kubernetes: write a StagedNetworkPolicy",
  KubeControllersConfiguration: "it belongs to Kubernetes",
  ClusterInformation: "Calico keeps it for itself",
  CalicoNodeStatus: "manx status shows it",
  BlockAffinity: "manx ipam show shows the blocks",
  PolicyTest: "it is not stored: run it with manx test",
};

function kindOf(value: unknown, findings: Finding[]): KindInfo | undefined {
  const kind = textField(value, "kind");
  const apiVersion = textField(value, "apiVersion");
  const info = kind === undefined ? undefined : findKind(kind);
  if (info !== undefined && info.kind === kind && info.apiVersion === apiVersion) return info;
  if (kind === undefined) findings.push({ segments: ["kind"], message: missingOr(value, "kind", "a kind") });
  if (apiVersion === undefined)
    findings.push({
      segments: ["apiVersion"],
      message: missingOr(value, "apiVersion", info?.apiVersion ?? "projectcalico.org/v3"),
    });
  if (kind === undefined || apiVersion === undefined) return undefined;
  if (isOfKubernetes(apiVersion))
    findings.push({
      segments: ["apiVersion"],
      message: `${shown(apiVersion)} belongs to Kubernetes${info === undefined ? "" : `: the ${info.kind} here is ${info.apiVersion}`}`,
    });
  else if (info === undefined || info.kind !== kind)
    findings.push({ segments: ["kind"], message: unknownKind(kind, info) });
  else
    findings.push({
      segments: ["apiVersion"],
      message: `${shown(apiVersion)} is not the version of ${kind}: write ${info.apiVersion}`,
    });
  return undefined;
}

function missingOr(value: unknown, name: string, example: string): string {
  const given = field(value, name);
  return given === undefined ? `is missing: ${example}` : `${shown(given)} is not text`;
}

function isOfKubernetes(apiVersion: string): boolean {
  return /(^|\.)k8s\.io\//.test(apiVersion) || ["v1", "apps/v1"].includes(apiVersion);
}

function unknownKind(kind: string, similar: KindInfo | undefined): string {
  if (similar !== undefined) return `${shown(kind)} is not a kind: write ${similar.kind}`;
  if (Object.hasOwn(OTHER_KINDS, kind)) return `${kind} is not used here: ${OTHER_KINDS[kind]}`;
  const near = KINDS.find((known) => isNear(known.kind, kind));
  if (near !== undefined) return `${shown(kind)} is not a kind: did you mean ${near.kind}?`;
  return `${shown(kind)} is not a kind, known are ${KINDS.map((known) => known.kind).join(", ")}`;
}
