/** BIRD 2, FRR, GoBGP: what runs on Linux. VyOS' and UniFi's routers have FRR inside, each with its own way in. */
import {
  type Dialect,
  familyOf,
  isExternal,
  type Neighbor,
  passwordPlaceholder,
  poolsOf,
  type Router,
  reachable,
  word,
} from "./router.ts";

export const bird: Dialect = {
  title: "BIRD 2: add to bird.conf, then birdc configure",
  tested: true,
  render: (router) => [
    ...router.families.map((family) => birdPools(router, family)),
    ...(router.bfd === undefined ? [] : [`protocol bfd manx_bfd { accept; interface "*" {}; }`]),
    ...reachable(router).flatMap((neighbor) => [
      `protocol bgp ${birdName(neighbor)} {`,
      `  local ${router.address} ${router.port === 179 ? "" : `port ${router.port} `}as ${router.asNumber};`,
      `  neighbor ${neighbor.address} ${neighbor.port === 179 ? "" : `port ${neighbor.port} `}as ${neighbor.asNumber};`,
      `  ${router.multihop ? "multihop" : "direct"};`,
      ...(router.ttlSecurity === undefined ? [] : ["  ttl security on;"]),
      ...(router.password === undefined ? [] : [`  password "${passwordPlaceholder(router)}";`]),
      ...birdRestart(router),
      ...router.families.map(
        (family) =>
          `  ipv${family} { import where net ~ manx_pools${family}; export all;${family === 4 && familyOf(neighbor.address) === 6 ? " extended next hop on;" : ""} };`,
      ),
      "}",
    ]),
  ],
  taken: (neighbor) => ["birdc", `show route protocol ${birdName(neighbor)}`],
};

const birdName = ({ name, address }: Neighbor): string => `manx_${word(name)}_${familyOf(address)}`;

function birdPools(router: Router, family: 4 | 6): string {
  const most = family === 4 ? 32 : 128;
  const pools = poolsOf(router, family).map((pool) => `${pool}{${pool.split("/")[1]},${most}}`);
  const none = family === 4 ? "255.255.255.255/32" : "ffff::/128";
  return `define manx_pools${family} = [ ${pools.length === 0 ? none : pools.join(", ")} ];`;
}

/** As on the hosts: with BFD the routes of a silent host are the last resort. */
function birdRestart({ bfd }: Router): string[] {
  if (bfd === undefined) return ["  graceful restart on;"];
  return [
    `  bfd { interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; };`,
    "  bfd graceful;",
    "  graceful restart on;",
    "  graceful restart time 0;",
    "  long lived graceful restart on;",
    "  long lived stale time 120;",
  ];
}

export const frr: Dialect = {
  title: "FRR: paste into vtysh after configure terminal, or add to frr.conf",
  tested: true,
  render: (router) => frrLines(router),
  taken: ({ address }, { families }) => [
    "vtysh",
    ...families.flatMap((family) => ["-c", `show bgp ipv${family} unicast neighbors ${address} routes`]),
  ],
};

export function frrLines(router: Router): string[] {
  const { bfd } = router;
  return [
    ...router.families.flatMap((family) => frrPools(router, family)),
    ...router.families.flatMap((family) => [
      `route-map MANX-IN${family} permit 10`,
      ` match ${ipWord(family)} address prefix-list MANX${family}`,
      "exit",
    ]),
    "route-map MANX-OUT permit 10",
    "exit",
    ...(bfd === undefined
      ? []
      : [
          "bfd",
          " profile manx",
          `  detect-multiplier ${bfd.multiplier}`,
          `  receive-interval ${bfd.intervalMs}`,
          `  transmit-interval ${bfd.intervalMs}`,
          " exit",
          "exit",
        ]),
    `router bgp ${router.asNumber}`,
    ...reachable(router).flatMap((neighbor) => frrNeighbor(router, neighbor)),
    ...router.families.flatMap((family) => [
      ` address-family ipv${family} unicast`,
      ...reachable(router).flatMap(({ address }) => [
        `  neighbor ${address} activate`,
        `  neighbor ${address} route-map MANX-IN${family} in`,
        `  neighbor ${address} route-map MANX-OUT out`,
      ]),
      " exit-address-family",
    ]),
    "exit",
  ];
}

