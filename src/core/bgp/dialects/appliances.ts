/** Routers and firewalls, after their makers' manuals; none of these has been run by us. */
import { frrLines } from "./daemons.ts";
import {
  type Dialect,
  familyOf,
  isExternal,
  passwordPlaceholder,
  poolsOf,
  type Router,
  reachable,
  word,
} from "./router.ts";

const ipWord = (family: 4 | 6): string => (family === 4 ? "ip" : "ipv6");
const most = (family: 4 | 6): 32 | 128 => (family === 4 ? 32 : 128);

export const vyos: Dialect = {
  title: "VyOS 1.4: paste in configuration mode, then commit and save",
  tested: false,
  render: (router) => [
    ...router.families.flatMap((family) =>
      poolsOf(router, family).flatMap((pool, index) => {
        const rule = `set policy prefix-list${family === 4 ? "" : "6"} MANX${family} rule ${10 * (index + 1)}`;
        return [`${rule} action permit`, `${rule} prefix ${pool}`, `${rule} le ${most(family)}`];
      }),
    ),
    ...router.families.flatMap((family) => [
      `set policy route-map MANX-IN${family} rule 10 action permit`,
      `set policy route-map MANX-IN${family} rule 10 match ${ipWord(family)} address prefix-list MANX${family}`,
    ]),
    ...(router.bfd === undefined
      ? []
      : [
          `set protocols bfd profile manx interval multiplier ${router.bfd.multiplier}`,
          `set protocols bfd profile manx interval receive ${router.bfd.intervalMs}`,
          `set protocols bfd profile manx interval transmit ${router.bfd.intervalMs}`,
        ]),
    `set protocols bgp system-as ${router.asNumber}`,
    ...reachable(router).flatMap((neighbor) => {
      const base = `set protocols bgp neighbor ${neighbor.address}`;
      return [
        `${base} remote-as ${neighbor.asNumber}`,
        `${base} description ${word(neighbor.name)}`,
        ...(router.password === undefined ? [] : [`${base} password ${passwordPlaceholder(router)}`]),
        ...(router.ttlSecurity === undefined ? [] : [`${base} ttl-security hops ${router.ttlSecurity}`]),
        ...(router.multihop && router.ttlSecurity === undefined && isExternal(router, neighbor)
          ? [`${base} ebgp-multihop 64`]
          : []),
        ...(router.bfd === undefined ? [] : [`${base} bfd profile manx`]),
        ...router.families.map(
          (family) => `${base} address-family ipv${family}-unicast route-map import MANX-IN${family}`,
        ),
      ];
    }),
  ],
};

export const mikrotik: Dialect = {
  title: "MikroTik RouterOS 7: paste into the terminal",
  tested: false,
  render: (router) => [
    ...router.families.flatMap((family) =>
      poolsOf(router, family).map(
        (pool) =>
          `/routing/filter/rule/add chain=manx-in rule="if (dst in ${pool} && dst-len <= ${most(family)}) { accept }"`,
      ),
    ),
    '/routing/filter/rule/add chain=manx-in rule="reject"',
    ...reachable(router).map((neighbor) =>
      [
        `/routing/bgp/connection/add name=manx-${word(neighbor.name)}`,
        `as=${router.asNumber} local.role=${isExternal(router, neighbor) ? "ebgp" : "ibgp"} local.address=${router.address}`,
        `remote.address=${neighbor.address} remote.as=${neighbor.asNumber}`,
        ...(neighbor.port === 179 ? [] : [`remote.port=${neighbor.port}`]),
        `address-families=${router.families.map((family) => (family === 4 ? "ip" : "ipv6")).join(",")}`,
        ...(router.multihop ? ["multihop=yes"] : []),
        ...(router.password === undefined ? [] : [`tcp-md5-key="${passwordPlaceholder(router)}"`]),
        ...(router.bfd === undefined ? [] : ["use-bfd=yes"]),
        "input.filter=manx-in",
      ].join(" "),
    ),
  ],
};

export const opnsense: Dialect = {
  title: "OPNsense: plugin os-frr, Routing > BGP; field by field, as FRR would have it below",
  tested: false,
  render: (router) => [
    `# General: enable, BGP AS Number ${router.asNumber}`,
    ...reachable(router).flatMap(({ name, address, asNumber }) => [
      `# Neighbors, +: Description ${word(name)}, Peer-IP ${address}, Remote AS ${asNumber}${router.bfd === undefined ? "" : ", BFD"}${router.multihop ? ", Multi-Hop" : ""}${router.password === undefined ? "" : `, BGP MD5 Password ${passwordPlaceholder(router)}`}`,
    ]),
    ...router.families.flatMap((family) =>
      poolsOf(router, family).map(
        (pool) => `# Prefix Lists, +: Name MANX${family}, Action Permit, Network ${pool} le ${most(family)}`,
      ),
    ),
    ...frrLines(router).map((line) => `#   ${line}`),
  ],
};

