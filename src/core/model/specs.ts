/** The specs of all kinds but the policies: each field by itself, with the line that `manx explain` shows. */
import { z } from "zod";
import {
  addressOf,
  asNumber,
  interfaceAddress,
  ipAddress,
  macAddress,
  maskedCidr,
  maskedNet,
  net,
  order,
  protocol,
  selector,
  textThat,
  wholeNumber,
} from "./fields.ts";
import { quote, whyNotInterface, whyNotName, whyNotPortName } from "./names.ts";
import { rules } from "./rule.ts";

const name = textThat(whyNotName);
const tunnelMode = z.enum(["Never", "Always", "CrossSubnet"]);

export const IPPoolSpec = z.strictObject({
  cidr: maskedCidr.meta({
    description: "The addresses of the pool; cannot be changed later",
    examples: ["10.65.0.0/16"],
  }),
  blockSize: wholeNumber(0, 128).exactOptional().meta({
    description:
      "Prefix length of the blocks that hosts take: 20-32 for IPv4 (26), 116-128 for IPv6 (122); cannot be changed later",
  }),
  disabled: z.boolean().exactOptional().meta({ description: "Give out no new addresses of it" }),
  natOutgoing: z
    .boolean()
    .exactOptional()
    .meta({ description: "Hide what leaves for outside all pools behind the host's address" }),
  nodeSelector: selector
    .exactOptional()
    .meta({ description: "Labels of the nodes that may take blocks of it", default: "all()" }),
  namespaceSelector: selector.exactOptional().meta({
    description:
      "Labels of the namespaces that may have addresses of it; Docker does not tell them: only networks that name the pool use it",
  }),
  allowedUses: z
    .array(z.enum(["Workload", "Tunnel", "LoadBalancer"]))
    .exactOptional()
    .meta({ description: "What its addresses are for", default: ["Workload", "Tunnel"] }),
  assignmentMode: z.enum(["Automatic", "Manual"]).exactOptional().meta({
    description: "Manual: only for who names the pool or the address",
    default: "Automatic",
  }),
  ipipMode: tunnelMode.exactOptional().meta({ description: "Read for Calico's sake: Manx has no tunnels" }),
  vxlanMode: tunnelMode.exactOptional().meta({ description: "Read for Calico's sake: Manx has no tunnels" }),
  disableBGPExport: z.boolean().exactOptional().meta({ description: "Do not announce its blocks" }),
});

export const IPReservationSpec = z.strictObject({
  reservedCIDRs: z
    .array(net)
    .exactOptional()
    .meta({ description: "CIDRs and addresses that are not given out by themselves; --ip may still name them" }),
});

export const IPAMConfigurationSpec = z.strictObject({
  strictAffinity: z
    .boolean()
    .exactOptional()
    .meta({ description: "No address out of another host's block", default: false }),
  autoAllocateBlocks: z
    .boolean()
    .exactOptional()
    .meta({ description: "Hosts take blocks by themselves", default: true }),
  maxBlocksPerHost: wholeNumber(0, 1_000_000)
    .exactOptional()
    .meta({ description: "Most blocks that a host may have; 0 means no limit", default: 0 }),
});

const hostPorts = (description: string) =>
  z
    .array(
      z.strictObject({
        protocol: z.enum(["TCP", "UDP", "SCTP"]).meta({ description: "TCP, UDP or SCTP" }),
        port: wholeNumber(1, 65535).meta({ description: "Its number" }),
        net: net.exactOptional().meta({ description: "Only for these peers" }),
      }),
    )
    .exactOptional()
    .meta({ description });

/** Felix has some two hundred settings: which ones mean something here is said for all others together (checks.ts). */
export const FelixConfigurationSpec = z
  .looseObject({
    defaultEndpointToHostAction: z.enum(["Drop", "Accept", "Return"]).exactOptional().meta({
      description:
        "What becomes of what a container's own policy lets it send to its host: Accept and Return are the same here",
    }),
    failsafeInboundHostPorts: hostPorts("Ports of hosts that no policy of a host endpoint closes; [] is none"),
    failsafeOutboundHostPorts: hostPorts("Ports that hosts may reach whatever the policy; [] is none"),
  })
  .meta({ additionalProperties: false });

