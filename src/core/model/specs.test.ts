import { it } from "node:test";
import { calico, judge, long, table } from "./table.test.ts";

table("an IPPool", (spec) => calico("IPPool", spec), [
  ["1.2.3.0/26", "{cidr: 1.2.3.0/26}"],
  ["1.0.0.0/10", "{cidr: 1.0.0.0/10}"],
  ["an IPv6 /122", "{cidr: 'aabb:aabb::0000/122', ipipMode: Never, vxlanMode: Never}"],
  ["an IPv6 /10", "{cidr: 'aa00:0000::0000/10'}"],
  ["a disabled /27", "{cidr: 1.2.3.0/27, disabled: true}"],
  ["a disabled /128", "{cidr: 'aabb:aabb::ffff/128', disabled: true}"],
  ["a /27", "{cidr: 1.2.3.0/27}", "spec.cidr: smaller than one block (/26)"],
  ["a /27 with blocks of /28", "{cidr: 1.2.3.0/27, blockSize: 28}"],
  ["an IPv6 /128", "{cidr: 'aabb:aabb::ffff/128'}", "spec.cidr"],
  ["no cidr", "{}", "spec.cidr: is missing"],
  ["an empty cidr", `{cidr: ""}`, "spec.cidr"],
  ["/33", "{cidr: 1.2.3.4/33}", "spec.cidr"],
  ["/129", "{cidr: 'aa:bb::/129'}", "spec.cidr"],
  ["host bits", "{cidr: 10.65.1.0/16}", `spec.cidr: write "10.65.0.0/16"`],
  ["an address", "{cidr: 10.65.0.1}", "spec.cidr"],
  ["IPIP for IPv6", "{cidr: 'aabb::/64', ipipMode: Always}", "spec.ipipMode"],
  ["VXLAN for IPv6", "{cidr: 'aabb::/64', vxlanMode: Always}"],
  ["link-local IPv4", "{cidr: 169.254.5.0/24}", "spec.cidr: link-local"],
  ["what holds link-local IPv4", "{cidr: 169.0.0.0/8}", "spec.cidr: link-local"],
  ["link-local IPv6", "{cidr: 'fe80::/120'}", "spec.cidr: link-local"],
  ["ipipMode CrossSubnet", "{cidr: 1.2.3.0/24, ipipMode: CrossSubnet}"],
  ["ipipMode never", "{cidr: 1.2.3.0/24, ipipMode: never}", "spec.ipipMode: write Never"],
  ["vxlanMode badVal", "{cidr: 1.2.3.0/24, vxlanMode: badVal}", "spec.vxlanMode"],
  ["both tunnels", "{cidr: 1.2.3.0/24, ipipMode: Always, vxlanMode: Always}", "spec.vxlanMode"],
  ["uses", "{cidr: 1.0.0.0/10, allowedUses: [Workload, Tunnel]}"],
  ["an unknown use", "{cidr: 1.0.0.0/10, allowedUses: [Garbage]}", "spec.allowedUses[0]"],
  ["a LoadBalancer pool", "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer]}"],
  [
    "a LoadBalancer pool for containers",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer, Workload]}",
    "spec.allowedUses[1]",
  ],
  [
    "a LoadBalancer pool with IPIP",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer], ipipMode: Always}",
    "spec.allowedUses",
  ],
  [
    "a LoadBalancer pool of some nodes",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer], nodeSelector: has(a)}",
    "spec.nodeSelector",
  ],
  [
    "a pool for tunnels of some namespaces",
    "{cidr: 1.0.0.0/24, allowedUses: [Tunnel], namespaceSelector: has(a)}",
    "spec.namespaceSelector",
  ],
  [
    "a pool for containers of some namespaces",
    "{cidr: 1.0.0.0/24, allowedUses: [Workload], namespaceSelector: has(a)}",
  ],
  ["global() nodes", "{cidr: 1.0.0.0/24, nodeSelector: global()}", "spec.nodeSelector"],
  ["global() namespaces", "{cidr: 1.0.0.0/24, namespaceSelector: global()}", "spec.namespaceSelector"],
  ["a length with leading zeros, as Go reads it", "{cidr: 1.0.0.0/024}"],
  [
    "a LoadBalancer pool that is not announced",
    "{cidr: 1.0.0.0/24, allowedUses: [LoadBalancer], disableBGPExport: true}",
    "spec.disableBGPExport",
  ],
  ["blocks of /20", "{cidr: 1.0.0.0/10, blockSize: 20}"],
  ["blocks of /32", "{cidr: 1.0.0.0/10, blockSize: 32}"],
  ["blocks of /19", "{cidr: 1.0.0.0/10, blockSize: 19}", "spec.blockSize: not between 20 and 32"],
  ["blocks of /33", "{cidr: 1.0.0.0/10, blockSize: 33}", "spec.blockSize"],
  ["blocks of /64 in IPv6", "{cidr: 'fd00::/48', blockSize: 64}", "spec.blockSize: not between 116 and 128"],
  ["blocks of /116 in IPv6", "{cidr: 'fd00::/48', blockSize: 116}"],
  ["the usual block size as 0", "{cidr: 1.0.0.0/10, blockSize: 0}"],
  ["a block size as text", `{cidr: 1.0.0.0/10, blockSize: "26"}`, "spec.blockSize: write 26"],
  ["a nodeSelector", `{cidr: 1.2.3.0/26, nodeSelector: 'foo == "bar"'}`],
  ["a broken nodeSelector", "{cidr: 1.2.3.0/26, nodeSelector: this is not valid}", "spec.nodeSelector"],
  ["assignmentMode Manual", "{cidr: 1.2.3.0/26, assignmentMode: Manual}"],
  ["assignmentMode manual", "{cidr: 1.2.3.0/26, assignmentMode: manual}", "spec.assignmentMode"],
  ["yes for a truth value", "{cidr: 1.2.3.0/26, natOutgoing: yes}", "spec.natOutgoing: write true"],
  ["the first API's ipip", "{cidr: 1.2.3.0/26, ipip: {enabled: true}}", "spec.ipip: write ipipMode"],
  ["the first API's nat-outgoing where it says no", "{cidr: 1.2.3.0/26, nat-outgoing: false, ipip: null}"],
  ["the first API's nat-outgoing", "{cidr: 1.2.3.0/26, nat-outgoing: true}", "spec.nat-outgoing: write natOutgoing"],
]);

