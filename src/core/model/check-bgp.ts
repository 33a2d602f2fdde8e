/** What the fields of BGP resources demand of each other (CEL rules of Calico's API, validateBGP... of libcalico-go). */
import { parseAddress } from "../net/address.ts";
import { isCommunity, parsePeerAddress } from "./bgp.ts";
import { whyNotAnnotation } from "./bgp-annotations.ts";
import type { Check } from "./checks.ts";
import { plainNet } from "./fields.ts";
import { entriesOf, field, isTrue, listField, type Report, type Segment, textField } from "./loose.ts";

export const checkBgpConfiguration: Check = (resource, report) => {
  const spec = field(resource, "spec");
  const name = textField(field(resource, "metadata"), "name") ?? "default";
  if (name !== "default" && !name.startsWith("node."))
    report(["metadata", "name"], 'is "default" for all nodes, or "node.NAME" for one');
  for (const key of ["nodeMeshPassword", "nodeMeshMaxRestartTime"]) {
    if (field(spec, key) === undefined) continue;
    if (field(spec, "nodeToNodeMeshEnabled") === false) report(["spec", key], "needs nodeToNodeMeshEnabled");
    else if (name !== "default") report(["spec", key], 'belongs into the BGPConfiguration "default"');
  }
  for (const key of ["nodeToNodeMeshEnabled", "asNumber"])
    if (name !== "default" && field(spec, key) !== undefined)
      report(["spec", key], 'belongs into the BGPConfiguration "default"');
  checkCommunities(spec, report);
  checkAnnotations(resource, report);
};

/** What Manx adds to Calico's schema. */
function checkAnnotations(resource: unknown, report: Report): void {
  for (const [key, value] of entriesOf(field(field(resource, "metadata"), "annotations"))) {
    const why = typeof value === "string" ? whyNotAnnotation(key, value) : undefined;
    if (why !== undefined) report(["metadata", "annotations", key], `${JSON.stringify(value)} ${why}`);
  }
}

function checkCommunities(spec: unknown, report: Report): void {
  const names = listField(spec, "communities").map((community) => textField(community, "name"));
  const prefixes = listField(spec, "prefixAdvertisements");
  if (names.length > 0 && prefixes.length === 0)
    report(["spec", "communities"], "are used nowhere: give prefixAdvertisements that name them");
  for (const [index, prefix] of prefixes.entries()) {
    for (const [i, community] of listField(prefix, "communities").entries())
      if (typeof community === "string" && !isCommunity(community) && !names.includes(community))
        report(
          ["spec", "prefixAdvertisements", index, "communities", i],
          `"${community}" is neither a community nor the name of one`,
        );
  }
}

export const checkBgpPeer: Check = (resource, report) => {
  const spec = field(resource, "spec");
  checkAnnotations(resource, report);
  const has = (name: string) => field(spec, name) !== undefined && !(name === "asNumber" && field(spec, name) === 0);
  const exclude = (name: string, other: string) => {
    if (has(name) && has(other)) report(["spec", name], `cannot stand beside ${other}`);
  };
  exclude("node", "nodeSelector");
  exclude("peerIP", "peerSelector");
  exclude("asNumber", "peerSelector");
  if (isTrue(spec, "keepOriginalNextHop")) exclude("keepOriginalNextHop", "nextHopMode");
  const gateway = parseAddress(plainNet(textField(spec, "reachableBy") ?? ""));
  if (gateway === undefined) return;
  const peer = parsePeerAddress(textField(spec, "peerIP") ?? "");
  if (!has("peerIP")) report(["spec", "reachableBy"], "needs a peerIP");
  else if (peer !== undefined && parseAddress(plainNet(peer.address))?.family !== gateway.family)
    report(["spec", "reachableBy"], "is of another IP version than peerIP");
};

export const checkBgpFilter: Check = (resource, report) => {
  const spec = field(resource, "spec");
  for (const list of ["exportV4", "importV4", "exportV6", "importV6"])
    for (const [index, rule] of listField(spec, list).entries()) checkFilterRule(rule, ["spec", list, index], report);
};

function checkFilterRule(rule: unknown, at: readonly Segment[], report: Report): void {
  const has = (name: string) => field(rule, name) !== undefined;
  if (has("cidr") && !has("matchOperator")) report([...at, "cidr"], "needs a matchOperator");
  if (has("matchOperator") && !has("cidr")) report([...at, "matchOperator"], "needs a cidr");
  if (has("prefixLength") && !has("cidr")) report([...at, "prefixLength"], "needs a cidr");
  const [min, max] = ["min", "max"].map((name) => field(field(rule, "prefixLength"), name));
  if (typeof min === "number" && typeof max === "number" && min > max)
    report([...at, "prefixLength", "min"], `${min} is more than max`);
  const operations = listField(rule, "operations");
  if (operations.length > 0 && field(rule, "action") !== "Accept")
    report([...at, "operations"], "change nothing where action is not Accept");
  for (const [index, operation] of operations.entries()) {
    const set = ["addCommunity", "prependASPath", "setPriority"].filter((name) => field(operation, name) !== undefined);
    if (set.length !== 1) report([...at, "operations", index], "an operation does exactly one thing");
  }
}