const ipWord = (family: 4 | 6): string => (family === 4 ? "ip" : "ipv6");

function frrPools(router: Router, family: 4 | 6): string[] {
  const most = family === 4 ? 32 : 128;
  const pools = poolsOf(router, family);
  if (pools.length === 0) return [`${ipWord(family)} prefix-list MANX${family} seq 10 deny any`];
  return pools.map((pool, index) => {
    const isSingle = Number(pool.split("/")[1]) === most;
    return `${ipWord(family)} prefix-list MANX${family} seq ${10 * (index + 1)} permit ${pool}${isSingle ? "" : ` le ${most}`}`;
  });
}

function frrNeighbor(router: Router, neighbor: Neighbor): string[] {
  const { address, asNumber, port, name } = neighbor;
  const hops = router.ttlSecurity;
  return [
    ` neighbor ${address} remote-as ${asNumber}`,
    ` neighbor ${address} description ${word(name)}`,
    ...(port === 179 ? [] : [` neighbor ${address} port ${port}`]),
    ...(router.password === undefined ? [] : [` neighbor ${address} password ${passwordPlaceholder(router)}`]),
    ...(hops === undefined ? [] : [` neighbor ${address} ttl-security hops ${hops}`]),
    ...(hops === undefined && router.multihop && isExternal(router, neighbor)
      ? [` neighbor ${address} ebgp-multihop`]
      : []),
    ...(router.bfd === undefined ? [] : [` neighbor ${address} bfd profile manx`]),
    ...(familyOf(address) === 6 && router.families.includes(4)
      ? [` neighbor ${address} capability extended-nexthop`]
      : []),
    ...(familyOf(address) === 6 && !router.families.includes(4)
      ? [" address-family ipv4 unicast", `  no neighbor ${address} activate`, " exit-address-family"]
      : []),
  ];
}

export const gobgp: Dialect = {
  title: "GoBGP: add to gobgpd.toml; [global.config] stands there once",
  tested: true,
  render: (router) => [
    "[global.config]",
    `  as = ${router.asNumber}`,
    `  router-id = "${familyOf(router.address) === 4 ? router.address : "ROUTER-ID"}"`,
    ...(router.port === 179 ? [] : [`  port = ${router.port}`]),
    ...reachable(router).flatMap((neighbor) => gobgpNeighbor(router, neighbor)),
  ],
  taken: ({ address }) => ["gobgp", "neighbor", address, "adj-in"],
};

function gobgpNeighbor(router: Router, neighbor: Neighbor): string[] {
  return [
    "",
    "[[neighbors]]",
    "  [neighbors.config]",
    `    neighbor-address = "${neighbor.address}"`,
    `    peer-as = ${neighbor.asNumber}`,
    `    description = "${word(neighbor.name)}"`,
    ...(router.password === undefined ? [] : [`    auth-password = "${passwordPlaceholder(router)}"`]),
    "  [neighbors.transport.config]",
    `    local-address = "${router.address}"`,
    ...(neighbor.port === 179 ? [] : [`    remote-port = ${neighbor.port}`]),
    ...(router.multihop && router.ttlSecurity === undefined && isExternal(router, neighbor)
      ? ["  [neighbors.ebgp-multihop.config]", "    enabled = true", "    multihop-ttl = 64"]
      : []),
    ...(router.ttlSecurity === undefined
      ? []
      : ["  [neighbors.ttl-security.config]", "    enabled = true", `    ttl-min = ${256 - router.ttlSecurity}`]),
    "  [neighbors.graceful-restart.config]",
    "    enabled = true",
    "    helper-only = true",
    "    restart-time = 120",
    ...router.families.flatMap((family) => [
      "  [[neighbors.afi-safis]]",
      "    [neighbors.afi-safis.config]",
      `      afi-safi-name = "ipv${family}-unicast"`,
      "    [neighbors.afi-safis.mp-graceful-restart.config]",
      "      enabled = true",
    ]),
  ];
}
