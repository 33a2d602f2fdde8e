/**
 * The table of policy cases: each row is a sentence, resources, and flows with their fate. Every judge reads it. Here are the world that
 * rows talk about, what they are made of, and those about networks and order; others stand in *-cases.ts.
 */
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import type {
  GlobalNetworkPolicy,
  GlobalNetworkSet,
  HostEndpoint,
  NetworkPolicy,
  NetworkPolicySpec,
  NetworkSet,
  PolicyRule,
  Profile,
  Tier,
} from "../../src/core/model/resources.ts";
import type { Fate, Flow } from "./oracle.ts";
import { emptySnapshot, endpoint, network } from "./world.ts";

const V3 = "projectcalico.org/v3";

/** A port that several have under one name. */
const SHARED = { name: "shared", protocol: "TCP", port: 1100 } as const;

/** Everything that the rows talk about. `far*` live on another host; `web` and `db` share a network, `other` does not. */
export const ENDPOINTS = [
  endpoint("web", {
    addresses: ["10.65.0.1", "fd65::1"],
    labels: { role: "web" },
    ports: [{ name: "http", protocol: "TCP", port: 8080 }, SHARED, { name: "web-port", protocol: "TCP", port: 1000 }],
    published: [{ protocol: "TCP", port: 80 }],
  }),
  endpoint("db", {
    addresses: ["10.65.0.2", "fd65::2"],
    labels: { role: "db" },
    ports: [
      { name: "sql", protocol: "TCP", port: 5432 },
      { name: "stats", protocol: "UDP", port: 5432 },
      SHARED,
      { name: "db-port", protocol: "TCP", port: 1001 },
    ],
  }),
  endpoint("other", {
    addresses: ["10.65.0.3", "fd65::3"],
    network: "dbs",
    labels: { role: "other" },
    ports: [SHARED],
  }),
  endpoint("shop", {
    addresses: ["10.65.0.4", "fd65::4"],
    namespace: "shop",
    labels: { role: "web", empty: "" },
    profiles: ["gold", "apps"],
    // Several ports of one name.
    ports: [
      { name: "goldport", protocol: "TCP", port: 7001 },
      { name: "goldport", protocol: "TCP", port: 7002 },
      { name: "goldport", protocol: "UDP", port: 7003 },
    ],
  }),
  endpoint("lone1", {
    addresses: ["10.65.0.5", "fd65::5"],
    network: "alone",
    published: [
      { protocol: "UDP", port: 53 },
      { protocol: "TCP", port: 22, host: { address: "127.0.0.1", port: 2222 } },
    ],
  }),
  endpoint("lone2", { addresses: ["10.65.0.6", "fd65::6"], network: "alone" }),
  endpoint("in1", {
    addresses: ["10.65.0.7", "fd65::7"],
    network: "inner",
    published: [{ protocol: "TCP", port: 80 }],
  }),
  endpoint("in2", { addresses: ["10.65.0.8", "fd65::8"], network: "inner" }),
  endpoint("open", { addresses: ["10.65.0.9", "fd65::9"], network: "open" }),
  // One container on two networks.
  endpoint("duo1", {
    addresses: ["10.65.0.10", "fd65::a"],
    container: "duo",
    labels: { role: "duo" },
    ports: [SHARED, { name: "duo-port", protocol: "TCP", port: 1002 }],
  }),
  endpoint("duo2", { addresses: ["10.65.0.11", "fd65::b"], container: "duo", network: "dbs" }),
  endpoint("farweb", { addresses: ["10.65.1.1", "fd65:1::1"], host: "h2", labels: { role: "web" } }),
  endpoint("farother", {
    addresses: ["10.65.1.2", "fd65:1::2"],
    host: "h2",
    network: "dbs",
    labels: { role: "other" },
  }),
];

/** IPv4 and IPv6 address of each place. */
export const PLACES: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(ENDPOINTS.map(({ id, addresses }) => [nameOf(id), addresses])),
  host: ["192.0.2.1", "2001:db8::1"],
  self: ["192.0.2.2", "2001:db8::2"],
  internet: ["198.51.100.7", "2001:db8:1::7"],
  lan: ["203.0.113.9", "2001:db8:2::9"],
};
export const HOST_ADDRESSES = ["host", "self"].flatMap((name) => PLACES[name] ?? []);

