import { calico, table } from "./table.test.ts";

const bgpConfig = (spec: unknown) => calico("BGPConfiguration", spec, { name: "default" });
table("a BGPConfiguration", bgpConfig, [
  ["nothing", "{}"],
  [
    "everything",
    "{logSeverityScreen: Info, nodeToNodeMeshEnabled: true, asNumber: 64512, listenPort: 179, bindMode: NodeIP, ignoredInterfaces: [valid_iface*, interface_name], nodeMeshMaxRestartTime: 200s, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}",
  ],
  ["a log level in lower case", "{logSeverityScreen: info}", "spec.logSeverityScreen: write Info"],
  [
    "a password without mesh",
    "{nodeToNodeMeshEnabled: false, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}",
    "spec.nodeMeshPassword: needs nodeToNodeMeshEnabled",
  ],
  [
    "a restart time without mesh",
    "{nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: 200s}",
    "spec.nodeMeshMaxRestartTime",
  ],
  ["a restart time without unit", `{nodeMeshMaxRestartTime: "200"}`, "spec.nodeMeshMaxRestartTime: time span"],
  ["a pattern of all interfaces", "{ignoredInterfaces: ['*']}", "spec.ignoredInterfaces[0]"],
  ["port 0", "{listenPort: 0}", "spec.listenPort"],
  ["communities that nothing uses", "{communities: [{name: a, value: '101:5695'}]}", "spec.communities: used nowhere"],
  [
    "communities without name",
    "{communities: [{value: '536:785'}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].name",
  ],
  [
    "communities without value",
    "{communities: [{name: a}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].value",
  ],
  [
    "large communities",
    "{communities: [{name: a, value: '100:520:56'}], prefixAdvertisements: [{cidr: '2001:4860::/128', communities: [a, '100:5964:1147483647']}]}",
  ],
  [
    "a number as community",
    "{communities: [{name: a, value: '100'}], prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['100:100']}]}",
    "spec.communities[0].value",
  ],
  [
    "a community of more than 16 bits",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['65536:9']}]}",
    "spec.prefixAdvertisements[0].communities[0]",
  ],
  [
    "a large community of more than 32 bits",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: ['1:1:4294967296']}]}",
    "spec.prefixAdvertisements[0].communities[0]",
  ],
  [
    "the name of no community",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28, communities: [foo]}]}",
    "spec.prefixAdvertisements[0].communities[0]: nor the name of one",
  ],
  [
    "advertisements without cidr",
    "{prefixAdvertisements: [{communities: ['100:5964']}]}",
    "spec.prefixAdvertisements[0].cidr",
  ],
  [
    "advertisements without communities",
    "{prefixAdvertisements: [{cidr: 192.168.10.0/28}]}",
    "spec.prefixAdvertisements[0].communities",
  ],
  ["services", "{serviceClusterIPs: [{cidr: 10.96.0.0/12}]}", "spec.serviceClusterIPs: belong to Kubernetes"],
  ["another priority", "{ipv4NormalRoutePriority: 500}", "spec.ipv4NormalRoutePriority: always 1024"],
  ["a restart time below zero", "{nodeMeshMaxRestartTime: -5s}", "spec.nodeMeshMaxRestartTime: time span"],
  ["a restart time of more than 292 years", "{nodeMeshMaxRestartTime: 3000000h}", "spec.nodeMeshMaxRestartTime"],
  ["a restart time with a fraction", "{nodeMeshMaxRestartTime: .5m}"],
]);
table("the name of a BGPConfiguration", (name) => calico("BGPConfiguration", { listenPort: 1790 }, { name }), [
  ["default", "default"],
  ["a node's", "node.host1"],
  ["another", "foo", "metadata.name"],
]);
table(
  "what only the BGPConfiguration default has",
  (spec) => calico("BGPConfiguration", spec, { name: "node.host1" }),
  [
    ["the AS number", "{asNumber: 65001}", "spec.asNumber: default"],
    ["the mesh", "{nodeToNodeMeshEnabled: true}", "spec.nodeToNodeMeshEnabled"],
    ["the mesh's password", "{nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}", "spec.nodeMeshPassword"],
    ["the mesh's restart time", "{nodeMeshMaxRestartTime: 90s}", "spec.nodeMeshMaxRestartTime"],
    ["nothing else", "{logSeverityScreen: Debug, listenPort: 1790}"],
  ],
);
table("a BGPPeer", (spec) => calico("BGPPeer", spec), [
  ["nothing", "{}"],
  ["an address", "{peerIP: 192.0.2.1, asNumber: 65001, node: host1}"],
  ["an address with a port", "{peerIP: '192.0.2.1:4444', asNumber: 65001}"],
  ["an IPv6 address with a port", "{peerIP: '[fd00::1]:4444', asNumber: '1.10'}"],
  ["an IPv4 address in brackets", "{peerIP: '[192.0.2.1]:500'}"],
  ["a port with leading zeros", "{peerIP: '192.0.2.1:0500'}"],
  ["port 0", "{peerIP: '192.0.2.1:0'}", "spec.peerIP"],
  ["port 65536", "{peerIP: '192.0.2.1:65536'}", "spec.peerIP"],
  ["an IPv6 address with a port and no brackets", "{peerIP: 'fd00::1:4444x'}", "spec.peerIP"],
  ["a host name", "{peerIP: router.example.com}", "spec.peerIP"],
  ["selectors", "{nodeSelector: has(rack), peerSelector: has(rr)}"],
  ["a broken selector", "{nodeSelector: rack}", "spec.nodeSelector"],
  ["node and nodeSelector", "{node: a, nodeSelector: has(rack)}", "spec.node: beside nodeSelector"],
  ["peerIP and peerSelector", "{peerIP: 192.0.2.1, peerSelector: has(rr)}", "spec.peerIP: beside peerSelector"],
  ["asNumber and peerSelector", "{asNumber: 1, peerSelector: has(rr)}", "spec.asNumber: beside peerSelector"],
  ["an AS number of 0, which is none, and peerSelector", "{asNumber: 0, peerSelector: has(rr)}"],
  ["a gateway", "{peerIP: 192.0.2.1, reachableBy: 10.0.0.1}"],
  ["a gateway to nobody", "{reachableBy: 10.0.0.1}", "spec.reachableBy: needs a peerIP"],
  [
    "a gateway of another IP version",
    "{peerIP: '[fd00::1]:179', reachableBy: 10.0.0.1}",
    "spec.reachableBy: another IP version",
  ],
  ["two ways to keep the next hop", "{keepOriginalNextHop: true, nextHopMode: Auto}", "spec.keepOriginalNextHop"],
  ["an unknown nextHopMode", "{nextHopMode: Invalid}", "spec.nextHopMode"],
  [
    "filters, times and hops",
    "{peerIP: 192.0.2.1, filters: [a, b.c], maxRestartTime: 1m30s, keepaliveTime: 10s, ttlSecurity: 1, numAllowedLocalASNumbers: 1}",
  ],
  [
    "peering with containers",
    "{localWorkloadSelector: has(a), asNumber: 1}",
    "spec.localWorkloadSelector: not supported",
  ],
]);
table("a rule of a BGPFilter", (rule) => calico("BGPFilter", { exportV4: [rule] }), [
  ["an action", "{action: Accept}"],
  ["no action", "{interface: eth0}", "spec.exportV4[0].action"],
  ["interfaces", "{interface: '*.calico', action: Accept}"],
  ["all interfaces", "{interface: '*', action: Accept}"],
  ["an odd interface", "{interface: 'eth&', action: Reject}", "spec.exportV4[0].interface"],
  ["a source", "{source: RemotePeers, action: Reject}"],
  ["an unknown source", "{source: xyz, action: Reject}", "spec.exportV4[0].source"],
  ["a CIDR", "{cidr: 192.168.0.0/26, matchOperator: In, prefixLength: {min: 28, max: 32}, action: Accept}"],
  ["a CIDR without operator", "{cidr: 10.0.0.0/8, action: Accept}", "spec.exportV4[0].cidr: needs a matchOperator"],
  ["an operator without CIDR", "{matchOperator: In, action: Accept}", "spec.exportV4[0].matchOperator: needs a cidr"],
  ["lengths without CIDR", "{prefixLength: {min: 16}, action: Accept}", "spec.exportV4[0].prefixLength"],
  [
    "a length of 33",
    "{cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {max: 33}, action: Accept}",
    "spec.exportV4[0].prefixLength.max",
  ],
  [
    "lengths the wrong way round",
    "{cidr: 10.0.0.0/8, matchOperator: In, prefixLength: {min: 20, max: 10}, action: Accept}",
    "spec.exportV4[0].prefixLength.min",
  ],
  [
    "an IPv6 CIDR among IPv4 rules",
    "{cidr: 'fd00::/48', matchOperator: Equal, action: Accept}",
    "spec.exportV4[0].cidr: not of IPv4",
  ],
  ["host bits", "{cidr: 10.0.0.1/8, matchOperator: In, action: Accept}", "spec.exportV4[0].cidr"],
  [
    "operations",
    "{action: Accept, operations: [{addCommunity: {value: '65000:1'}}, {prependASPath: {prefix: [65000, '1.10']}}, {setPriority: {value: 100}}]}",
  ],
  [
    "operations on what is rejected",
    "{action: Reject, operations: [{setPriority: {value: 100}}]}",
    "spec.exportV4[0].operations",
  ],
  ["an empty operation", "{action: Accept, operations: [{}]}", "spec.exportV4[0].operations[0]: exactly one"],
  [
    "two operations in one",
    "{action: Accept, operations: [{addCommunity: {value: '65000:1'}, setPriority: {value: 100}}]}",
    "spec.exportV4[0].operations[0]",
  ],
  ["communities", "{action: Accept, communities: {values: ['65000:1']}}"],
  [
    "a community with leading zeros",
    "{action: Accept, communities: {values: ['065000:1']}, operations: [{addCommunity: {value: '1:2:03'}}]}",
    "spec.exportV4[0].communities.values[0]",
    "spec.exportV4[0].operations[0].addCommunity.value",
  ],
  [
    "two communities",
    "{action: Accept, communities: {values: ['65000:1', '65000:2']}}",
    "spec.exportV4[0].communities.values",
  ],
]);