table("an IPReservation", (spec) => calico("IPReservation", spec), [
  ["an address", "{reservedCIDRs: [10.0.0.1]}"],
  ["a CIDR", "{reservedCIDRs: [10.0.1.0/24]}"],
  ["host bits", "{reservedCIDRs: [10.0.1.7/24]}"],
  ["both families", "{reservedCIDRs: [10.0.0.1, 'cafe::1', 'cafe:f00d::/96']}"],
  ["nothing", "{}"],
  ["garbage", "{reservedCIDRs: [garbage]}", "spec.reservedCIDRs[0]"],
  ["/33", "{reservedCIDRs: [10.0.1.0/24, 10.0.1.0/33]}", "spec.reservedCIDRs[1]"],
]);
table("an IPAMConfiguration", (spec) => calico("IPAMConfiguration", spec, { name: "default" }), [
  ["strict", "{strictAffinity: true, maxBlocksPerHost: 20}"],
  ["loose", "{strictAffinity: false, autoAllocateBlocks: true}"],
  ["neither", "{strictAffinity: false, autoAllocateBlocks: false}", "spec.autoAllocateBlocks"],
  ["a limit without strictness", "{strictAffinity: false, maxBlocksPerHost: 5}", "spec.maxBlocksPerHost"],
  ["a limit below zero", "{strictAffinity: true, maxBlocksPerHost: -1}", "spec.maxBlocksPerHost"],
  ["nothing said", "{}"],
  ["a limit and no word of strictness", "{maxBlocksPerHost: 5}", "spec.maxBlocksPerHost: needs strictAffinity: true"],
  ["no blocks and no word of strictness", "{autoAllocateBlocks: false}", "spec.autoAllocateBlocks"],
  ["a pause before an address is given out again", "{ipCooldownSeconds: 30}", "spec.ipCooldownSeconds: what was free"],
]);