function nameOf(id: string): string {
  return Buffer.from(id, "hex").toString().replace(/\0+$/, "");
}

const WORLD: Partial<Snapshot> = {
  endpoints: ENDPOINTS,
  networks: [
    network("apps"),
    network("dbs"),
    network("alone", { isolation: "endpoint" }),
    network("inner", { internal: true }),
    network("open", { isolation: "off" }),
  ],
};

interface World {
  readonly policies?: readonly (GlobalNetworkPolicy | NetworkPolicy)[];
  readonly tiers?: readonly Tier[];
  readonly profiles?: readonly Profile[];
  readonly networkSets?: readonly (GlobalNetworkSet | NetworkSet)[];
  readonly hostEndpoints?: readonly HostEndpoint[];
  readonly settings?: Partial<Snapshot["settings"]>;
}

/** `web db tcp 80 allow`: from, to, protocol, port (or `from>to`), fate; in both families (`allow/deny`: IPv4's, and IPv6's). */
export type Row = readonly [sentence: string, world: World, lines: readonly string[]];

export function gnp(name: string, spec: Partial<GlobalNetworkPolicy["spec"]>): GlobalNetworkPolicy {
  return { apiVersion: V3, kind: "GlobalNetworkPolicy", metadata: { name }, spec: withTypes(spec) };
}

export function np(name: string, namespace: string, spec: Partial<NetworkPolicySpec>): NetworkPolicy {
  return { apiVersion: V3, kind: "NetworkPolicy", metadata: { name, namespace }, spec: withTypes(spec) };
}

/** One global policy for the ingress of `db`. */
export function db(...ingress: PolicyRule[]): World {
  return { policies: [gnp("p", { selector: "role == 'db'", ingress })] };
}

/** The defaults that validation fills in. */
function withTypes(spec: Partial<NetworkPolicySpec>): NetworkPolicySpec {
  const types = spec.types ?? [
    ...(spec.ingress !== undefined || spec.egress === undefined ? (["Ingress"] as const) : []),
    ...(spec.egress !== undefined ? (["Egress"] as const) : []),
  ];
  return { tier: "default", selector: "all()", ...spec, types };
}

export function tier(name: string, order: number | undefined, defaultAction: "Deny" | "Pass" = "Deny"): Tier {
  const spec = { defaultAction, ...(order === undefined ? {} : { order }) };
  return { apiVersion: V3, kind: "Tier", metadata: { name }, spec };
}

export function profile(name: string, spec: Profile["spec"]): Profile {
  return { apiVersion: V3, kind: "Profile", metadata: { name }, spec };
}

export function globalSet(name: string, labels: Record<string, string>, nets: string[]): GlobalNetworkSet {
  return { apiVersion: V3, kind: "GlobalNetworkSet", metadata: { name, labels }, spec: { nets } };
}

export const gold = profile("gold", { labelsToApply: { grade: "gold", role: "profile" } });
export const sql = {
  action: "Allow",
  protocol: "TCP",
  source: { selector: "role == 'web'" },
  destination: { ports: [5432] },
};

