/** One cluster in which everything is used that resources can ask for: read by the golden file, and by `bird -p`. */
import type { BgpInput } from "../../src/core/bgp/state.ts";
import { configuration, filter, node, peer, pool } from "./resources.ts";

const LONG = `${"long.".repeat(20)}x`;

export const EVERYTHING: BgpInput = {
  host: "a",
  nodes: [
    node("a", { ipv4Address: "10.0.0.1/24", ipv6Address: "fd00::1/64" }),
    node("b", { ipv4Address: "10.0.0.2/24", ipv6Address: "fd00::2", asNumber: "1.10" }),
    node("r", { ipv4Address: "10.0.9.9", routeReflectorClusterID: "1.0.0.1" }, { reflector: "yes" }),
  ],
  configurations: [
    configuration(
      {
        communities: [{ name: "red", value: "65000:7" }],
        prefixAdvertisements: [{ cidr: "10.65.0.0/16", communities: ["red", "1:2:3"] }],
        bindMode: "NodeIP",
        ignoredInterfaces: ["wg*"],
        nodeMeshPassword: { secretKeyRef: { name: "mesh", key: "password" } },
      },
      { "manx/bgp-bfd": "on" },
    ),
    configuration({ listenPort: 1790, logSeverityScreen: "Debug" }, {}, "node.b"),
  ],
  peers: [
    peer("tor", {
      peerIP: "10.0.0.254",
      asNumber: 65001,
      filters: ["f.one", LONG],
      password: { secretKeyRef: { name: "tor", key: "password" } },
      numAllowedLocalASNumbers: 2,
      maxRestartTime: "1m30s",
      keepaliveTime: "10s",
      localASNumber: 65100,
    }),
    peer("far", {
      peerIP: "192.0.2.1:1790",
      asNumber: 4200000000,
      reachableBy: "10.0.0.254",
      ttlSecurity: 3,
      nextHopMode: "Self",
      sourceAddress: "None",
    }),
    peer("kept", { peerIP: "192.0.2.9", asNumber: 65001, keepOriginalNextHop: true }, { "manx/bgp-passive": "true" }),
    peer("link-local", { peerIP: "fe80::1", asNumber: 65002 }, { "manx/bgp-interface": "eth0.100" }),
    peer(
      "both",
      { peerIP: "fd00::fe", asNumber: 65003 },
      { "manx/bgp-families": "ipv4, ipv6", "manx/bgp-bfd": "50ms x 5" },
    ),
    peer("carried", { peerIP: "10.0.0.253", asNumber: 65003 }, { "manx/bgp-families": "ipv4,ipv6" }),
    peer("dynamic", { asNumber: 65009 }, { "manx/bgp-range": "10.7.0.0/24" }),
    peer("reflectors", { peerSelector: "reflector == 'yes'", nodeSelector: "all()" }),
  ],
  filters: [
    filter("f.one", {
      importV4: [
        {
          action: "Accept",
          cidr: "10.0.0.0/8",
          matchOperator: "In",
          prefixLength: { min: 9, max: 24 },
          peerType: "eBGP",
          communities: { values: ["1:2"] },
          asPathPrefix: [1, 2],
          operations: [
            { addCommunity: { value: "1:2:3" } },
            { prependASPath: { prefix: [7, 8] } },
            { setPriority: { value: 512 } },
          ],
        },
        { action: "Accept", cidr: "10.0.0.0/24", matchOperator: "In", prefixLength: { max: 20 } },
        { action: "Reject" },
      ],
      exportV4: [{ action: "Accept", source: "RemotePeers", interface: "eth*", priority: 512, asPathPrefix: [65001] }],
      exportV6: [{ action: "Reject", cidr: "fd66::/64", matchOperator: "NotIn", peerType: "iBGP" }],
    }),
    filter(LONG, {
      exportV4: [
        { action: "Reject", cidr: "10.66.0.0/16", matchOperator: "Equal" },
        { action: "Reject", cidr: "10.67.0.0/16", matchOperator: "NotEqual", communities: { values: ["1:2:3"] } },
      ],
    }),
  ],
  pools: [pool("10.65.0.0/16"), pool("fd65::/64"), pool("10.66.0.0/16", { disableBGPExport: true })],
  blocks: ["10.65.0.0/26", "fd65::/122", "10.65.9.9/32"],
  lent: ["10.65.0.5"],
  services: ["203.0.113.10", "2001:db8:a::10"],
  connected: ["10.0.0.1/24", "fd00::1/64"],
};

/** The same cluster on its route reflector. */
export const REFLECTOR: BgpInput = { ...EVERYTHING, host: "r", connected: ["10.0.9.9/24"], blocks: [], lent: [] };

export const SECRETS: ReadonlyMap<string, string> = new Map([
  ["tor/password", "pass word;} #"],
  ["mesh/password", "\\"],
]);
