/** Rows of the table of policy cases: host endpoints. `lan` is behind `eth1`, `internet` behind `eth0`, `self` is the host again. */
import type { GlobalNetworkPolicy, HostEndpoint, PolicyRule } from "../../src/core/model/resources.ts";
import { gnp, np, profile, type Row, tier } from "./cases.ts";
import { hostEndpoint as hep } from "./world.ts";

const EDGE = { role: "edge" };
const eth0 = (spec: Partial<HostEndpoint["spec"]> = {}): HostEndpoint =>
  hep("m", { interfaceName: "eth0", ...spec }, EDGE);
const all = (spec: Partial<HostEndpoint["spec"]> = {}): HostEndpoint => hep("m", { interfaceName: "*", ...spec }, EDGE);

type Spec = Partial<GlobalNetworkPolicy["spec"]>;
const edge = (spec: Spec, name = "p"): GlobalNetworkPolicy => gnp(name, { selector: "role == 'edge'", ...spec });
const forward = (spec: Spec, name = "p"): GlobalNetworkPolicy => edge({ applyOnForward: true, ...spec }, name);
const preDnat = (ingress: PolicyRule[], spec: Spec = {}): GlobalNetworkPolicy =>
  forward({ preDNAT: true, types: ["Ingress"], ingress, ...spec }, "before");
const untracked = (spec: Spec): GlobalNetworkPolicy => forward({ doNotTrack: true, ...spec }, "raw");

const tcp = (...ports: (number | string)[]): PolicyRule => ({
  action: "Allow",
  protocol: "TCP",
  destination: { ports },
});
const deny = (...ports: (number | string)[]): PolicyRule => ({ ...tcp(...ports), action: "Deny" });
const open = profile("open", { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] });
const OPEN = { profiles: ["open"] };
const everything: Spec = { ingress: [{ action: "Allow" }], egress: [{ action: "Allow" }] };

const INTERFACES: readonly Row[] = [
  [
    "a host endpoint that nothing allows closes its interface, but for the failsafe ports, and leaves what is forwarded alone",
    { hostEndpoints: [eth0()] },
    [
      "internet host tcp 80 deny",
      "internet host icmp 8 deny",
      "internet host tcp 22 allow",
      "internet host udp 22 deny",
      "internet host udp 68 allow",
      "internet host udp 546 allow",
      "internet host tcp 179 allow",
      "internet host tcp 2379 allow",
      "internet host tcp 2380 allow",
      "internet host udp 53 deny",
      "host internet tcp 80 deny",
      "host internet tcp 22 deny",
      "host internet udp 53 allow",
      "host internet udp 67 allow",
      "host internet udp 547 allow",
      "host internet tcp 179 allow",
      "host internet tcp 2379 allow",
      "lan host tcp 80 allow",
      "host lan tcp 80 allow",
      "host self tcp 80 allow",
      "internet web tcp 80 allow",
      "web internet tcp 80 allow",
      "lan internet tcp 80 allow",
      "host web tcp 9 allow",
      "web host tcp 53 allow",
      "web host tcp 22 deny",
    ],
  ],
  [
    "one for all interfaces closes every one that is no workload's, loopback too",
    { hostEndpoints: [all()] },
    [
      "internet host tcp 80 deny",
      "lan host tcp 80 deny",
      "lan host tcp 22 allow",
      "host lan tcp 80 deny",
      "host self tcp 80 deny",
      "host self tcp 179 allow",
      "host self tcp 22 deny",
      "internet lan tcp 80 allow",
      "host web tcp 9 allow",
      "web host tcp 53 allow",
      "web db tcp 9 allow",
      "internet web tcp 80 allow",
    ],
  ],
  [
    "one without a name is found by its addresses",
    { hostEndpoints: [hep("m", { expectedIPs: ["10.0.0.1", "203.0.113.1"] })] },
    ["lan host tcp 80 deny", "host lan tcp 80 deny", "internet host tcp 80 allow"],
  ],
  [
    "one that names an interface is not found by its addresses",
    { hostEndpoints: [hep("m", { interfaceName: "eth9", expectedIPs: ["203.0.113.1"] })] },
    ["lan host tcp 80 allow", "internet host tcp 80 allow"],
  ],
  [
    "of several for one interface the first by name stands for it",
    {
      profiles: [open],
      hostEndpoints: [hep("b", { interfaceName: "eth1" }), hep("a", { interfaceName: "eth1", ...OPEN })],
    },
    ["lan host tcp 80 allow", "host lan tcp 80 allow"],
  ],
  [
    "also where one has a name and the other an address",
    {
      profiles: [open],
      hostEndpoints: [hep("a", { expectedIPs: ["2001:db8:2::1"] }), hep("b", { interfaceName: "eth1", ...OPEN })],
    },
    ["lan host tcp 80 deny", "host lan tcp 80 deny"],
  ],
  [
    "an interface's own goes before the one for all, whatever their names",
    {
      profiles: [open],
      hostEndpoints: [hep("a", { interfaceName: "*" }), hep("b", { interfaceName: "eth1", ...OPEN })],
    },
    ["lan host tcp 80 allow", "internet host tcp 80 deny", "host self tcp 80 deny"],
  ],
  [
    "one of another node does nothing here",
    { hostEndpoints: [eth0({ node: "h2" })] },
    ["internet host tcp 80 allow", "host internet tcp 80 allow"],
  ],
  [
    "one that names a workload's interface does nothing",
    { hostEndpoints: [hep("m", { interfaceName: "manx776562" })] },
    ["web db tcp 80 allow", "host web tcp 80 allow", "web host tcp 53 allow"],
  ],
];

