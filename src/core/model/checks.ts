/** What the fields of a resource demand of each other, kind by kind. Runs on unchecked input: see loose.ts. */
import { width } from "../net/address.ts";
import { type Cidr, cidr, covers, formatCidr, overlaps, parseCidr, parseNet } from "../net/cidr.ts";
import { DEFAULT_ALLOW } from "./built-in.ts";
import { checkAnnotations, checkRules } from "./check-rule.ts";
import { plainNet } from "./fields.ts";
import { checkLanAnnotations } from "./lan-annotations.ts";
import { entriesOf, field, isTrue, listField, type Report, textField } from "./loose.ts";
import { whyNotLabelName, whyNotLabelValue } from "./names.ts";

export type Check = (resource: unknown, report: Report) => void;

export const checkMetadata: Check = (resource, report) => {
  const metadata = field(resource, "metadata");
  checkLabels(field(metadata, "labels"), ["metadata", "labels"], report);
  checkAnnotations(field(metadata, "annotations"), ["metadata", "annotations"], report);
};

function checkLabels(labels: unknown, at: readonly string[], report: Report): void {
  for (const [key, value] of entriesOf(labels)) {
    const why = whyNotLabelName(key) ?? (typeof value === "string" ? whyNotLabelValue(value) : undefined);
    if (why !== undefined) report([...at, key], why);
  }
}

export const checkPolicy: Check = (resource, report) => {
  const spec = field(resource, "spec");
  checkRules(spec, report);
  const types = listField(spec, "types");
  for (const [index, type] of types.entries())
    if (types.indexOf(type) !== index) report(["spec", "types", index], `${String(type)} is there twice`);
  const hints = listField(spec, "performanceHints");
  for (const [index, hint] of hints.entries())
    if (hints.indexOf(hint) !== index) report(["spec", "performanceHints", index], `${String(hint)} is there twice`);
};

export const checkGlobalPolicy: Check = (resource, report) => {
  checkPolicy(resource, report);
  const spec = field(resource, "spec");
  const preDNAT = isTrue(spec, "preDNAT");
  const doNotTrack = isTrue(spec, "doNotTrack");
  if (preDNAT && doNotTrack) report(["spec", "preDNAT"], "cannot be true together with doNotTrack");
  if ((preDNAT || doNotTrack) && !isTrue(spec, "applyOnForward"))
    report(["spec", preDNAT ? "preDNAT" : "doNotTrack"], "needs applyOnForward: true");
  if (preDNAT && listField(spec, "egress").length > 0)
    report(["spec", "egress"], "a policy with preDNAT has no egress rules");
  const egress = listField(spec, "types").indexOf("Egress");
  if (preDNAT && egress >= 0) report(["spec", "types", egress], "a policy with preDNAT has no type Egress");
};

/** A staged deletion names the policy that would go, and says nothing else. */
export function checkStaged(check: Check): Check {
  return (resource, report) => {
    const spec = field(resource, "spec");
    if (textField(spec, "stagedAction") !== "Delete") {
      check(resource, report);
      return;
    }
    for (const [name, value] of entriesOf(spec)) {
      // Calico drops the types of a staged deletion itself.
      if (["stagedAction", "tier", "types"].includes(name) || isEmpty(value)) continue;
      report(["spec", name], "must be absent where stagedAction is Delete");
    }
  };
}

function isEmpty(value: unknown): boolean {
  return value === "" || value === false || (Array.isArray(value) && value.length === 0);
}

const LINK_LOCAL = [cidr("169.254.0.0/16"), cidr("fe80::/10")];

export const checkPool: Check = (resource, report) => {
  const spec = field(resource, "spec");
  const block = parseCidr(plainNet(textField(spec, "cidr") ?? ""));
  if (block !== undefined) checkPoolSize(spec, block, report);
  const ipip = isTunnel(spec, "ipipMode");
  const vxlan = isTunnel(spec, "vxlanMode");
  if (ipip && vxlan) report(["spec", "vxlanMode"], "cannot be on together with ipipMode");
  if (ipip && block?.family === 6) report(["spec", "ipipMode"], "IPIP does not carry IPv6: leave it at Never");
  checkLoadBalancer(spec, ipip || vxlan, report);
  const uses = listField(spec, "allowedUses");
  if (uses.length > 0 && uses.every((use) => use === "Tunnel") && (textField(spec, "namespaceSelector") ?? "") !== "")
    report(["spec", "namespaceSelector"], "a pool for tunnels only has no namespaces");
  checkLanAnnotations(resource, report);
};