const NETWORKS: readonly Row[] = [
  [
    "containers of one network talk freely",
    {},
    ["web db tcp 9999 allow", "db web udp 9 allow", "web db icmp 8 allow", "web db sctp 7 allow", "web db gre 0 allow"],
  ],
  ["a member on another host is a member", {}, ["farweb web tcp 9999 allow", "web farweb tcp 1 allow"]],
  [
    "other networks are kept out",
    {},
    ["other web tcp 9999 deny", "other db udp 53 deny", "farother web icmp 8 deny", "web other tcp 22 deny"],
  ],
  [
    "a published port is open to everybody",
    {},
    ["internet web tcp 80 allow", "other web tcp 80 allow", "farother web tcp 80 allow"],
  ],
  [
    "nothing but the published port and protocol is",
    {},
    ["internet web tcp 81 deny", "internet web udp 80 deny", "internet db tcp 80 deny", "internet web icmp 8 deny"],
  ],
  [
    "a port published on 127.0.0.1 is not open to others",
    {},
    ["internet lone1 tcp 22 deny", "lone2 lone1 tcp 22 deny", "host lone1 tcp 22 allow"],
  ],
  [
    "containers reach out",
    {},
    ["web internet tcp 443 allow", "other internet udp 53 allow", "lone1 internet icmp 8 allow"],
  ],
  [
    "members of an isolating network are kept apart",
    {},
    ["lone1 lone2 tcp 80 deny", "lone2 lone1 tcp 80 deny", "lone2 lone1 udp 53 allow", "internet lone1 udp 53 allow"],
  ],
  [
    "an internal network has its members and nothing else",
    {},
    [
      "in1 in2 tcp 80 allow",
      "in2 in1 udp 5 allow",
      "in1 internet tcp 443 deny",
      "internet in1 tcp 80 deny",
      "in1 web tcp 80 deny",
      "in1 host udp 53 deny",
    ],
  ],
  [
    "a network without isolation is open",
    {},
    ["internet open tcp 1 allow", "other open udp 1 allow", "in1 open tcp 1 deny"],
  ],
  [
    "a container on two networks belongs to both, whichever address it uses",
    {},
    [
      "duo1 db tcp 1 allow",
      "duo1 other tcp 1 allow",
      "duo2 web tcp 1 allow",
      "other duo1 tcp 1 deny",
      "other duo2 tcp 1 allow",
    ],
  ],
  [
    "a container reaches its host for DNS and ICMP only",
    {},
    [
      "web host udp 53 allow",
      "web host tcp 53 allow",
      "web host icmp 8 allow",
      "web host tcp 22 deny",
      "web host sctp 53 deny",
    ],
  ],
  [
    "the host may be open to containers",
    { settings: { endpointToHost: "allow" } },
    ["web host tcp 22 allow", "in1 host tcp 22 deny"],
  ],
  [
    "the host may be closed to containers",
    { settings: { endpointToHost: "deny" } },
    ["web host udp 53 deny", "web host icmp 8 deny"],
  ],
  ["the host reaches its containers", {}, ["host web tcp 5 allow", "host lone1 udp 5 allow", "host in1 tcp 5 allow"]],
  ["a profile that does not exist denies", {}, ["web shop tcp 1 deny", "shop web tcp 1 deny"]],
];