const NORMAL: readonly Row[] = [
  [
    "profiles decide in order where no policy applies",
    { profiles: [open, profile("no", { ingress: [deny(80)] })], hostEndpoints: [eth0({ profiles: ["no", "open"] })] },
    ["internet host tcp 80 deny", "internet host tcp 81 allow", "host internet tcp 80 allow"],
  ],
  [
    "a profile that nobody has defined allows nothing",
    { profiles: [open], hostEndpoints: [eth0({ profiles: ["ghost", "open"] })] },
    ["internet host tcp 80 deny", "internet host tcp 22 allow"],
  ],
  [
    "the profile that is built in allows everything that no policy governs, wherever it stands in the list",
    {
      profiles: [profile("no", { ingress: [deny(80)] })],
      hostEndpoints: [eth0({ profiles: ["no", "projectcalico-default-allow", "ghost"] })],
    },
    ["internet host tcp 80 deny", "internet host tcp 81 allow", "host internet udp 9 allow"],
  ],
  [
    "the profile that is built in says nothing about a direction that a policy governs",
    { hostEndpoints: [eth0({ profiles: ["projectcalico-default-allow"] })], policies: [edge({ ingress: [tcp(80)] })] },
    ["internet host tcp 80 allow", "internet host tcp 81 deny", "host internet tcp 81 allow"],
  ],
  [
    "a policy closes the direction that it governs, profiles decide about the other",
    { profiles: [open], hostEndpoints: [eth0(OPEN)], policies: [edge({ ingress: [tcp(80)] })] },
    [
      "internet host tcp 80 allow",
      "internet host tcp 81 deny",
      "internet host tcp 22 allow",
      "host internet tcp 81 allow",
    ],
  ],
  [
    "a policy of the failsafe ports changes nothing",
    { hostEndpoints: [eth0()], policies: [edge({ ingress: [{ action: "Deny" }], egress: [{ action: "Deny" }] })] },
    ["internet host tcp 22 allow", "host internet udp 53 allow", "internet host tcp 80 deny"],
  ],
  [
    "other failsafe ports, for some peers only",
    {
      hostEndpoints: [eth0()],
      settings: {
        failsafe: {
          inbound: [
            { protocol: "tcp", port: 2222, net: "198.51.100.0/24" },
            { protocol: "tcp", port: 2222, net: "2001:db8:1::/64" },
            { protocol: "tcp", port: 2223, net: "198.51.101.0/24" },
            { protocol: "tcp", port: 2223, net: "2001:db8:9::/64" },
          ],
          outbound: [{ protocol: "tcp", port: 443 }],
        },
      },
    },
    [
      "internet host tcp 2222 allow",
      "internet host tcp 2223 deny",
      "internet host tcp 22 deny",
      "host internet tcp 443 allow",
      "host internet udp 53 deny",
    ],
  ],
  [
    "policies that apply to everything apply to host endpoints, namespaced ones and those of namespaces do not",
    {
      profiles: [open],
      hostEndpoints: [eth0(OPEN)],
      policies: [
        np("a", "default", { selector: "all()", ingress: [{ action: "Deny" }] }),
        gnp("b", { selector: "all()", namespaceSelector: "all()", ingress: [{ action: "Deny" }] }),
        gnp("c", { selector: "all()", egress: [tcp(80)] }),
      ],
    },
    ["internet host tcp 80 allow", "host internet tcp 80 allow", "host internet tcp 81 deny"],
  ],
  [
    "labels that a profile gives to a host endpoint count",
    {
      profiles: [profile("edgy", { labelsToApply: { zone: "dmz" }, egress: [{ action: "Allow" }] })],
      hostEndpoints: [eth0({ profiles: ["edgy"] })],
      policies: [gnp("p", { selector: "zone == 'dmz'", ingress: [tcp(80)] })],
    },
    ["internet host tcp 80 allow", "internet host tcp 81 deny", "host internet tcp 81 allow"],
  ],
  [
    "tiers, Pass and orders are those of workloads",
    {
      profiles: [open],
      hostEndpoints: [eth0(OPEN)],
      tiers: [tier("first", 1), tier("second", 2, "Pass")],
      policies: [
        edge({ tier: "first", ingress: [deny(81), { action: "Pass" }] }, "a"),
        edge({ tier: "second", ingress: [deny(82)] }, "b"),
        edge({ ingress: [tcp("80:83")] }, "c"),
      ],
    },
    [
      "internet host tcp 80 allow",
      "internet host tcp 81 deny",
      "internet host tcp 82 deny",
      "internet host tcp 84 deny",
    ],
  ],
  [
    "named ports and labels of host endpoints, by their expected addresses",
    {
      hostEndpoints: [
        eth0({
          expectedIPs: ["192.0.2.1", "2001:db8::1"],
          ports: [{ name: "admin", protocol: "TCP", port: 8443 }],
        }),
        hep(
          "far",
          { node: "h2", interfaceName: "eth0", expectedIPs: ["198.51.100.7", "2001:db8:1::7"] },
          { role: "far" },
        ),
      ],
      policies: [
        edge({ ingress: [{ ...tcp("admin"), source: { selector: "role == 'far'" } }] }),
        gnp("db", { selector: "role == 'db'", ingress: [{ action: "Allow", source: { selector: "role == 'far'" } }] }),
      ],
    },
    ["internet host tcp 8443 allow", "internet host tcp 8444 deny", "internet db tcp 9 allow", "web db tcp 9 deny"],
  ],
];