table("a FelixConfiguration", (spec) => calico("FelixConfiguration", spec, { name: "default" }), [
  ["nothing", "{}"],
  ["what becomes of containers' packets to their host", "{defaultEndpointToHostAction: Return}"],
  ["the same in capitals", "{defaultEndpointToHostAction: DROP}", "spec.defaultEndpointToHostAction: write Drop"],
  ["no ports", "{failsafeInboundHostPorts: [], failsafeOutboundHostPorts: []}"],
  [
    "ports, for everybody and for some",
    `{failsafeInboundHostPorts: [{protocol: TCP, port: 22, net: ""}, {protocol: SCTP, port: 9, net: 10.0.0.1/8}, {protocol: UDP, port: 68, net: 'fd00::1'}]}`,
  ],
  [
    "a port in lower case, one without protocol, one that is none",
    "{failsafeInboundHostPorts: [{protocol: tcp, port: 22}, {port: 22}, {protocol: UDP, port: 0}]}",
    "spec.failsafeInboundHostPorts[0].protocol: write TCP",
    "spec.failsafeInboundHostPorts[1].protocol: is missing",
    "spec.failsafeInboundHostPorts[2].port",
  ],
  [
    "a net that is none",
    "{failsafeOutboundHostPorts: [{protocol: TCP, port: 22, net: eth0}]}",
    "spec.failsafeOutboundHostPorts[0].net",
  ],
  ["another setting of Felix'", "{bpfEnabled: false}", "spec.bpfEnabled: means nothing here"],
]);
table("the name of a FelixConfiguration", (name) => calico("FelixConfiguration", {}, { name }), [
  ["all hosts'", "default"],
  ["one host's", "node.h1"],
  ["anything", "felix", "metadata.name: node.NAME"],
]);

table("a WorkloadEndpoint of Calico's", (spec) => calico("WorkloadEndpoint", spec), [
  ["an interface, which is enough", "{interfaceName: cali012371237}"],
  ["nothing", "{}", "spec.interfaceName: is missing"],
]);

for (const kind of ["GlobalNetworkSet", "NetworkSet"])
  table(`a ${kind}`, (value) => ({ apiVersion: "projectcalico.org/v3", kind, ...(value as object) }), [
    [
      "CIDRs and addresses",
      "{metadata: {name: a}, spec: {nets: [10.0.0.1, 11.0.0.0/8, 11.0.0.7/8, 'dead:beef::', 'dead:beef::/96', 0.0.0.0/0]}}",
    ],
    ["garbage", "{metadata: {name: a}, spec: {nets: [garbage]}}", "spec.nets[0]"],
    // Go reads it as no address at all, without an error; felix/ip's CIDRFromIPNet then asks nothing for its version.
    ["an empty net, which Calico's validator lets pass", `{metadata: {name: a}, spec: {nets: [""]}}`, "spec.nets[0]"],
    ["labels", "{metadata: {name: a, labels: {a: b}}}"],
    [
      "the reserved label",
      "{metadata: {name: a, labels: {projectcalico.org/namespace: foo}}}",
      `metadata.labels["projectcalico.org/namespace"]: reserved`,
    ],
    ["a bad name", "{metadata: {name: test$set}}", "metadata.name"],
    ["a name with dots", "{metadata: {name: a.b.c}}"],
  ]);

table("a Profile", (spec) => calico("Profile", spec), [
  ["labels to apply", `{labelsToApply: {project.calico.org/my-valid-label: ${long(63)}}}`],
  ["a value of 64 characters", `{labelsToApply: {a: ${long(64)}}}`, "spec.labelsToApply.a"],
  ["a key that begins with a dot", "{labelsToApply: {.mylabel: value}}", `spec.labelsToApply[".mylabel"]`],
  ["a key with !", "{labelsToApply: {my!nvalid-label: value}}", `spec.labelsToApply["my!nvalid-label"]`],
  ["rules", "{ingress: [{action: Allow}], egress: [{action: Deny, protocol: TCP, destination: {ports: [25]}}]}"],
  ["a bad rule", "{egress: [{action: Allow, destination: {ports: [25]}}]}", "spec.egress[0].destination.ports"],
]);
it("refuses the profile that is built in", () =>
  judge(calico("Profile", {}, { name: "projectcalico-default-allow" }), ["metadata.name: built in"]));