function checkPoolSize(spec: unknown, block: Cidr, report: Report): void {
  const [least, most, usual] = block.family === 4 ? [20, 32, 26] : [116, 128, 122];
  const given = field(spec, "blockSize");
  const blockSize = typeof given === "number" && given !== 0 ? given : usual;
  if (blockSize < least || blockSize > most)
    report(["spec", "blockSize"], `${blockSize} is not between ${least} and ${most} (IPv${block.family})`);
  else if (!isTrue(spec, "disabled") && block.length > blockSize)
    report(
      ["spec", "cidr"],
      `the pool is smaller than one block (/${blockSize}): take a larger CIDR, or a blockSize of ${block.length} or more`,
    );
  if (LINK_LOCAL.some((range) => overlaps(range, block)))
    report(
      ["spec", "cidr"],
      `overlaps the link-local addresses ${block.family === 4 ? "169.254.0.0/16" : "fe80::/10"}`,
    );
}

function checkLoadBalancer(spec: unknown, tunnel: boolean, report: Report): void {
  const uses = listField(spec, "allowedUses");
  if (!uses.includes("LoadBalancer")) return;
  const other = uses.findIndex((use) => use === "Workload" || use === "Tunnel");
  if (other >= 0) report(["spec", "allowedUses", other], "LoadBalancer cannot be combined with other uses");
  if (tunnel) report(["spec", "allowedUses"], "a LoadBalancer pool cannot have ipipMode or vxlanMode on");
  if (isTrue(spec, "disableBGPExport")) report(["spec", "disableBGPExport"], "a LoadBalancer pool must be announced");
  const nodes = textField(spec, "nodeSelector") ?? "";
  if (nodes !== "" && nodes !== "all()") report(["spec", "nodeSelector"], "must be all() for a LoadBalancer pool");
}

function isTunnel(spec: unknown, name: string): boolean {
  return ["Always", "CrossSubnet"].includes(textField(spec, name) ?? "");
}

export const checkIpamConfiguration: Check = (resource, report) => {
  const spec = field(resource, "spec");
  if (textField(field(resource, "metadata"), "name") !== "default")
    report(["metadata", "name"], 'there is only one IPAMConfiguration, it must be called "default"');
  const isStrict = isTrue(spec, "strictAffinity");
  if (!isStrict && field(spec, "autoAllocateBlocks") === false)
    report(["spec", "autoAllocateBlocks"], "must be true unless strictAffinity is");
  const most = field(spec, "maxBlocksPerHost");
  if (!isStrict && typeof most === "number" && most > 0)
    report(["spec", "maxBlocksPerHost"], "needs strictAffinity: true");
};

const FELIX_SETTINGS = ["defaultEndpointToHostAction", "failsafeInboundHostPorts", "failsafeOutboundHostPorts"];

export const checkFelixConfiguration: Check = (resource, report) => {
  const name = textField(field(resource, "metadata"), "name") ?? "default";
  if (name !== "default" && !name.startsWith("node."))
    report(["metadata", "name"], 'is "default" for all hosts, or "node.NAME" for one');
  for (const [setting] of entriesOf(field(resource, "spec")))
    if (!FELIX_SETTINGS.includes(setting))
      report(["spec", setting], `means nothing here: of Felix' settings Manx has ${FELIX_SETTINGS.join(", ")}`);
};

/** The tiers that are always there: their place is fixed. */
export const FIXED_TIERS: Readonly<
  Record<string, { readonly order: number; readonly defaultAction: "Deny" | "Pass" }>
> = {
  "kube-admin": { order: 1000, defaultAction: "Pass" },
  default: { order: 1_000_000, defaultAction: "Deny" },
  "kube-baseline": { order: 10_000_000, defaultAction: "Pass" },
};
export const DEFAULT_TIER_ORDER = 1_000_000;
/** What kube-admin and kube-baseline were called before Calico 3.32: their place was fixed as well. */
const FORMER_ORDERS: Readonly<Record<string, number>> = {
  adminnetworkpolicy: 1000,
  baselineadminnetworkpolicy: 10_000_000,
};

export const checkTier: Check = (resource, report) => {
  const name = textField(field(resource, "metadata"), "name") ?? "";
  const fixed = Object.hasOwn(FIXED_TIERS, name) ? FIXED_TIERS[name] : undefined;
  const order = fixed?.order ?? (Object.hasOwn(FORMER_ORDERS, name) ? FORMER_ORDERS[name] : undefined);
  const spec = field(resource, "spec");
  if (order !== undefined && (field(spec, "order") ?? DEFAULT_TIER_ORDER) !== order)
    report(["spec", "order"], `the order of the tier "${name}" is fixed: ${order}`);
  if (fixed !== undefined && (field(spec, "defaultAction") ?? "Deny") !== fixed.defaultAction)
    report(["spec", "defaultAction"], `the default action of the tier "${name}" is fixed: ${fixed.defaultAction}`);
};