/** A port's name may stand for several, of one protocol and of others. */
const SEVERAL: Row = [
  "several ports of one name, and a label without value, of a host endpoint",
  {
    hostEndpoints: [
      hep(
        "m",
        {
          interfaceName: "eth0",
          expectedIPs: ["192.0.2.1", "2001:db8::1"],
          ports: [
            { name: "admin", protocol: "TCP", port: 8443 },
            { name: "admin", protocol: "TCP", port: 8444 },
            { name: "admin", protocol: "UDP", port: 8445 },
          ],
        },
        { role: "edge", marked: "" },
      ),
    ],
    policies: [
      gnp("p", { selector: "has(marked)", ingress: [tcp("admin")] }),
      gnp("q", { selector: "role == 'db'", ingress: [{ action: "Allow", source: { selector: "has(marked)" } }] }),
    ],
  },
  [
    "internet host tcp 8443 allow",
    "internet host tcp 8444 allow",
    "internet host tcp 8445 deny",
    "internet host udp 8443 deny",
    "internet db tcp 9 deny",
  ],
];

const FORWARD: readonly Row[] = [
  [
    "normal policies do not concern what is forwarded",
    { hostEndpoints: [eth0()], policies: [edge({ ingress: [deny(80)], egress: [deny(80)] })] },
    ["internet web tcp 80 allow", "web internet tcp 80 allow", "internet lan tcp 80 allow"],
  ],
  [
    "policies with applyOnForward do, and close their direction",
    { hostEndpoints: [eth0()], policies: [forward({ ingress: [deny(80), tcp(81)] })] },
    [
      "internet web tcp 80 deny",
      "internet open tcp 81 allow",
      "internet open tcp 82 deny",
      "internet lan tcp 81 allow",
      "internet lan tcp 82 deny",
      "lan internet tcp 82 allow",
      "web internet tcp 82 allow",
      "internet host tcp 81 allow",
      "lan web tcp 80 allow",
    ],
  ],
  [
    "both ends of the way are asked: the interface that it comes in by, and the one that it leaves by",
    {
      hostEndpoints: [eth0(), hep("n", { interfaceName: "eth1" }, { role: "inner" })],
      policies: [
        forward({ ingress: [tcp(80, 81)], egress: [tcp(82)] }),
        gnp("q", { selector: "role == 'inner'", applyOnForward: true, egress: [tcp(80)] }),
      ],
    },
    [
      "internet lan tcp 80 allow",
      "internet lan tcp 81 deny",
      "lan internet tcp 82 allow",
      "lan internet tcp 80 deny",
      "web internet tcp 82 allow",
      "web internet tcp 80 deny",
      "web lan tcp 80 allow",
      "web lan tcp 81 deny",
    ],
  ],
  [
    "profiles and failsafe ports do not concern what is forwarded",
    { profiles: [open], hostEndpoints: [eth0(OPEN)], policies: [forward({ ingress: [tcp(80)] })] },
    ["internet open tcp 22 deny", "internet open tcp 80 allow", "internet host tcp 22 allow"],
  ],
  [
    "a tier that passes on leaves what is forwarded alone",
    {
      hostEndpoints: [eth0()],
      tiers: [tier("first", 1, "Pass")],
      policies: [forward({ tier: "first", ingress: [deny(80)] })],
    },
    ["internet open tcp 80 deny", "internet open tcp 81 allow", "internet host tcp 81 deny"],
  ],
  [
    "the one for all interfaces is asked about every interface that a packet crosses on its way through, workloads' too",
    { hostEndpoints: [all()], policies: [forward({ ingress: [tcp(80, 81)], egress: [tcp(80, 82)] })] },
    [
      "internet open tcp 80 allow",
      "internet open tcp 81 deny",
      "internet open tcp 82 deny",
      "web internet tcp 80 allow",
      "web internet tcp 81 deny",
      "web internet tcp 82 deny",
      "internet lan tcp 80 allow",
      "internet lan tcp 81 deny",
      "web db tcp 80 allow",
      "web db tcp 81 deny",
      "web db tcp 82 deny",
      "web db udp 80 deny",
      "host web tcp 9 allow",
      "web host tcp 53 allow",
    ],
  ],
  [
    "what it allows in and out for workloads still meets their own policies",
    {
      hostEndpoints: [all()],
      policies: [
        forward({ ingress: [tcp("80:90")], egress: [tcp("80:90")] }),
        gnp("db", { selector: "role == 'db'", ingress: [tcp(80)] }),
        gnp("web", { selector: "role == 'web'", egress: [tcp(80, 81)] }),
      ],
    },
    ["web db tcp 80 allow", "web db tcp 81 deny", "web internet tcp 81 allow", "web internet tcp 82 deny"],
  ],
  [
    "only the direction that a policy governs is closed",
    { hostEndpoints: [all()], policies: [forward({ egress: [deny(80), { action: "Allow" }] })] },
    ["web db tcp 80 deny", "web db tcp 81 allow", "internet open tcp 80 deny", "web internet tcp 80 deny"],
  ],
];