table("a HostEndpoint", (spec) => calico("HostEndpoint", spec), [
  ["an interface and a node", "{interfaceName: eth0, node: node01}"],
  ["expected addresses", "{expectedIPs: [1.2.3.4, 'aabb:aabb::ffff'], node: node01}"],
  ["both", "{interfaceName: eth0, expectedIPs: [1.2.3.4], node: node01}"],
  ["all interfaces", "{interfaceName: '*', node: node01}"],
  ["an interface with all its characters", "{interfaceName: Valid_Iface.0-9, node: node01}"],
  ["an interface that is too long", "{interfaceName: interfaceTooLong, node: node01}", "spec.interfaceName"],
  ["an odd interface", "{interfaceName: 'eth0:1', node: node01}", "spec.interfaceName"],
  ["neither", "{node: node01}", "spec: needs an interfaceName, or expectedIPs"],
  ["an empty interface and no addresses", `{interfaceName: "", expectedIPs: [], node: node01}`, "spec"],
  ["no node", "{interfaceName: eth0}", "spec.node: is missing"],
  ["nothing", "{}", "spec.node", "spec"],
  ["a CIDR as address", "{expectedIPs: [1.2.3.4/32], node: node01}", "spec.expectedIPs[0]"],
  ["profiles", "{interfaceName: eth0, node: node01, profiles: [knp.default.fun, fun-funner1234]}"],
  ["a bad profile", "{interfaceName: eth0, node: node01, profiles: [.fun]}", "spec.profiles[0]"],
  ["ports", "{interfaceName: eth0, node: node01, ports: [{name: a-valid-port, protocol: TCP, port: 1234}]}"],
  [
    "the same name for two ports",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP, port: 1}, {name: a, protocol: UDP, port: 2}]}",
  ],
  [
    "a port without name",
    "{interfaceName: eth0, node: node01, ports: [{protocol: TCP, port: 1234}]}",
    "spec.ports[0].name: is missing",
  ],
  [
    "a port without protocol",
    "{interfaceName: eth0, node: node01, ports: [{name: a, port: 1234}]}",
    "spec.ports[0].protocol: is missing",
  ],
  [
    "a port of ICMP",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: ICMP, port: 1234}]}",
    "spec.ports[0].protocol: has no ports",
  ],
  [
    "a port of protocol 123",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: 123, port: 1234}]}",
    "spec.ports[0].protocol",
  ],
  ["port 0", "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP, port: 0}]}", "spec.ports[0].port"],
  [
    "no port",
    "{interfaceName: eth0, node: node01, ports: [{name: a, protocol: TCP}]}",
    "spec.ports[0].port: is missing",
  ],
]);

