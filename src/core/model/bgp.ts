/** BGPConfiguration, BGPPeer and BGPFilter: what is spoken with whom, and what may pass. Each field by itself. */
import { z } from "zod";
import { parseAddress } from "../net/address.ts";
import { parseNet } from "../net/cidr.ts";
import { seconds } from "./duration.ts";
import { anySelector, asNumber, ipAddress, maskedCidr, textThat, wholeNumber } from "./fields.ts";
import { quote, whyNotName } from "./names.ts";

const name = textThat(whyNotName);

const duration = textThat((text) =>
  seconds(text) === undefined ? `${quote(text)} is not a time span like "90s" or "1m30s"` : undefined,
);

/** RFC 1997 `65000:1` (16 bits each), or RFC 8092 `65000:1:2` (32 bits each). */
export function isCommunity(text: string): boolean {
  const parts = text.split(":");
  const most = parts.length === 2 ? 0xffff : 0xffffffff;
  return (
    (parts.length === 2 || parts.length === 3) &&
    parts.every((part) => /^[0-9]{1,10}$/.test(part) && Number(part) <= most)
  );
}

const community = textThat((text) =>
  isCommunity(text)
    ? undefined
    : `${quote(text)} is not a community: "65000:1" (each 0-65535) or "65000:1:2" (each 0-4294967295)`,
);

/** As the filters of Calico's API want it: without leading zeros. */
const plainCommunity = textThat((text) =>
  isCommunity(text) && text.split(":").every((part) => part === String(Number(part)))
    ? undefined
    : `${quote(text)} is not a community: "65000:1" (each 0-65535) or "65000:1:2" (each 0-4294967295), no leading zeros`,
);