export const checkProfile: Check = (resource, report) => {
  const spec = field(resource, "spec");
  checkRules(spec, report);
  checkLabels(field(spec, "labelsToApply"), ["spec", "labelsToApply"], report);
  if (textField(field(resource, "metadata"), "name") === DEFAULT_ALLOW.metadata.name)
    report(["metadata", "name"], `the profile "${DEFAULT_ALLOW.metadata.name}" is built in and cannot be changed`);
};

export const checkNetworkSet: Check = (resource, report) => {
  const labels = field(field(resource, "metadata"), "labels");
  if (field(labels, "projectcalico.org/namespace") !== undefined)
    report(["metadata", "labels", "projectcalico.org/namespace"], "is reserved: it stands for the namespace itself");
};

export const checkHostEndpoint: Check = (resource, report) => {
  const spec = field(resource, "spec");
  const hasInterface = (textField(spec, "interfaceName") ?? "") !== "";
  if (spec !== undefined && !hasInterface && listField(spec, "expectedIPs").length === 0)
    report(["spec"], "needs an interfaceName, or expectedIPs that find it");
  checkNamedPorts(spec, report);
};

export const checkWorkloadEndpoint: Check = (resource, report) => {
  const spec = field(resource, "spec");
  for (const [index, item] of listField(spec, "ipNetworks").entries()) {
    const block = typeof item === "string" ? parseNet(item) : undefined;
    if (block !== undefined && block.length !== width(block.family))
      report(["spec", "ipNetworks", index], `${formatCidr(block)} holds more than one address`);
  }
  checkNamedPorts(spec, report);
  for (const [index, port] of listField(spec, "ports").entries())
    if ((textField(port, "name") ?? "") === "" && (field(port, "hostPort") ?? 0) === 0)
      report(["spec", "ports", index, "name"], "is missing: a port has a name or a hostPort");
  checkTranslations(spec, report);
};

/** Translations are of one IP version, and the inner address is the endpoint's own. */
function checkTranslations(spec: unknown, report: Report): void {
  const own = listField(spec, "ipNetworks").flatMap((item) => (typeof item === "string" ? (parseNet(item) ?? []) : []));
  for (const [index, nat] of listField(spec, "ipNATs").entries()) {
    const [inner, outer] = ["internalIP", "externalIP"].map((name) => parseNet(textField(nat, name) ?? ""));
    if (inner === undefined || outer === undefined) continue;
    const at = ["spec", "ipNATs", index];
    if (inner.family !== outer.family) report([...at, "externalIP"], "is of another IP version than internalIP");
    if (!own.some((net) => covers(net, inner))) report([...at, "internalIP"], "is not among the ipNetworks");
  }
}

function checkNamedPorts(spec: unknown, report: Report): void {
  for (const [index, port] of listField(spec, "ports").entries()) {
    const protocol = field(port, "protocol");
    if (typeof protocol !== "string" && typeof protocol !== "number") continue;
    if (!["TCP", "UDP", "SCTP", "6", "17", "132"].includes(String(protocol)))
      report(["spec", "ports", index, "protocol"], `${protocol} has no ports: TCP, UDP and SCTP have`);
  }
}

export const checkNode: Check = (resource, report) => {
  const bgp = field(field(resource, "spec"), "bgp");
  if (typeof bgp === "object" && bgp !== null && Object.keys(bgp).length === 0)
    report(["spec", "bgp"], "is empty: give an asNumber or an address, or leave it out");
};

export const checkNetwork: Check = (resource, report) => {
  const spec = field(resource, "spec");
  const families = listField(spec, "families");
  for (const [index, family] of families.entries())
    if (families.indexOf(family) !== index) report(["spec", "families", index], `${String(family)} is there twice`);
  if (Array.isArray(field(spec, "families")) && families.length === 0)
    report(["spec", "families"], "a network needs at least one IP version: 4, 6");
  const mtu = field(spec, "mtu");
  if (families.includes(6) && typeof mtu === "number" && mtu < 1280)
    report(["spec", "mtu"], `${mtu} is too small for IPv6, which needs 1280`);
  const blocks = listField(spec, "pools").flatMap((pool) => (typeof pool === "string" ? (parseCidr(pool) ?? []) : []));
  for (const [index, range] of listField(spec, "ranges").entries()) {
    const inner = typeof range === "string" ? parseCidr(range) : undefined;
    if (inner !== undefined && blocks.length > 0 && !blocks.some((block) => covers(block, inner)))
      report(["spec", "ranges", index], `${String(range)} lies outside the network's CIDRs`);
  }
};