table(
  "a WorkloadEndpoint",
  (spec) =>
    calico("WorkloadEndpoint", {
      orchestrator: "docker",
      workload: "shop-web-1",
      node: "n",
      endpoint: "e",
      ipNetworks: [],
      profiles: [],
      interfaceName: "manx0",
      ...(spec as object),
    }),
  [
    ["addresses", "{ipNetworks: [1.2.3.4/32, 'aabb::1/128', 1.2.3.5]}"],
    ["more than one address", "{ipNetworks: [1.2.3.0/26]}", "spec.ipNetworks[0]"],
    ["more than one IPv6 address", "{ipNetworks: ['aabb:aabb::/122']}", "spec.ipNetworks[0]"],
    ["a container", "{containerID: Cath01234-G}"],
    ["a container that begins with a hyphen", "{containerID: -abcdefg}", "spec.containerID"],
    ["a container with a dot", "{containerID: abcde-j.g}", "spec.containerID"],
    ["a MAC address", "{mac: 'EE:ee:ee:ee:ee:01'}"],
    ["a MAC address with dots, and one of eight bytes", "{mac: 0000.5e00.5301}"],
    ["a MAC address of eight bytes", "{mac: '02-00-5e-10-00-00-00-01'}"],
    ["a MAC address with two kinds of separators", "{mac: 'ee:ee-ee:ee:ee:ee'}", "spec.mac"],
    ["a bad MAC address", "{mac: 'ee:ee'}", "spec.mac"],
    [
      "a translation of its own address",
      "{ipNetworks: [1.2.3.4/32], ipNATs: [{internalIP: 1.2.3.4, externalIP: 5.6.7.8}]}",
    ],
    [
      "a translation of another's address",
      "{ipNetworks: [1.2.3.5/32], ipNATs: [{internalIP: 1.2.3.4, externalIP: 5.6.7.8}]}",
      "spec.ipNATs[0].internalIP: among",
    ],
    [
      "a translation into another IP version",
      "{ipNetworks: [1.2.3.4/32], ipNATs: [{internalIP: 1.2.3.4, externalIP: 'aabb::1'}]}",
      "spec.ipNATs[0].externalIP: another IP version",
    ],
    ["a port of the host without a name", "{ports: [{protocol: TCP, port: 80, hostPort: 8080}]}"],
    ["a port with neither", "{ports: [{protocol: TCP, port: 80}]}", "spec.ports[0].name: is missing"],
    [
      "a host's port at no address",
      "{ports: [{name: a, protocol: TCP, port: 80, hostPort: 80, hostIP: 999.1.1.1}]}",
      "spec.ports[0].hostIP",
    ],
    ["prefixes it may send from", "{allowSpoofedSourcePrefixes: [10.0.0.1, 192.168.0.0/16]}"],
    ["a prefix that is none", "{allowSpoofedSourcePrefixes: [10.abcd]}", "spec.allowSpoofedSourcePrefixes[0]"],
  ],
);

table("a Node", (spec) => calico("Node", spec), [
  ["nothing", "{}"],
  ["an AS number", "{bgp: {asNumber: 64512, ipv4Address: 192.0.2.1/24, ipv6Address: 'fd00::1'}}"],
  ["an AS number with a dot", `{bgp: {asNumber: "1.10"}}`],
  ["the largest AS number", `{bgp: {asNumber: "4294967295"}}`],
  ["an AS number that is too large", "{bgp: {asNumber: 4294967296}}", "spec.bgp.asNumber"],
  ["an AS number below zero", "{bgp: {asNumber: -1}}", "spec.bgp.asNumber"],
  ["an AS number with two dots", `{bgp: {asNumber: "1.1.1"}}`, "spec.bgp.asNumber"],
  ["an AS number with a large half", `{bgp: {asNumber: "65536.1"}}`, "spec.bgp.asNumber"],
  ["empty bgp", "{bgp: {}}", "spec.bgp: is empty"],
  ["IPv6 as ipv4Address", "{bgp: {ipv4Address: 'fd00::1/64'}}", "spec.bgp.ipv4Address"],
  ["a route reflector", "{bgp: {routeReflectorClusterID: 224.0.0.1}}"],
  ["a route reflector without address", "{bgp: {routeReflectorClusterID: rr}}", "spec.bgp.routeReflectorClusterID"],
  ["addresses", "{addresses: [{address: 192.0.2.1, type: InternalIP}, {address: 192.0.2.1/32}]}"],
  ["an address with host bits", "{addresses: [{address: 192.0.2.1/24}]}", "spec.addresses[0].address"],
]);

table("a Network", (spec) => ({ apiVersion: "manx/v1", kind: "Network", metadata: { name: "front" }, spec }), [
  ["nothing", "{}"],
  [
    "everything",
    "{pools: [10.65.0.0/16, 'fd65::/64', my-pool], ranges: [10.65.1.0/24], families: [4, 6], mtu: 1500, publish: host, isolation: endpoint, internal: true, sticky: true}",
  ],
  ["a third family", "{families: [4, 5]}", "spec.families[1]: not one of 4, 6"],
  ["a family twice", "{families: [4, 4]}", "spec.families[1]"],
  ["no family", "{families: []}", "spec.families"],
  ["a small MTU for IPv6", "{families: [6], mtu: 1000}", "spec.mtu: 1280"],
  ["a range outside", "{pools: [10.65.0.0/16], ranges: [10.66.0.0/24]}", "spec.ranges[0]: outside"],
  ["an unknown way to publish", "{publish: maybe}", "spec.publish"],
]);