export const TierSpec = z.strictObject({
  order: order
    .exactOptional()
    .meta({ description: "Its place among the tiers: lower comes first", default: 1_000_000 }),
  defaultAction: z.enum(["Deny", "Pass"]).exactOptional().meta({
    description: "What happens to what a policy of the tier applies to and no rule decides about",
    default: "Deny",
  }),
});

export const ProfileSpec = z.strictObject({
  labelsToApply: z
    .record(z.string(), z.string())
    .exactOptional()
    .meta({ description: "Labels that endpoints with this profile inherit; their own win" }),
  ingress: rules("Rules for what comes to the endpoint, where no policy applies to it"),
  egress: rules("Rules for what the endpoint sends, where no policy applies to it"),
});

export const NetworkSetSpec = z.strictObject({
  nets: z.array(net).exactOptional().meta({ description: "CIDRs and addresses that the labels stand for" }),
});

const portFields = {
  name: textThat(whyNotPortName).meta({ description: "What rules call it" }),
  protocol: protocol.meta({ description: "TCP, UDP or SCTP" }),
  port: wholeNumber(1, 65535).meta({ description: "Its number" }),
};

export const HostEndpointSpec = z.strictObject({
  node: name.meta({ description: "The node whose interface it is" }),
  interfaceName: textThat(whyNotInterface)
    .exactOptional()
    .meta({ description: 'The interface, or "*" for all traffic of the host' }),
  expectedIPs: z
    .array(ipAddress)
    .exactOptional()
    .meta({ description: "Its addresses: they find the interface where none is named, and stand for it in selectors" }),
  profiles: z.array(name).exactOptional().meta({ description: "Profiles, in order" }),
  ports: z.array(z.strictObject(portFields)).exactOptional().meta({ description: "Named ports" }),
});

export const WorkloadEndpointSpec = z.strictObject({
  orchestrator: name.exactOptional().meta({ description: "Who made it: docker" }),
  workload: z.string().exactOptional().meta({ description: "The container's name" }),
  node: name.exactOptional().meta({ description: "The node it runs on" }),
  containerID: textThat((text) =>
    /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(text) ? undefined : `${quote(text)} is not a container ID`,
  )
    .exactOptional()
    .meta({ description: "The container" }),
  endpoint: z.string().exactOptional().meta({ description: "Docker's endpoint ID" }),
  ipNetworks: z.array(net).exactOptional().meta({ description: "Its addresses" }),
  ipNATs: z
    .array(
      z.strictObject({
        internalIP: ipAddress.meta({ description: "One of its addresses" }),
        externalIP: ipAddress.meta({ description: "What it is outside" }),
      }),
    )
    .exactOptional()
    .meta({ description: "Read for Calico's sake: Manx does not translate addresses" }),
  ipv4Gateway: addressOf(4).exactOptional().meta({ description: "Read for Calico's sake" }),
  ipv6Gateway: addressOf(6).exactOptional().meta({ description: "Read for Calico's sake" }),
  allowSpoofedSourcePrefixes: z.array(net).exactOptional().meta({ description: "Read for Calico's sake" }),
  profiles: z.array(name).exactOptional().meta({ description: "Profiles, in order" }),
  interfaceName: textThat(whyNotInterface).meta({ description: "The host's end of its veth pair" }),
  mac: macAddress.exactOptional().meta({ description: "MAC address of the container's interface" }),
  ports: z
    .array(
      z.strictObject({
        ...portFields,
        name: z
          .union([portFields.name, z.literal("")])
          .exactOptional()
          .meta({ description: "What rules call it" }),
        hostPort: wholeNumber(0, 65535).exactOptional().meta({ description: "Read for Calico's sake" }),
        hostIP: ipAddress.exactOptional().meta({ description: "Read for Calico's sake" }),
      }),
    )
    .exactOptional()
    .meta({ description: "Named ports" }),
});

