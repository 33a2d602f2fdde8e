/** One entry a kind: what it is called, where it lives, what checks it. Everything else about kinds is derived from here. */
import { z } from "zod";
import { BGPConfigurationSpec, BGPFilterSpec, BGPPeerSpec } from "./bgp.ts";
import { checkBgpConfiguration, checkBgpFilter, checkBgpPeer } from "./check-bgp.ts";
import * as check from "./checks.ts";
import { metadataSchema } from "./metadata.ts";
import {
  whyNotGlobalPolicyName,
  whyNotName,
  whyNotPolicyName,
  whyNotStagedPolicyName,
  whyNotTierName,
} from "./names.ts";
import {
  GlobalNetworkPolicySpec,
  NetworkPolicySpec,
  StagedGlobalNetworkPolicySpec,
  StagedNetworkPolicySpec,
} from "./policy.ts";
import type { Kind } from "./resources.ts";
import { checkService, ServiceSpec } from "./service.ts";
import * as specs from "./specs.ts";

export interface KindInfo {
  readonly kind: Kind;
  readonly apiVersion: "projectcalico.org/v3" | "manx/v1";
  /** One line for `manx explain` and the list of kinds. */
  readonly description: string;
  /** What commands also call it, in lower case; the first is the plural. */
  readonly aliases: readonly string[];
  readonly namespaced: boolean;
  /** Made by Manx itself: shown, never applied. */
  readonly readOnly: boolean;
  /** Each field by itself. */
  readonly schema: z.ZodType;
  /** What needs several fields. */
  readonly check: check.Check;
}

const CALICO = "projectcalico.org/v3";

/** In the order in which a set of resources is applied, so that what others refer to comes first. */
export const KINDS: readonly KindInfo[] = [
  entry("Node", CALICO, "A host", ["nodes", "no"], specs.NodeSpec, check.checkNode, { status: true }),
  entry(
    "IPAMConfiguration",
    CALICO,
    "How hosts take address blocks",
    ["ipamconfigurations", "ipamconfig", "ipamconfigs"],
    specs.IPAMConfigurationSpec,
    check.checkIpamConfiguration,
  ),
  entry(
    "FelixConfiguration",
    CALICO,
    "Ports of hosts that no policy closes, and what containers may do on their host",
    ["felixconfigurations", "felixconfig", "felixconfigs"],
    specs.FelixConfigurationSpec,
    check.checkFelixConfiguration,
  ),
  entry(
    "IPPool",
    CALICO,
    "Addresses for containers",
    ["ippools", "ipp", "ipps", "pool", "pools"],
    specs.IPPoolSpec,
    check.checkPool,
    { status: true },
  ),
  entry(
    "IPReservation",
    CALICO,
    "Addresses that are not given out",
    ["ipreservations", "ipres"],
    specs.IPReservationSpec,
    () => {},
  ),
  entry(
    "BGPConfiguration",
    CALICO,
    "How hosts speak BGP",
    ["bgpconfigurations", "bgpconfig", "bgpconfigs"],
    BGPConfigurationSpec,
    checkBgpConfiguration,
  ),
  entry("BGPFilter", CALICO, "Which routes may pass", ["bgpfilters", "bgpf"], BGPFilterSpec, checkBgpFilter),
  entry("BGPPeer", CALICO, "Who hosts speak BGP with", ["bgppeers", "bgpp", "bgpps"], BGPPeerSpec, checkBgpPeer),
  entry(
    "Network",
    "manx/v1",
    "A Docker network of the driver manx",
    ["networks", "net", "nets"],
    specs.NetworkSpec,
    check.checkNetwork,
  ),
  entry(
    "Service",
    "manx/v1",
    "Addresses that several containers have together",
    ["services", "svc", "svcs"],
    ServiceSpec,
    checkService,
  ),
  entry(
    "Tier",
    CALICO,
    "A group of policies with a place among the others",
    ["tiers"],
    specs.TierSpec,
    check.checkTier,
    { name: whyNotTierName, status: true },
  ),
  entry(
    "Profile",
    CALICO,
    "Labels and rules that endpoints share",
    ["profiles", "pro", "pros"],
    specs.ProfileSpec,
    check.checkProfile,
  ),
  entry(
    "GlobalNetworkSet",
    CALICO,
    "Addresses that have labels, in no namespace",
    ["globalnetworksets", "gns", "gnetsets"],
    specs.NetworkSetSpec,
    check.checkNetworkSet,
  ),
  entry(
    "NetworkSet",
    CALICO,
    "Addresses that have labels, in a namespace",
    ["networksets", "netset", "netsets"],
    specs.NetworkSetSpec,
    check.checkNetworkSet,
    { namespaced: true },
  ),
  entry(
    "HostEndpoint",
    CALICO,
    "An interface of a host under policy",
    ["hostendpoints", "hep", "heps"],
    specs.HostEndpointSpec,
    check.checkHostEndpoint,
  ),
  entry(
    "WorkloadEndpoint",
    CALICO,
    "An interface of a container, as policy sees it",
    ["workloadendpoints", "wep", "weps"],
    specs.WorkloadEndpointSpec,
    check.checkWorkloadEndpoint,
    { namespaced: true, readOnly: true, name: whyNotNothing },
  ),
  entry(
    "GlobalNetworkPolicy",
    CALICO,
    "Rules for endpoints of all namespaces",
    ["globalnetworkpolicies", "gnp", "gnps"],
    GlobalNetworkPolicySpec,
    check.checkGlobalPolicy,
    { name: whyNotGlobalPolicyName, status: true },
  ),
  entry(
    "NetworkPolicy",
    CALICO,
    "Rules for endpoints of one namespace",
    ["networkpolicies", "np", "nps", "policy", "policies", "pol", "pols", "cnp"],
    NetworkPolicySpec,
    check.checkPolicy,
    { namespaced: true, name: whyNotPolicyName, status: true },
  ),
  entry(
    "StagedGlobalNetworkPolicy",
    CALICO,
    "A GlobalNetworkPolicy on trial: counted, never enforced",
    ["stagedglobalnetworkpolicies", "sgnp", "sgnps"],
    StagedGlobalNetworkPolicySpec,
    check.checkStaged(check.checkGlobalPolicy),
    { name: whyNotGlobalPolicyName, status: true },
  ),
  entry(
    "StagedNetworkPolicy",
    CALICO,
    "A NetworkPolicy on trial: counted, never enforced",
    ["stagednetworkpolicies", "snp", "snps"],
    StagedNetworkPolicySpec,
    check.checkStaged(check.checkPolicy),
    { namespaced: true, name: whyNotStagedPolicyName, status: true },
  ),
];