/** Address and port of `192.0.2.1`, `192.0.2.1:1790`, `fd00::1`, `[fd00::1]:1790`; undefined if the text is none of these. */
export function parsePeerAddress(text: string): { readonly address: string; readonly port?: number } | undefined {
  if (parseAddress(text) !== undefined) return { address: text };
  const [, v6, v4, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? "";
  const port = Number(digits);
  const family = parseAddress(address)?.family;
  // Brackets around an IPv4 address change nothing, and Calico's API takes them.
  const isGood = v6 === undefined ? family === 4 : family !== undefined;
  return isGood && port >= 1 && port <= 65535 ? { address, port } : undefined;
}

const password = z
  .strictObject({
    secretKeyRef: z
      .strictObject({
        name: z.string().meta({ description: "Name of the secret" }),
        key: z.string().meta({ description: "Entry of the secret" }),
        optional: z.boolean().exactOptional().meta({ description: "Do without where it is missing" }),
      })
      .exactOptional()
      .meta({ description: "Where the password is kept; it never stands in the resource itself" }),
  })
  .exactOptional();

export const BGPConfigurationSpec = z.strictObject({
  logSeverityScreen: z
    .enum(["Trace", "Debug", "Info", "Warning", "Error", "Fatal"])
    .exactOptional()
    .meta({ description: "How much is logged", default: "Info" }),
  nodeToNodeMeshEnabled: z
    .boolean()
    .exactOptional()
    .meta({ description: "Every node talks with every other", default: true }),
  asNumber: asNumber
    .exactOptional()
    .meta({ description: "AS number of nodes that have none of their own", default: 64512 }),
  listenPort: wholeNumber(1, 65535).exactOptional().meta({ description: "Port that is listened at", default: 179 }),
  bindMode: z
    .enum(["None", "NodeIP"])
    .exactOptional()
    .meta({ description: "Listen at all addresses, or at the node's only" }),
  communities: z
    .array(
      z.strictObject({
        name: name.meta({ description: "What prefixAdvertisements call it" }),
        value: community.meta({ description: '"65000:1", or "65000:1:2" for a large one' }),
      }),
    )
    .exactOptional()
    .meta({ description: "Names for communities" }),
  prefixAdvertisements: z
    .array(
      z.strictObject({
        cidr: maskedCidr.meta({ description: "Routes inside this CIDR" }),
        communities: z
          .array(z.string())
          .min(1)
          .meta({ description: "Communities they get: values, or names of those above" }),
      }),
    )
    .exactOptional()
    .meta({ description: "Communities for prefixes" }),
  nodeMeshPassword: password.meta({ description: "Password of the sessions between nodes" }),
  nodeMeshMaxRestartTime: duration.exactOptional().meta({ description: "How long a node's routes outlive a restart" }),
  ignoredInterfaces: z
    .array(
      textThat((text) =>
        text !== "*" && /^[a-zA-Z0-9_.*-]{1,15}$/.test(text)
          ? undefined
          : `${quote(text)} is not a pattern of interfaces, like "eth*"`,
      ),
    )
    .exactOptional()
    .meta({ description: "Interfaces whose routes are not looked at" }),
});

export const BGPPeerSpec = z.strictObject({
  node: name.exactOptional().meta({ description: "The node that has this peer" }),
  nodeSelector: anySelector.exactOptional().meta({ description: "Labels of the nodes that have this peer" }),
  peerIP: textThat((text) =>
    parsePeerAddress(text) === undefined ? `${quote(text)} is not "ADDRESS", "IPV4:PORT" or "[IPV6]:PORT"` : undefined,
  )
    .exactOptional()
    .meta({ description: "The peer's address, with a port where it is not 179" }),
  asNumber: asNumber
    .exactOptional()
    .meta({ description: "The peer's AS number; left out: that of the node that has the address, else the own" }),
  peerSelector: anySelector.exactOptional().meta({ description: "Labels of the nodes that are the peers" }),
  localASNumber: asNumber.exactOptional().meta({ description: "AS number that the peer sees instead of the node's" }),
  nextHopMode: z.enum(["Auto", "Self", "Keep"]).exactOptional().meta({ description: "Next hop of what is announced" }),
  keepOriginalNextHop: z.boolean().exactOptional().meta({ description: "Old form of nextHopMode: Keep" }),
  password: password.meta({ description: "Password of the session" }),
  sourceAddress: z
    .enum(["UseNodeIP", "None"])
    .exactOptional()
    .meta({ description: "Address that the session comes from", default: "UseNodeIP" }),
  maxRestartTime: duration.exactOptional().meta({ description: "How long the peer keeps routes over a restart" }),
  keepaliveTime: duration.exactOptional().meta({ description: "Time between keepalives" }),
  numAllowedLocalASNumbers: wholeNumber(0, 2 ** 31 - 1)
    .exactOptional()
    .meta({ description: "How often the own AS may stand in a path that is received" }),
  ttlSecurity: wholeNumber(0, 255)
    .exactOptional()
    .meta({ description: "Number of hops the peer is away: others are refused (RFC 5082)" }),
  reachableBy: ipAddress.exactOptional().meta({ description: "Gateway on the way to the peer" }),
  filters: z.array(name).exactOptional().meta({ description: "BGPFilters, in order" }),
  reversePeering: z
    .enum(["Auto", "Manual"])
    .exactOptional()
    .meta({ description: "Auto: the other node of a peerSelector gets the session too" }),
});

const filterRule = (family: 4 | 6) => {
  const length = wholeNumber(0, family === 4 ? 32 : 128).exactOptional();
  const cidr = maskedCidr.check((context) => {
    if (parseNet(context.value)?.family !== family)
      context.issues.push({
        code: "custom",
        message: `${quote(context.value)} is not of IPv${family}`,
        input: context.value,
      });
  });
  return z.strictObject({
    cidr: cidr.exactOptional().meta({ description: "What the route's prefix is compared with" }),
    matchOperator: z
      .enum(["Equal", "NotEqual", "In", "NotIn"])
      .exactOptional()
      .meta({ description: "How it is compared" }),
    prefixLength: z
      .strictObject({
        min: length.meta({ description: "Shortest prefix" }),
        max: length.meta({ description: "Longest prefix" }),
      })
      .exactOptional()
      .meta({ description: "Lengths of prefixes that count as in the CIDR" }),
    source: z.enum(["RemotePeers"]).exactOptional().meta({ description: "Only routes learned from peers" }),
    interface: textThat((text) =>
      /^[a-zA-Z0-9_.*-]{1,15}$/.test(text) ? undefined : `${quote(text)} is not a pattern of interfaces, like "eth*"`,
    )
      .exactOptional()
      .meta({ description: "Only routes out of such interfaces" }),
    peerType: z
      .enum(["eBGP", "iBGP"])
      .exactOptional()
      .meta({ description: "Only with peers of another AS, or of the own" }),
    communities: z
      .strictObject({ values: z.array(plainCommunity).length(1).meta({ description: "The community" }) })
      .exactOptional()
      .meta({ description: "Only routes that carry it" }),
    asPathPrefix: z.array(asNumber).exactOptional().meta({ description: "Only routes whose AS path begins so" }),
    priority: wholeNumber(1, 2 ** 31 - 2)
      .exactOptional()
      .meta({ description: "Only routes of this priority" }),
    action: z.enum(["Accept", "Reject"]).meta({ description: "What becomes of the route" }),
    operations: z
      .array(operation)
      .min(1)
      .max(10)
      .exactOptional()
      .meta({ description: "Changes to what is accepted, in order" }),
  });
};

const operation = z.strictObject({
  addCommunity: z
    .strictObject({ value: plainCommunity.meta({ description: "The community" }) })
    .exactOptional()
    .meta({ description: "Adds a community" }),
  prependASPath: z
    .strictObject({ prefix: z.array(asNumber).min(1).max(10).meta({ description: "The AS numbers" }) })
    .exactOptional()
    .meta({ description: "Puts AS numbers before the path" }),
  setPriority: z
    .strictObject({ value: wholeNumber(1, 2 ** 31 - 2).meta({ description: "The priority" }) })
    .exactOptional()
    .meta({ description: "Sets the priority" }),
});

const ruleList = (family: 4 | 6, description: string) =>
  z.array(filterRule(family)).exactOptional().meta({ description });

export const BGPFilterSpec = z.strictObject({
  exportV4: ruleList(4, "Rules for IPv4 routes that are announced; the first that matches decides, none accepts"),
  importV4: ruleList(4, "Rules for IPv4 routes that are received"),
  exportV6: ruleList(6, "Rules for IPv6 routes that are announced"),
  importV6: ruleList(6, "Rules for IPv6 routes that are received"),
});