const ORDER: readonly Row[] = [
  [
    "a policy that applies closes its direction",
    db(),
    ["web db tcp 80 deny", "internet db tcp 80 deny", "db web tcp 80 allow"],
  ],
  [
    "egress is closed apart from ingress",
    { policies: [gnp("p", { selector: "role == 'db'", egress: [] })] },
    ["db web tcp 80 deny", "db internet udp 53 deny", "web db tcp 80 allow", "db host udp 53 deny"],
  ],
  [
    "no types at all means both",
    { policies: [gnp("p", { selector: "role == 'db'", types: [] })] },
    ["db web tcp 80 deny", "web db tcp 80 deny"],
  ],
  [
    "a policy closes a published port too",
    { policies: [gnp("p", { selector: "role == 'web'" })] },
    ["internet web tcp 80 deny", "db web tcp 80 deny"],
  ],
  ["the host reaches a container whatever its policy", { policies: [gnp("p", {})] }, ["host db tcp 80 allow"]],
  [
    "the sender's egress and the receiver's ingress both decide",
    {
      policies: [
        gnp("in", { selector: "role == 'db'", ingress: [{ action: "Allow" }] }),
        gnp("out", { selector: "role == 'web'", egress: [{ action: "Allow", protocol: "UDP" }] }),
      ],
    },
    ["web db udp 1 allow", "web db tcp 1 deny", "other db tcp 1 allow"],
  ],
  [
    "the first rule that matches decides",
    db({ action: "Deny", protocol: "TCP" }, { action: "Allow" }),
    ["web db tcp 1 deny", "web db udp 1 allow"],
  ],
  [
    "Log goes on",
    { ...db({ action: "Log" }, { action: "Allow", protocol: "TCP" }), settings: { logGroup: 9 } },
    ["web db tcp 1 allow", "web db udp 1 deny"],
  ],
  [
    "policies are asked by order",
    {
      policies: [
        gnp("a", { order: 20, selector: "role == 'db'", ingress: [{ action: "Allow" }] }),
        gnp("b", { order: 10, selector: "role == 'db'", ingress: [{ action: "Deny", protocol: "TCP" }] }),
      ],
    },
    ["web db tcp 1 deny", "web db udp 1 allow"],
  ],
  [
    "a policy without order comes last",
    {
      policies: [
        gnp("a", { selector: "role == 'db'", ingress: [{ action: "Allow" }] }),
        gnp("z", { order: 1e9, selector: "role == 'db'", ingress: [{ action: "Deny" }] }),
      ],
    },
    ["web db tcp 1 deny"],
  ],
  [
    "ties are broken by name",
    {
      policies: [
        gnp("b", { selector: "role == 'db'", ingress: [{ action: "Allow" }] }),
        gnp("a", { selector: "role == 'db'", ingress: [{ action: "Deny", protocol: "UDP" }] }),
      ],
    },
    ["web db udp 1 deny", "web db tcp 1 allow"],
  ],
  [
    "in a tie a-b and a.b come before a: the kind and namespace after a slash belong to what is compared",
    {
      policies: [
        gnp("a", { order: -1, selector: "role == 'db'", ingress: [{ action: "Deny" }] }),
        gnp("a-b", { order: -1, selector: "role == 'db'", ingress: [{ action: "Allow", protocol: "UDP" }] }),
        gnp("a.b", { order: -1, selector: "role == 'db'", ingress: [{ action: "Allow", protocol: "SCTP" }] }),
        gnp("a0", { order: -1, selector: "role == 'db'", ingress: [{ action: "Allow", protocol: "TCP" }] }),
      ],
    },
    ["web db udp 1 allow", "web db sctp 1 allow", "web db tcp 1 deny"],
  ],
  [
    "orders are numbers: negative, of fractions, and 10 after 9",
    {
      policies: [
        gnp("a", { order: 10, selector: "role == 'db'", ingress: [{ action: "Deny" }] }),
        gnp("b", { order: 9, selector: "role == 'db'", ingress: [{ action: "Allow", protocol: "TCP" }] }),
        gnp("c", {
          order: 8.75,
          selector: "role == 'db'",
          ingress: [{ action: "Deny", destination: { ports: [1] }, protocol: "TCP" }],
        }),
        gnp("d", { order: -0.5, selector: "role == 'db'", ingress: [{ action: "Pass", protocol: "UDP" }] }),
        gnp("e", { order: 0, selector: "role == 'db'", ingress: [{ action: "Deny", protocol: "UDP" }] }),
      ],
    },
    ["web db tcp 1 deny", "web db tcp 2 allow", "web db udp 1 allow", "web db sctp 1 deny"],
  ],
  [
    "tiers are asked by order",
    {
      tiers: [tier("late", 20), tier("early", 10)],
      policies: [
        gnp("l", { tier: "late", selector: "role == 'db'", ingress: [{ action: "Allow" }] }),
        gnp("e", {
          tier: "early",
          selector: "role == 'db'",
          ingress: [{ action: "Deny", protocol: "TCP" }, { action: "Pass" }],
        }),
      ],
    },
    ["web db tcp 1 deny", "web db udp 1 allow"],
  ],
  [
    "the end of a tier denies",
    {
      tiers: [tier("early", 10)],
      policies: [gnp("e", { tier: "early", selector: "role == 'db'", ingress: [{ action: "Pass", protocol: "TCP" }] })],
    },
    ["web db udp 1 deny", "web db tcp 1 allow"],
  ],
  [
    "the end of a tier passes where it says so",
    {
      tiers: [tier("early", 10, "Pass")],
      policies: [gnp("e", { tier: "early", selector: "role == 'db'", ingress: [{ action: "Deny", protocol: "TCP" }] })],
    },
    ["web db udp 1 allow", "web db tcp 1 deny", "other db udp 1 deny"],
  ],
  [
    "a tier that applies only in the other direction is skipped",
    {
      tiers: [tier("early", 10)],
      policies: [gnp("e", { tier: "early", selector: "role == 'db'", egress: [{ action: "Allow" }] })],
    },
    ["web db udp 1 allow"],
  ],
  [
    "Pass skips the rest of its tier",
    {
      tiers: [tier("early", 10)],
      policies: [
        gnp("a", { tier: "early", order: 1, selector: "role == 'db'", ingress: [{ action: "Pass", protocol: "TCP" }] }),
        gnp("b", { tier: "early", order: 2, selector: "role == 'db'", ingress: [{ action: "Deny" }] }),
        gnp("c", {
          selector: "role == 'db'",
          ingress: [{ action: "Allow", protocol: "TCP", destination: { ports: [1] } }],
        }),
      ],
    },
    ["web db tcp 1 allow", "web db tcp 2 deny", "web db udp 1 deny"],
  ],
  [
    "Pass in the last tier leads to the profiles",
    db({ action: "Pass", protocol: "TCP" }),
    ["web db tcp 1 allow", "other db tcp 1 deny", "web db udp 1 deny"],
  ],
  [
    "profiles are asked in order, the network's last",
    {
      profiles: [
        profile("gold", {
          ingress: [
            { action: "Deny", protocol: "TCP" },
            { action: "Allow", source: { nets: ["198.51.100.0/24", "2001:db8:1::/48"] } },
          ],
        }),
      ],
    },
    ["web shop tcp 1 deny", "web shop udp 1 allow", "internet shop udp 1 allow", "other shop udp 1 deny"],
  ],
  [
    "Pass in a profile leads to the next profile, and to nothing else",
    {
      profiles: [
        profile("gold", {
          ingress: [
            { action: "Pass", protocol: "TCP" },
            { action: "Deny", protocol: "UDP" },
          ],
          egress: [{ action: "Pass" }, { action: "Deny" }],
        }),
      ],
    },
    [
      "web shop tcp 1 allow",
      "other shop tcp 1 deny",
      "internet shop tcp 1 deny",
      "web shop udp 1 deny",
      "shop web udp 1 allow",
    ],
  ],
  [
    "a policy of a tier that does not exist comes last, and closes",
    {
      policies: [
        gnp("g", { tier: "ghost", selector: "role == 'db'", ingress: [{ action: "Deny" }] }),
        gnp("d", { selector: "role == 'db'", ingress: [{ action: "Allow", protocol: "TCP" }, { action: "Pass" }] }),
      ],
    },
    ["web db tcp 1 allow", "web db udp 1 deny"],
  ],
];