const BY_NAME = new Map(
  KINDS.flatMap((info) => [info.kind.toLowerCase(), ...info.aliases].map((name) => [name, info])),
);

/** The kind that a user means by `IPPool`, `ippool`, `ippools`, `pool`; undefined if none. */
export function findKind(name: string): KindInfo | undefined {
  return BY_NAME.get(name.toLowerCase());
}

export function kindInfo(kind: Kind): KindInfo {
  const info = BY_NAME.get(kind.toLowerCase());
  if (info === undefined) throw new Error(`no such kind: ${kind}`);
  return info;
}

interface Exceptions {
  /** What Calico says about the resource stands in it too. */
  readonly status?: boolean;
  readonly namespaced?: boolean;
  readonly readOnly?: boolean;
  readonly name?: (name: string) => string | undefined;
}

function entry(
  kind: Kind,
  apiVersion: KindInfo["apiVersion"],
  description: string,
  aliases: readonly string[],
  spec: z.ZodType,
  checkKind: check.Check,
  { namespaced = false, readOnly = false, status = false, name = whyNotName }: Exceptions = {},
): KindInfo {
  const schema = z
    .strictObject({
      apiVersion: z.literal(apiVersion).meta({ description: "Version of the format" }),
      kind: z.literal(kind).meta({ description: "What it is" }),
      metadata: metadataSchema(namespaced, name),
      spec: spec.meta({ description }),
      ...(status ? { status: z.unknown().optional().meta({ description: "Ignored: what Calico says about it" }) } : {}),
    })
    .meta({ description, title: kind });
  const checkAll: check.Check = (resource, report) => {
    check.checkMetadata(resource, report);
    checkKind(resource, report);
  };
  return { kind, apiVersion, description, aliases, namespaced, readOnly, schema, check: checkAll };
}

/** Made by us, from names that Docker has checked. */
function whyNotNothing(): undefined {
  return undefined;
}
