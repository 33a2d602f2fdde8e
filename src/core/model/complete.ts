/**
 * From what passed the schema to what is stored: defaults as Calico fills them in (defaultPolicyTypesField, DefaultTierFields,
 * validateAndSetDefaults of libcalico-go/lib/clientv3), and nothing that says no more than its absence does, so that two
 * files that mean the same give the same resource.
 */
import { parseCidr } from "../net/cidr.ts";
import { DEFAULT_TIER_ORDER } from "./checks.ts";
import { canonicalCidr } from "./fields.ts";
import { type KindInfo, kindInfo } from "./kinds.ts";
import type { AnyResource, Kind, Metadata, PolicyType } from "./resources.ts";
import { completeService } from "./service.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The resource with its defaults; the value has passed the kind's schema and checks. */
export function complete(kind: Kind, value: unknown): AnyResource {
  const info = kindInfo(kind);
  const { metadata, spec } = value as { readonly metadata: Fields; readonly spec: Fields };
  return inOrder({
    apiVersion: info.apiVersion,
    kind,
    metadata: completeMetadata(info, metadata),
    spec: completeSpec(kind, spec),
  }) as AnyResource;
}

/** The fields of every map by name: the order in which Calico prints them, and the same for equal resources. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (value === 0) return 0; // JSON cannot tell -0, which would be another value
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, inOrder(inner)]));
}

const KEPT = ["name", "namespace", "labels", "annotations", "uid", "creationTimestamp", "resourceVersion"] as const;

function completeMetadata({ namespaced }: KindInfo, metadata: Fields): Metadata {
  const out: Record<string, unknown> = {};
  for (const key of KEPT) {
    if (key === "namespace") {
      if (namespaced) out[key] = metadata[key] ?? "default";
    } else if (!isVoid(metadata[key])) out[key] = metadata[key];
  }
  return out as unknown as Metadata;
}

function completeSpec(kind: Kind, spec: Fields): Fields {
  switch (kind) {
    case "GlobalNetworkPolicy":
    case "NetworkPolicy":
      return completePolicy(spec);
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy":
      return completeStaged(spec);
    case "Tier":
      return { defaultAction: "Deny", order: DEFAULT_TIER_ORDER, ...spec };
    case "Profile":
      return compact({ ...spec, ...completeRules(spec) });
    case "IPPool":
      return completePool(spec);
    case "FelixConfiguration":
      return spec; // no ports is not the same as nothing said about ports
    case "IPAMConfiguration":
      return { strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0, ...spec };
    case "Network":
      return {
        pools: [],
        families: [4],
        publish: "address",
        isolation: "network",
        internal: false,
        sticky: false,
        ...withoutVoid(spec, ["ranges"]),
      };
    case "Service":
      return completeService(spec);
    case "BGPPeer":
      return compact({ sourceAddress: "UseNodeIP", ...spec });
    case "BGPConfiguration":
      return { ...withoutVoid(spec, ["communities", "prefixAdvertisements", "ignoredInterfaces"]) };
    case "BGPFilter":
      return compact(spec);
    case "IPReservation":
      return { reservedCIDRs: [], ...spec };
    case "NetworkSet":
    case "GlobalNetworkSet":
    case "HostEndpoint":
    case "Node":
      return compact(spec);
    case "WorkloadEndpoint":
      return { orchestrator: "", workload: "", node: "", endpoint: "", ipNetworks: [], profiles: [], ...spec };
  }
}

function completePolicy(spec: Fields): Fields {
  const types = spec["types"] as readonly PolicyType[] | undefined;
  return compact({
    ...spec,
    tier: textOr(spec["tier"], "default"),
    selector: textOr(spec["selector"], "all()"),
    types: types === undefined || types.length === 0 ? typesOf(spec) : ordered(types),
    ...completeRules(spec),
  });
}

function completeStaged(spec: Fields): Fields {
  const stagedAction = spec["stagedAction"] ?? "Set";
  if (stagedAction !== "Delete") return { stagedAction, ...completePolicy({ ...spec, stagedAction }) };
  return { stagedAction, tier: textOr(spec["tier"], "default"), selector: "", types: [] };
}

/** No types given: those that have rules, and Ingress if none has. */
function typesOf(spec: Fields): readonly PolicyType[] {
  const has = (name: string) => Array.isArray(spec[name]) && (spec[name] as unknown[]).length > 0;
  if (!has("egress")) return ["Ingress"];
  return has("ingress") ? ["Ingress", "Egress"] : ["Egress"];
}

/** The order of types means nothing; a fixed one makes equal policies equal. */
function ordered(types: readonly PolicyType[]): readonly PolicyType[] {
  return (["Ingress", "Egress"] as const).filter((type) => types.includes(type));
}

function completeRules(spec: Fields): Fields {
  const out: Record<string, unknown> = {};
  for (const direction of ["ingress", "egress"])
    if (Array.isArray(spec[direction])) out[direction] = (spec[direction] as Fields[]).map(completeRule);
  return out;
}

function completeRule(rule: Fields): Fields {
  const out: Record<string, unknown> = { ...rule };
  for (const name of ["source", "destination", "metadata"]) {
    if (out[name] === undefined) continue;
    const inner = compact(out[name] as Fields);
    if (Object.keys(inner).length > 0) out[name] = inner;
    else delete out[name];
  }
  return out;
}

function completePool(spec: Fields): Fields {
  const cidr = canonicalCidr(String(spec["cidr"]));
  const uses = spec["allowedUses"] as readonly string[] | undefined;
  return compact({
    ...spec,
    cidr,
    blockSize: spec["blockSize"] || (parseCidr(cidr)?.family === 6 ? 122 : 26),
    nodeSelector: textOr(spec["nodeSelector"], "all()"),
    allowedUses: uses === undefined || uses.length === 0 ? ["Workload", "Tunnel"] : uses,
    assignmentMode: spec["assignmentMode"] ?? "Automatic",
    ipipMode: spec["ipipMode"] ?? "Never",
    vxlanMode: spec["vxlanMode"] ?? "Never",
  });
}

function textOr(value: unknown, otherwise: string): unknown {
  return value === undefined || value === "" ? otherwise : value;
}

/** Without the fields whose value is the same as their absence (Go's `omitempty`). */
function compact(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isVoid(value)));
}

function withoutVoid(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => !names.includes(name) || !isVoid(value)));
}

function isVoid(value: unknown): boolean {
  if (value === undefined || value === "" || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