const BEFORE: readonly Row[] = [
  [
    "a preDNAT policy drops what it denies, forwarded or not, and has no end",
    { profiles: [open], hostEndpoints: [eth0(OPEN)], policies: [preDnat([deny(80)])] },
    [
      "internet host tcp 80 deny",
      "internet host tcp 81 allow",
      "internet web tcp 80 deny",
      "internet open tcp 81 allow",
      "host internet tcp 80 allow",
      "lan host tcp 80 allow",
      "web host tcp 53 allow",
    ],
  ],
  [
    "what it allows meets no other policy of the host endpoint, but those of the workload",
    { hostEndpoints: [eth0()], policies: [preDnat([tcp(80, 81)]), forward({ ingress: [deny(80, 81)] })] },
    [
      "internet host tcp 80 allow",
      "internet host tcp 82 deny",
      "internet web tcp 80 allow",
      "internet web tcp 81 deny",
      "internet web tcp 82 deny",
      "internet lan tcp 80 allow",
    ],
  ],
  [
    "the interface that it leaves by is asked all the same",
    {
      hostEndpoints: [eth0(), hep("n", { interfaceName: "eth1" }, { role: "inner" })],
      policies: [
        preDnat([tcp(80)]),
        gnp("q", { selector: "role == 'inner'", applyOnForward: true, egress: [deny(80)] }),
      ],
    },
    ["internet lan tcp 80 deny"],
  ],
  [
    "failsafe ports stay open before translation as well",
    { hostEndpoints: [eth0()], policies: [preDnat([{ action: "Deny" }])] },
    [
      "internet host tcp 22 allow",
      "internet host tcp 80 deny",
      "internet web tcp 80 deny",
      "internet open tcp 22 allow",
    ],
  ],
  [
    "Pass leads to the next tier, and then on",
    {
      hostEndpoints: [eth0()],
      tiers: [tier("first", 1)],
      policies: [
        preDnat([{ ...tcp(80), action: "Pass" }, deny(81)], { tier: "first" }),
        gnp("c", {
          selector: "all()",
          applyOnForward: true,
          preDNAT: true,
          types: ["Ingress"],
          ingress: [tcp(80, 81)],
        }),
      ],
    },
    ["internet host tcp 80 allow", "internet host tcp 81 deny", "internet host tcp 82 deny"],
  ],
  [
    "preDNAT policies of the one for all interfaces see what comes from workloads too",
    { profiles: [open], hostEndpoints: [all(OPEN)], policies: [preDnat([deny(80, 53)])] },
    [
      "internet host tcp 80 deny",
      "lan host tcp 80 deny",
      "host self tcp 80 deny",
      "web db tcp 80 deny",
      "web db tcp 81 allow",
      "web internet tcp 80 deny",
      "web host tcp 53 deny",
      "host web tcp 80 allow",
    ],
  ],
  [
    "what one allows of a workload meets its applyOnForward policies for what comes in no more",
    {
      hostEndpoints: [all()],
      policies: [preDnat([tcp(80)]), forward({ ingress: [deny(80, 81)] })],
    },
    ["web db tcp 80 allow", "web db tcp 81 deny", "web internet tcp 80 allow", "web host tcp 53 allow"],
  ],
  [
    "an interface with an endpoint of its own is not asked what applies to the one for all, also where its own says nothing",
    {
      profiles: [open],
      hostEndpoints: [all(OPEN), hep("n", { interfaceName: "eth0", ...OPEN }, { role: "outer" })],
      policies: [preDnat([deny(80)]), forward({ egress: [deny(81)] })],
    },
    ["internet host tcp 80 allow", "lan host tcp 80 deny", "web internet tcp 81 allow", "web lan tcp 81 deny"],
  ],
];