export const NodeSpec = z.strictObject({
  addresses: z
    .array(
      z.strictObject({
        address: maskedNet.meta({ description: "An address the node is reached at" }),
        type: z.string().exactOptional().meta({ description: "CalicoNodeIP, InternalIP or ExternalIP" }),
      }),
    )
    .exactOptional()
    .meta({ description: "Addresses the node is reached at" }),
  bgp: z
    .strictObject({
      asNumber: asNumber.exactOptional().meta({ description: "Its AS number; without it the cluster's" }),
      ipv4Address: interfaceAddress(4)
        .exactOptional()
        .meta({ description: "Its IPv4 address, with the prefix length of its network" }),
      ipv6Address: interfaceAddress(6)
        .exactOptional()
        .meta({ description: "Its IPv6 address, with the prefix length of its network" }),
      ipv4IPIPTunnelAddr: addressOf(4)
        .exactOptional()
        .meta({ description: "Read for Calico's sake: Manx has no tunnels" }),
      routeReflectorClusterID: addressOf(4)
        .exactOptional()
        .meta({ description: "Makes the node a route reflector of this cluster (an IPv4 address as name)" }),
    })
    .exactOptional()
    .meta({ description: "How the node takes part in BGP" }),
  ...tunnelsOfCalico(),
  orchRefs: z
    .array(z.strictObject({ nodeName: z.string().exactOptional(), orchestrator: z.string() }))
    .exactOptional()
    .meta({ description: "What orchestrators call the node" }),
  interfaces: z
    .array(z.strictObject({ name: z.string().exactOptional(), addresses: z.array(z.string()).exactOptional() }))
    .exactOptional()
    .meta({ description: "Interfaces of the node" }),
});

function tunnelsOfCalico() {
  const description = "Read for Calico's sake: Manx has no tunnels";
  return {
    ipv4VXLANTunnelAddr: addressOf(4).exactOptional().meta({ description }),
    ipv6VXLANTunnelAddr: addressOf(6).exactOptional().meta({ description }),
    vxlanTunnelMACAddr: macAddress.exactOptional().meta({ description }),
    vxlanTunnelMACAddrV6: macAddress.exactOptional().meta({ description }),
    wireguard: z
      .strictObject({
        interfaceIPv4Address: addressOf(4).exactOptional(),
        interfaceIPv6Address: addressOf(6).exactOptional(),
      })
      .exactOptional()
      .meta({ description }),
  };
}

export const NetworkSpec = z.strictObject({
  pools: z
    .array(
      textThat((text) =>
        whyNotName(text) === undefined || net.safeParse(text).success
          ? undefined
          : `${quote(text)} is neither a CIDR nor the name of a pool`,
      ),
    )
    .exactOptional()
    .meta({
      description: "CIDRs (--subnet) or names of pools its addresses come from; none: every pool that allows it",
      default: [],
    }),
  ranges: z.array(maskedCidr).exactOptional().meta({ description: "Only addresses out of these CIDRs (--ip-range)" }),
  families: z
    .array(z.union([z.literal(4), z.literal(6)]))
    .exactOptional()
    .meta({ description: "IP versions its endpoints have addresses of", default: [4] }),
  mtu: wholeNumber(68, 65535).exactOptional().meta({ description: "MTU of its interfaces; without it the host's" }),
  publish: z.enum(["address", "host", "off"]).exactOptional().meta({
    description: "What -p does: open the container's own port, the host's port as well, or it is refused",
    default: "address",
  }),
  isolation: z.enum(["network", "endpoint", "off"]).exactOptional().meta({
    description: "Keep others out, keep members apart too, or keep nobody out",
    default: "network",
  }),
  internal: z
    .boolean()
    .exactOptional()
    .meta({ description: "Nothing in or out but the network itself", default: false }),
  sticky: z
    .boolean()
    .exactOptional()
    .meta({ description: "A container of the same name gets the same address again", default: false }),
});