export const unifi: Dialect = {
  title: "UniFi OS 4: Settings > Routing > BGP, upload as a file (it is FRR's language)",
  tested: false,
  render: (router) => frrLines(router),
};

export const cisco: Dialect = {
  title: "Cisco IOS XE: paste after configure terminal",
  tested: false,
  render: (router) => [
    ...router.families.flatMap((family) =>
      poolsOf(router, family).map(
        (pool, index) =>
          `${ipWord(family)} prefix-list MANX${family} seq ${10 * (index + 1)} permit ${pool} le ${most(family)}`,
      ),
    ),
    `router bgp ${router.asNumber}`,
    ...reachable(router).flatMap((neighbor) => [
      ` neighbor ${neighbor.address} remote-as ${neighbor.asNumber}`,
      ` neighbor ${neighbor.address} description ${word(neighbor.name)}`,
      ...(router.password === undefined
        ? []
        : [` neighbor ${neighbor.address} password ${passwordPlaceholder(router)}`]),
      ...(router.ttlSecurity === undefined
        ? []
        : [` neighbor ${neighbor.address} ttl-security hops ${router.ttlSecurity}`]),
      ...(router.multihop && router.ttlSecurity === undefined && isExternal(router, neighbor)
        ? [` neighbor ${neighbor.address} ebgp-multihop 64`]
        : []),
      ...(router.bfd === undefined ? [] : [` neighbor ${neighbor.address} fall-over bfd`]),
    ]),
    ...router.families.flatMap((family) => [
      ` address-family ipv${family}`,
      ...reachable(router).flatMap(({ address }) => [
        `  neighbor ${address} activate`,
        `  neighbor ${address} prefix-list MANX${family} in`,
      ]),
      " exit-address-family",
    ]),
  ],
};

export const arista: Dialect = {
  title: "Arista EOS: paste after configure",
  tested: false,
  render: (router) => [
    ...router.families.flatMap((family) => [
      `${ipWord(family)} prefix-list MANX${family}`,
      ...poolsOf(router, family).map((pool, index) => `   seq ${10 * (index + 1)} permit ${pool} le ${most(family)}`),
    ]),
    `router bgp ${router.asNumber}`,
    ...reachable(router).flatMap((neighbor) => [
      `   neighbor ${neighbor.address} remote-as ${neighbor.asNumber}`,
      `   neighbor ${neighbor.address} description ${word(neighbor.name)}`,
      ...(router.password === undefined
        ? []
        : [`   neighbor ${neighbor.address} password ${passwordPlaceholder(router)}`]),
      ...(router.ttlSecurity === undefined
        ? []
        : [`   neighbor ${neighbor.address} ttl maximum-hops ${router.ttlSecurity}`]),
      ...(router.multihop && router.ttlSecurity === undefined && isExternal(router, neighbor)
        ? [`   neighbor ${neighbor.address} ebgp-multihop 64`]
        : []),
      ...(router.bfd === undefined ? [] : [`   neighbor ${neighbor.address} bfd`]),
    ]),
    ...router.families.flatMap((family) => [
      `   address-family ipv${family}`,
      ...reachable(router).flatMap(({ address }) => [
        `      neighbor ${address} activate`,
        `      neighbor ${address} prefix-list MANX${family} in`,
      ]),
    ]),
  ],
};

export const junos: Dialect = {
  title: "Junos: paste in configuration mode, then commit",
  tested: false,
  render: (router) => [
    ...router.families.flatMap((family) =>
      poolsOf(router, family).map(
        (pool) => `set policy-options policy-statement MANX-IN term pools from route-filter ${pool} orlonger`,
      ),
    ),
    "set policy-options policy-statement MANX-IN term pools then accept",
    "set policy-options policy-statement MANX-IN then reject",
    ...reachable(router).flatMap((neighbor) => junosNeighbor(router, neighbor)),
  ],
};

function junosNeighbor(router: Router, neighbor: Router["neighbors"][number]): string[] {
  const external = isExternal(router, neighbor);
  const group = `set protocols bgp group MANX-${external ? "E" : "I"}${familyOf(neighbor.address)}`;
  const one = `${group} neighbor ${neighbor.address}`;
  return [
    `${group} type ${external ? "external" : "internal"}`,
    `${group} local-as ${router.asNumber}`,
    `${group} import MANX-IN`,
    ...router.families.map((family) => `${group} family inet${family === 6 ? "6" : ""} unicast`),
    ...(external ? [`${one} peer-as ${neighbor.asNumber}`] : []),
    `${one} description ${word(neighbor.name)}`,
    ...(router.multihop && external ? [`${one} multihop ttl 64`] : []),
    ...(router.password === undefined ? [] : [`${one} authentication-key "${passwordPlaceholder(router)}"`]),
    ...(router.bfd === undefined
      ? []
      : [
          `${one} bfd-liveness-detection minimum-interval ${router.bfd.intervalMs}`,
          `${one} bfd-liveness-detection multiplier ${router.bfd.multiplier}`,
        ]),
  ];
}