const UNTRACKED: readonly Row[] = [
  [
    "an untracked policy drops what it denies, and has no end",
    {
      profiles: [open],
      hostEndpoints: [eth0(OPEN)],
      policies: [untracked({ ingress: [deny(80)], egress: [deny(82)] })],
    },
    [
      "internet host tcp 80 deny",
      "internet host tcp 81 allow",
      "internet web tcp 80 deny",
      "host internet tcp 82 deny",
      "host internet tcp 80 allow",
      "lan host tcp 80 allow",
    ],
  ],
  [
    "what it allows meets no other policy of the host endpoint",
    {
      hostEndpoints: [eth0()],
      policies: [
        untracked({ ingress: [tcp(80)], egress: [tcp(81)] }),
        preDnat([deny(80)]),
        edge({ ingress: [deny(80)], egress: [deny(81)] }),
      ],
    },
    [
      "internet host tcp 80 allow",
      "internet host tcp 81 deny",
      "host internet tcp 81 allow",
      "host internet tcp 80 deny",
      "lan host tcp 80 allow",
    ],
  ],
  [
    "what is forwarded without tracking still meets the workload's policies and the interface that it leaves by",
    {
      hostEndpoints: [eth0(), hep("n", { interfaceName: "eth1" }, { role: "inner" })],
      policies: [
        untracked({ ingress: [tcp(80, 81)] }),
        forward({ ingress: [deny(80, 81)] }),
        gnp("q", { selector: "role == 'inner'", applyOnForward: true, egress: [tcp(80)] }),
      ],
    },
    ["internet web tcp 80 allow", "internet web tcp 81 deny", "internet lan tcp 80 allow", "internet lan tcp 81 deny"],
  ],
  [
    "replies of failsafe ports are not left untracked, or denied by an untracked policy",
    {
      profiles: [open],
      hostEndpoints: [eth0(OPEN)],
      policies: [untracked({ ingress: [{ action: "Deny" }], egress: [{ action: "Deny" }] })],
    },
    [
      "internet host tcp 22 allow",
      "internet host udp 53>40000 allow",
      "host internet tcp 22>40000 allow",
      "host internet udp 53 allow",
      "internet host udp 54>40000 deny",
      "host internet tcp 23>40000 deny",
    ],
  ],
  [
    "untracked policies do not apply to the one for all interfaces",
    {
      profiles: [open],
      hostEndpoints: [all(OPEN)],
      policies: [untracked({ ingress: [{ action: "Deny" }], egress: [{ action: "Deny" }] })],
    },
    ["internet host tcp 80 allow", "host internet tcp 80 allow"],
  ],
  [
    "untracked, preDNAT and normal policies of all hosts are nothing to workloads but the normal ones",
    {
      policies: [untracked({ ...everything, selector: "all()" }), preDnat([{ action: "Deny" }], { selector: "all()" })],
    },
    ["web db tcp 80 allow", "internet web tcp 80 allow", "internet db tcp 80 deny"],
  ],
];

export const HOST_ROWS: readonly Row[] = [...INTERFACES, ...NORMAL, SEVERAL, ...FORWARD, ...BEFORE, ...UNTRACKED];