const peerIP = (text: string) => calico("BGPPeer", { peerIP: text, asNumber: 64512 });
/** TestBGPPeer_PeerIPValidation and the BGPPeerSpec rows of libcalico-go's validator_test.go. */
table("the address of a BGPPeer", (text) => peerIP(String(text)), [
  ["IPv4", "10.0.0.1"],
  ["IPv6", "fd00::1"],
  ["IPv6 without brackets, whose end looks like a port", "fd00::1:179"],
  ["an IPv4 address inside IPv6", "'::ffff:10.0.0.1'"],
  ["IPv4 and a port", "192.168.1.1:500"],
  ["IPv6 and a port", "'[9000::]:500'"],
  ["no address at all", "not-an-ip", "spec.peerIP"],
  ["octets of 999", "999.999.999.999", "spec.peerIP"],
  ["an octet of 330 and a port", "192.168.0.330:170", "spec.peerIP"],
  ["five digits in a group, and a port", "'[9000::FFFFF]:170'", "spec.peerIP"],
  ["port 99999", "10.0.0.1:99999", "spec.peerIP"],
  ["port 98956 of an IPv4 address in brackets", "'[192.168.0.0]:98956'", "spec.peerIP"],
  ["port 65536 in IPv6", "'[9000::]:65536'", "spec.peerIP"],
  ["port 0 in IPv6", "'[fd00::1]:0'", "spec.peerIP"],
  ["no port after the colon", "'192.168.0.0:'", "spec.peerIP"],
  ["no port after the colon in IPv6", "'[9000::]:'", "spec.peerIP"],
  ["a port alone", "':8552'", "spec.peerIP"],
  ["empty brackets", "'[]:8552'", "spec.peerIP"],
  ["brackets without a port", "'[fd00::1]'", "spec.peerIP"],
  ["a prefix length", "10.0.0.1/32", "spec.peerIP"],
  ["a zone", "'fe80::1%eth0'", "spec.peerIP"],
]);
table("the gateway of a BGPPeer", (spec) => calico("BGPPeer", spec), [
  ["one beside a port", "{peerIP: '192.0.2.1:500', reachableBy: 10.0.0.1}"],
  ["one of IPv6", "{peerIP: '[fd00::1]:500', reachableBy: 'fd00::2'}"],
  ["IPv4 that is written inside IPv6, at both ends", "{peerIP: '::ffff:192.0.2.1', reachableBy: '::ffff:10.0.0.1'}"],
  ["IPv4 that is written inside IPv6, at one end", "{peerIP: '::ffff:192.0.2.1', reachableBy: 10.0.0.1}"],
  ["no address", "{peerIP: 192.0.2.1, reachableBy: 999.0.0.1}", "spec.reachableBy"],
  ["IPv6 for IPv4 with a port", "{peerIP: '192.0.2.1:500', reachableBy: 'fd00::2'}", "spec.reachableBy: another IP"],
  ["IPv4 for IPv6", "{peerIP: 'fd00::1', reachableBy: 10.0.0.1}", "spec.reachableBy: another IP"],
  ["one beside a peerSelector", "{peerSelector: all(), reachableBy: 10.0.0.254}", "spec.reachableBy: needs a peerIP"],
]);
table("other fields of a BGPPeer", (spec) => calico("BGPPeer", spec), [
  ["an AS number above 31 bits", "{peerIP: 10.0.0.1, asNumber: 4200000001}"],
  ["an AS number above 32 bits", "{peerIP: 10.0.0.1, asNumber: 4294967296}", "spec.asNumber"],
  ["a local AS number above 32 bits", "{peerIP: 10.0.0.1, localASNumber: 4294967296}", "spec.localASNumber"],
  ["a selector with a colon", `{nodeSelector: "kubernetes.io/hostname: == 'a'"}`, "spec.nodeSelector"],
  ["a rubbish source address", "{sourceAddress: rubbish}", "spec.sourceAddress"],
  ["a rubbish way back", "{reversePeering: auto}", "spec.reversePeering: write Auto"],
  ["the old word beside a mode, saying no", "{peerIP: 10.0.0.1, keepOriginalNextHop: false, nextHopMode: Self}"],
  ["hops above 255", "{peerIP: 10.0.0.1, ttlSecurity: 256}", "spec.ttlSecurity"],
  ["hops below 0", "{peerIP: 10.0.0.1, ttlSecurity: -1}", "spec.ttlSecurity"],
  ["own AS numbers below 0", "{peerIP: 10.0.0.1, numAllowedLocalASNumbers: -1}", "spec.numAllowedLocalASNumbers"],
]);
table("a mesh of a BGPConfiguration", bgpConfig, [
  ["a password that names no secret", "{nodeToNodeMeshEnabled: true, nodeMeshPassword: {}}"],
  ["such a one without mesh", "{nodeToNodeMeshEnabled: false, nodeMeshPassword: {}}", "spec.nodeMeshPassword"],
]);
const matching = (value: unknown) =>
  calico("BGPFilter", { exportV4: [{ action: "Accept", communities: { values: [value] } }] });
