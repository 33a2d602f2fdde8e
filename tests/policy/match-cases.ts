/** Rows of the table of policy cases: protocols, ports, nets, ICMP, and what excludes them. */
import { db, gnp, type Row } from "./cases.ts";

export const MATCH_ROWS: readonly Row[] = [
  [
    "0.0.0.0/0 in nets is all of IPv4",
    db({ action: "Allow", source: { nets: ["0.0.0.0/0", "::/0"] } }),
    ["internet db tcp 1 allow"],
  ],
  [
    "nothing is outside notNets of everything",
    db({ action: "Allow", source: { notNets: ["0.0.0.0/0", "::/0"] } }),
    ["internet db tcp 1 deny", "web db tcp 1 deny"],
  ],
  [
    "notNets of one IP version make a rule of that version",
    db(
      { action: "Allow", protocol: "TCP", source: { notNets: ["10.65.1.0/24"] } },
      { action: "Allow", protocol: "UDP", destination: { notNets: ["fd65:1::/64"] } },
      { action: "Allow", protocol: "SCTP", source: { notNets: ["10.65.1.0/24"], selector: "role == 'web'" } },
    ),
    [
      "web db tcp 1 allow/deny",
      "farweb db tcp 1 deny",
      "internet db tcp 1 allow/deny",
      "web db udp 1 deny/allow",
      "web db sctp 1 allow/deny",
    ],
  ],
  [
    "several nets and notNets of both ends all count at once",
    {
      policies: [
        gnp("p", {
          selector: "role in {'db', 'duo', 'other'}",
          ingress: [
            {
              action: "Allow",
              source: {
                nets: ["10.65.0.0/16", "198.51.100.0/24", "fd65::/32", "2001:db8:1::/64"],
                notNets: ["10.65.0.9", "10.65.1.0/24", "fd65::9", "fd65:1::/64"],
              },
              destination: {
                nets: ["10.65.0.0/30", "10.65.0.10", "fd65::/126", "fd65::a"],
                notNets: ["10.65.0.3", "10.65.0.64/26", "fd65::3", "fd65::40/122"],
              },
            },
          ],
        }),
      ],
    },
    [
      "web db tcp 1 allow",
      "internet db tcp 1 allow",
      "web duo1 tcp 1 allow",
      "lan db tcp 1 deny",
      "open db tcp 1 deny",
      "farweb db tcp 1 deny",
      "web other tcp 1 deny",
    ],
  ],
  [
    "notNets and selector add up",
    db({ action: "Allow", source: { selector: "role == 'web'", notNets: ["10.65.1.0/24", "fd65:1::/64"] } }),
    ["web db tcp 1 allow", "farweb db tcp 1 deny", "internet db tcp 1 deny"],
  ],
  [
    "ports, ranges and named ports are alternatives",
    db({ action: "Allow", protocol: "TCP", destination: { ports: [80, "8000:8010", "sql"] } }),
    [
      "web db tcp 80 allow",
      "web db tcp 8005 allow",
      "web db tcp 5432 allow",
      "web db tcp 8011 deny",
      "web db udp 5432 deny",
    ],
  ],
  [
    "a named port is of its protocol",
    db({ action: "Allow", protocol: "UDP", destination: { ports: ["stats", "sql"] } }),
    ["web db udp 5432 allow", "web db tcp 5432 deny"],
  ],
  [
    "a named port is each endpoint's own",
    {
      policies: [
        gnp("p", {
          selector: "role == 'db'",
          egress: [{ action: "Allow", protocol: "TCP", destination: { ports: ["http"] } }],
        }),
      ],
    },
    ["db web tcp 8080 allow", "db duo1 tcp 8080 deny", "db web tcp 80 deny"],
  ],
  [
    "notPorts",
    db({ action: "Allow", protocol: "TCP", destination: { notPorts: [22, "1000:2000", "sql"] } }),
    ["web db tcp 80 allow", "web db tcp 22 deny", "web db tcp 1500 deny", "web db tcp 5432 deny", "web db udp 80 deny"],
  ],
  [
    "names in notPorts without a protocol exclude those ports, and nothing of what has no ports",
    db(
      {
        action: "Deny",
        notICMP: { type: 8 },
        source: { notPorts: ["http"] },
        destination: { notPorts: ["sql", "shared"] },
      },
      { action: "Allow" },
    ),
    [
      "web db tcp 5432 allow",
      "web db tcp 8080>80 allow",
      "web db tcp 1100 allow",
      "web db tcp 80 deny",
      "web db udp 5432 deny",
      "web db gre 0 deny",
      "web db icmp 8 allow/deny",
      "internet db gre 0 deny",
    ],
  ],
  [
    "names in ports beside names in notPorts are for what has ports",
    db({ action: "Allow", source: { notPorts: ["http"] }, destination: { ports: ["sql"] } }),
    ["web db tcp 5432 allow", "web db tcp 8080>5432 deny", "web db gre 0 deny", "web db icmp 8 deny"],
  ],
  [
    "notPorts among many rules that are merged",
    db(
      ...Array.from({ length: 20 }, (_, i) => ({
        action: "Allow" as const,
        protocol: "TCP",
        destination: { ports: [1000 + 2 * i] },
      })),
      { action: "Allow", protocol: "UDP", destination: { notPorts: [22, "80:90", 443] } },
      { action: "Allow", protocol: "SCTP", source: { nets: ["10.65.0.0/24"], notPorts: ["1:50000"] } },
    ),
    [
      "web db tcp 1000 allow",
      "web db tcp 1001 deny",
      "web db tcp 1038 allow",
      "web db udp 22 deny",
      "web db udp 85 deny",
      "web db udp 91 allow",
      "web db sctp 80 deny",
    ],
  ],
  [
    "a net inside others, in many rules that are merged, may do what those may",
    db(
      ...[
        "10.0.0.0/8",
        "10.65.0.0/16",
        "10.65.0.0/24",
        "10.65.0.0/30",
        "10.65.0.2/31",
        "fd00::/8",
        "fd65::/64",
      ].flatMap((net, i) =>
        [80, "8000:8100", 9000].map((port) => ({
          action: "Allow" as const,
          protocol: ["TCP", "UDP", "SCTP"][i % 3] ?? "TCP",
          source: { nets: [net] },
          destination: { ports: [typeof port === "number" ? port + i : port] },
        })),
      ),
    ),
    [
      "web db tcp 80 allow/deny",
      "web db udp 81 allow/deny",
      "web db sctp 82 allow/deny",
      "web db tcp 83 allow/deny",
      "web db udp 84 deny",
      "web db sctp 85 deny/allow",
      "web db tcp 86 deny/allow",
      "web db udp 8050 allow/deny",
      "web db sctp 8050 allow",
      "farweb db tcp 80 allow/deny",
      "farweb db udp 81 allow/deny",
      "farweb db sctp 82 deny",
      "internet db tcp 80 deny",
    ],
  ],
  [
    "source ports",
    db(
      { action: "Allow", protocol: "TCP", source: { ports: [40000] } },
      { action: "Allow", protocol: "UDP", source: { notPorts: ["30000:50000"] } },
    ),
    ["web db tcp 80 allow", "web db udp 80 deny"],
  ],
  [
    "ICMP by name is IPv4's, ICMPv6 is IPv6's, with type and code",
    db(
      { action: "Allow", protocol: "ICMP", icmp: { type: 8 } },
      { action: "Allow", protocol: "ICMPv6", icmp: { type: 128, code: 0 } },
    ),
    ["web db icmp 8 allow", "web db tcp 8 deny"],
  ],
  [
    "notICMP of type, and of type and code together",
    db(
      { action: "Allow", protocol: "ICMP", notICMP: { type: 8, code: 0 } },
      { action: "Allow", protocol: "ICMPv6", notICMP: { type: 128 } },
    ),
    ["web db icmp 8 deny"],
  ],
  [
    "notICMP without a protocol is about everything but that, in each IP version its own ICMP",
    db({ action: "Allow", notICMP: { type: 8, code: 0 } }),
    ["web db icmp 8 deny/allow", "web db tcp 80 allow", "web db udp 53 allow", "web db gre 0 allow"],
  ],
  [
    "notICMP beside another protocol excludes nothing",
    db({ action: "Allow", protocol: "TCP", notICMP: { type: 8 }, destination: { ports: [80] } }),
    ["web db tcp 80 allow", "web db tcp 81 deny", "web db icmp 8 deny"],
  ],
  [
    "notICMP and notProtocol together, and a notICMP that says nothing",
    db({ action: "Deny", notProtocol: "UDP", notICMP: { type: 8 } }, { action: "Allow", notICMP: {} }),
    ["web db tcp 80 deny", "web db udp 53 allow", "web db icmp 8 allow/deny"],
  ],
  [
    "notProtocol ICMP leaves nothing of ICMP, whatever notICMP says",
    db({ action: "Allow", notProtocol: "ICMP", notICMP: { type: 13 } }),
    ["web db icmp 8 deny/allow", "web db tcp 80 allow"],
  ],
  [
    "the code of ICMP counts where it is given",
    db(
      { action: "Allow", protocol: "ICMP", icmp: { type: 8, code: 1 } },
      { action: "Allow", protocol: "ICMPv6", icmp: { type: 128, code: 1 } },
    ),
    ["web db icmp 8 deny"],
  ],
  [
    "notICMP of another code lets it through",
    db(
      { action: "Allow", protocol: "ICMP", notICMP: { type: 8, code: 1 } },
      { action: "Allow", protocol: "ICMPv6", notICMP: { type: 128, code: 1 } },
    ),
    ["web db icmp 8 allow"],
  ],
  [
    "notProtocol",
    db({ action: "Allow", notProtocol: "TCP" }),
    ["web db tcp 1 deny", "web db udp 1 allow", "web db icmp 8 allow"],
  ],
  [
    "SCTP",
    db({ action: "Allow", protocol: "SCTP", destination: { ports: [3868] } }),
    ["web db sctp 3868 allow", "web db sctp 3869 deny", "web db tcp 3868 deny"],
  ],
  ["a protocol by number", db({ action: "Allow", protocol: 47 }), ["web db gre 0 allow", "web db tcp 1 deny"]],
];