export const ROWS: readonly Row[] = [...NETWORKS, ...ORDER];

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132, gre: 47 };

export interface Case {
  readonly line: string;
  readonly flow: Flow;
  readonly expected: Fate;
}

export function snapshotOf([, world]: Row): Snapshot {
  const { settings, ...rest } = world;
  const base = emptySnapshot(WORLD);
  return { ...base, ...rest, settings: { ...base.settings, ...settings } };
}

/** The flows of a row, each in both families. */
export function casesOf([, , lines]: Row): Case[] {
  return lines.flatMap((line) => [0, 1].map((family) => caseOf(line, family)));
}

function caseOf(line: string, family: number): Case {
  const [from = "", to = "", protocol = "", port = "", fates = ""] = line.split(" ");
  const expected = fates.split("/")[family] ?? fates;
  const ends = { source: PLACES[from]?.[family] ?? "", destination: PLACES[to]?.[family] ?? "" };
  const message =
    family === 0 ? { protocol: 1, icmp: { type: 8, code: 0 } } : { protocol: 58, icmp: { type: 128, code: 0 } };
  const number = PROTOCOLS[protocol] ?? 0;
  const [last, first = last] = port.split(">").reverse();
  const sourcePort = first === last ? 40000 : Number(first);
  const ports = number === 47 ? {} : { sourcePort, destinationPort: Number(last) };
  const flow: Flow = protocol === "icmp" ? { ...ends, ...message } : { ...ends, protocol: number, ...ports };
  return { line: `${line} (IPv${family === 0 ? 4 : 6})`, flow, expected: expected === "allow" ? "allow" : "deny" };
}