/** TestBGPFilter_Community_Validation. */
table("a community that a BGPFilter matches", matching, [
  ["the least", "'0:0'"],
  ["the greatest", "'65535:65535'"],
  ["the greatest large one", "'4294967295:4294967295:4294967295'"],
  ["more than 16 bits", "'65536:0'", "spec.exportV4[0].communities.values[0]"],
  ["more than 32 bits", "'4294967296:0:0'", "spec.exportV4[0].communities.values[0]"],
  ["a single number", "'12345'", "spec.exportV4[0].communities.values[0]"],
  ["four numbers", "'1:2:3:4'", "spec.exportV4[0].communities.values[0]"],
  ["no numbers", "not-a-community", "spec.exportV4[0].communities.values[0]"],
]);
table("an IPv6 rule of a BGPFilter", (rule) => calico("BGPFilter", { importV6: [rule] }), [
  [
    "an address as CIDR of full length",
    "{cidr: 'ee2::dddd/128', matchOperator: In, interface: '*.calico', action: Accept}",
  ],
  [
    "an address without a length",
    "{cidr: 'ee2::dddd', matchOperator: In, action: Accept}",
    'spec.importV6[0].cidr: "ee2::dddd" is an address, a CIDR is expected: write "ee2::dddd/128"',
  ],
  ["lengths outside of the CIDR", "{cidr: 'ffff::/128', matchOperator: In, prefixLength: {min: 65}, action: Reject}"],
  [
    "a longest below the CIDR's own",
    "{cidr: 'ffff::/128', matchOperator: In, prefixLength: {max: 96}, action: Reject}",
  ],
  [
    "a length below 0",
    "{cidr: 'ffff::/128', matchOperator: In, prefixLength: {min: -16}, action: Reject}",
    "spec.importV6[0].prefixLength.min",
  ],
  ["an IPv4 CIDR", "{cidr: 10.0.10.0/32, matchOperator: In, action: Accept}", "spec.importV6[0].cidr: not of IPv6"],
  ["an odd interface", "{interface: 'eth#', action: Reject}", "spec.importV6[0].interface"],
  ["a quotation mark in an interface", `{interface: '"face', action: Reject}`, "spec.importV6[0].interface"],
  ["an interface with a dot at its end", "{interface: 'ethx.', action: Accept}"],
  [
    "an unknown operator",
    "{cidr: 'ffff::/128', matchOperator: fancy, action: Accept}",
    "spec.importV6[0].matchOperator",
  ],
  ["an unknown action", "{cidr: 'ffff::/128', matchOperator: In, action: ActionX}", "spec.importV6[0].action"],
  ["an unknown kind of peer", "{peerType: ibgp, action: Accept}", "spec.importV6[0].peerType: write iBGP"],
  ["priority 0", "{priority: 0, action: Accept}", "spec.importV6[0].priority"],
  ["priority 2147483647", "{priority: 2147483647, action: Accept}", "spec.importV6[0].priority"],
  ["no operations", "{action: Accept, operations: []}", "spec.importV6[0].operations"],
  [
    "eleven AS numbers to put before",
    "{action: Accept, operations: [{prependASPath: {prefix: [1,2,3,4,5,6,7,8,9,10,11]}}]}",
    "spec.importV6[0].operations[0].prependASPath.prefix",
  ],
]);
