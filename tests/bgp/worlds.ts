/** Arbitrary clusters for BGP: what the door lets in (`world`), and what a store can hold that no door has seen (`spoilt`). */
import fc from "fast-check";
import type { BgpInput } from "../../src/core/bgp/state.ts";
import type { AnyResource } from "../../src/core/model/resources.ts";
import { validateResource } from "../../src/core/model/validate.ts";
import { formatCidr, parseNet } from "../../src/core/net/cidr.ts";

const HOSTS = ["a", "b", "c.example", "r"];

const v4 = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("10.0.0.1", "10.0.0.2", "10.0.0.254", "192.0.2.7", "10.9.9.9") },
  fc.constantFrom("0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.5", "169.254.1.1", "1.0.0.0", "240.0.0.1"),
  fc.ipV4(),
);
const v6 = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("fd00::1", "fd00::2", "fd00::fe", "2001:db8::7", "FD00:0::9") },
  fc.constantFrom("::", "::1", "fe80::1", "ff02::5", "::ffff:10.0.0.2", "::ffff:0:0", "64:ff9b::1", "2002::1"),
  fc.ipV6(),
);
const address = fc.oneof(v4, v6);
const port = fc.oneof(fc.constantFrom(1, 179, 1790, 65535), fc.integer({ min: 1, max: 65535 }));
const peerIP = fc.oneof(
  address,
  fc.tuple(v4, port).map(([ip, at]) => `${ip}:${at}`),
  fc.tuple(address, port).map(([ip, at]) => `[${ip}]:${at}`),
);
const cidr4 = fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([ip, length]) => masked(`${ip}/${length}`));
const cidr6 = fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([ip, length]) => masked(`${ip}/${length}`));
const cidr = fc.oneof(cidr4, cidr6);

function masked(text: string): string {
  const found = parseNet(text);
  return found === undefined ? text : formatCidr(found);
}

const asNumber = fc.oneof(
  fc.constantFrom<number | string>(64512, 65001, 1, 23456, 65535, 65536, 4294967295, "1.10", "65535.65535", 0),
  fc.integer({ min: 0, max: 4294967295 }),
);
const sixteen = fc.oneof(fc.constantFrom(0, 1, 65535), fc.integer({ min: 0, max: 65535 }));
const thirtyTwo = fc.oneof(fc.constantFrom(0, 65536, 4294967295), fc.integer({ min: 0, max: 4294967295 }));
const community = fc.oneof(
  fc.tuple(sixteen, sixteen).map((parts) => parts.join(":")),
  fc.tuple(thirtyTwo, thirtyTwo, thirtyTwo).map((parts) => parts.join(":")),
);
const duration = fc.constantFrom(
  "0",
  "0s",
  "1ns",
  "1s",
  "90s",
  "1m30s",
  "1.5h",
  "2562047h",
  "100ms",
  "18h12m15s",
  ".5s",
);
const interfaces = fc.oneof(
  fc.constantFrom("eth0", "*", "eth*", "*.calico", "wg-1", "a.b_c-d*", "-x", "a-port-1790", ".", "abcdefghijklmno"),
  fc.stringMatching(/^[a-zA-Z0-9_.*-]{1,15}$/),
);
const priority = fc.oneof(fc.constantFrom(1, 512, 1024, 1025, 2147483646), fc.integer({ min: 1, max: 2147483646 }));
/** Few, so that peers find the filters that they name. */
const LONG = `${"long.".repeat(20)}x`;
const filterName = fc.constantFrom("x", "y", "f.one", "0", LONG, `${LONG}y`, `${"a".repeat(60)}.b`);
const name = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/);
const selector = fc.constantFrom("all()", "has(rr)", "!has(rr)", "rack == '1'", "rack in {'1','2'}", "none()");
const maybe = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(fields, { requiredKeys: [] });

const password = fc.record({
  secretKeyRef: fc.record({ name: fc.constantFrom("tor", "mesh", "missing"), key: fc.constant("password") }),
});

const annotations = maybe({
  "manx/bgp-bfd": fc.constantFrom("on", "off", "50ms x 5", "10ms x 255", "60000ms x 2"),
  "manx/bgp-interface": fc.constantFrom("eth0", "eth0.100", "a-port-1790", "a", "abcdefghijklmno"),
  "manx/bgp-families": fc.constantFrom("ipv4", "ipv6", "ipv4, ipv6"),
  "manx/bgp-passive": fc.constantFrom("true", "false"),
});
const range = fc.record({ "manx/bgp-range": cidr });

const common = {
  localASNumber: asNumber,
  password,
  sourceAddress: fc.constantFrom("UseNodeIP", "None"),
  maxRestartTime: duration,
  keepaliveTime: duration,
  numAllowedLocalASNumbers: fc.oneof(fc.constantFrom(0, 1, 255, 2147483647), fc.nat()),
  ttlSecurity: fc.integer({ min: 0, max: 255 }),
  filters: fc.array(filterName, { maxLength: 4 }),
  reversePeering: fc.constantFrom("Auto", "Manual"),
};
const nextHop = fc.oneof(
  fc.record({ nextHopMode: fc.constantFrom("Auto", "Self", "Keep") }),
  fc.record({ keepOriginalNextHop: fc.boolean() }),
);
const nodes = fc.oneof(
  fc.constant({}),
  fc.record({ node: fc.constantFrom(...HOSTS) }),
  fc.record({ nodeSelector: selector }),
);
const remote = fc.oneof(
  fc.record({ peerSelector: selector }),
  fc.record({ peerIP, asNumber }),
  fc.record({ peerIP }),
  fc.record({ peerIP: v4, asNumber, reachableBy: v4 }),
  fc.record({ peerIP: v6, asNumber, reachableBy: v6 }),
);
const peerSpec = fc
  .tuple(maybe(common), nextHop, nodes, remote)
  .map(([spec, hop, local, other]) => ({ ...spec, ...hop, ...local, ...other }));
/** `manx/bgp-range` instead of an address. */
const rangeSpec = fc.tuple(maybe({ ...common, asNumber }), nodes).map(([spec, local]) => ({ ...spec, ...local }));

const operation = fc.oneof(
  fc.record({ addCommunity: fc.record({ value: community }) }),
  fc.record({ prependASPath: fc.record({ prefix: fc.array(asNumber, { minLength: 1, maxLength: 10 }) }) }),
  fc.record({ setPriority: fc.record({ value: priority }) }),
);

const rule = (of: fc.Arbitrary<string>, most: number) => {
  const length = fc.integer({ min: 0, max: most });
  return fc
    .record({
      match: fc.option(
        fc.record(
          {
            cidr: of,
            matchOperator: fc.constantFrom("Equal", "NotEqual", "In", "NotIn"),
            prefixLength: fc.oneof(
              maybe({ min: length }),
              maybe({ max: length }),
              fc.tuple(length, length).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) })),
            ),
          },
          { requiredKeys: ["cidr", "matchOperator"] },
        ),
      ),
      rest: fc.record(
        {
          source: fc.constant("RemotePeers"),
          interface: interfaces,
          peerType: fc.constantFrom("eBGP", "iBGP"),
          communities: fc.record({ values: fc.tuple(community) }),
          asPathPrefix: fc.array(asNumber, { maxLength: 5 }),
          priority,
          action: fc.constantFrom("Accept", "Reject"),
          operations: fc.array(operation, { minLength: 1, maxLength: 10 }),
        },
        { requiredKeys: ["action"] },
      ),
    })
    .map(({ match, rest }) => {
      const { operations, ...others } = rest;
      return { ...match, ...others, ...(rest.action === "Accept" && operations !== undefined ? { operations } : {}) };
    });
};

const filterSpec = maybe({
  importV4: fc.array(rule(cidr4, 32), { maxLength: 4 }),
  exportV4: fc.array(rule(cidr4, 32), { maxLength: 4 }),
  importV6: fc.array(rule(cidr6, 128), { maxLength: 4 }),
  exportV6: fc.array(rule(cidr6, 128), { maxLength: 4 }),
});

const advertisements = fc.array(
  fc.record({ cidr, communities: fc.array(fc.oneof(community, fc.constant("red")), { minLength: 1, maxLength: 4 }) }),
  { minLength: 1, maxLength: 3 },
);
const ownConfiguration = {
  logSeverityScreen: fc.constantFrom("Trace", "Debug", "Info", "Warning", "Error", "Fatal"),
  listenPort: port,
  bindMode: fc.constantFrom("None", "NodeIP"),
  ignoredInterfaces: fc.array(interfaces, { maxLength: 3 }),
};
const withCommunities = <T>(spec: fc.Arbitrary<T>) =>
  fc
    .tuple(spec, fc.option(advertisements), community)
    .map(([rest, prefixAdvertisements, value]) =>
      prefixAdvertisements === null ? rest : { ...rest, prefixAdvertisements, communities: [{ name: "red", value }] },
    );
const globalSpec = withCommunities(
  maybe({
    ...ownConfiguration,
    nodeToNodeMeshEnabled: fc.boolean(),
    asNumber,
    nodeMeshPassword: password,
    nodeMeshMaxRestartTime: duration,
  }),
);

const nodeSpec = fc.record({
  bgp: maybe({
    ipv4Address: fc.tuple(v4, fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`),
    ipv6Address: fc.tuple(v6, fc.integer({ min: 0, max: 128 })).map(([ip, length]) => `${ip}/${length}`),
    asNumber,
    routeReflectorClusterID: v4,
  }),
});

const API = "projectcalico.org/v3";
const made = (kind: string, metadata: object, spec: unknown): unknown => ({ apiVersion: API, kind, metadata, spec });

const resource = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .tuple(
        name,
        fc.oneof(
          { weight: 5, arbitrary: fc.tuple(annotations, peerSpec) },
          { weight: 1, arbitrary: fc.tuple(range, rangeSpec) },
        ),
      )
      .map(([called, [notes, spec]]) => made("BGPPeer", { name: called, annotations: notes }, spec)),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(filterName, filterSpec).map(([called, spec]) => made("BGPFilter", { name: called }, spec)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(annotations, globalSpec)
      .map(([{ "manx/bgp-bfd": bfd }, spec]) =>
        made(
          "BGPConfiguration",
          { name: "default", ...(bfd === undefined ? {} : { annotations: { "manx/bgp-bfd": bfd } }) },
          spec,
        ),
      ),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...HOSTS), withCommunities(maybe(ownConfiguration)))
      .map(([host, spec]) => made("BGPConfiguration", { name: `node.${host}` }, spec)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...HOSTS), maybe({ rack: fc.constantFrom("1", "2"), rr: fc.constant("") }), nodeSpec)
      .map(([host, labels, spec]) => made("Node", { name: host, labels }, spec)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(name, cidr, fc.boolean())
      .map(([called, net, disableBGPExport]) => made("IPPool", { name: called }, { cidr: net, disableBGPExport })),
  },
);

const facts = fc.record({
  blocks: fc.array(cidr, { maxLength: 3 }),
  lent: fc.array(address, { maxLength: 2 }),
  services: fc.array(address, { maxLength: 2 }),
  connected: fc.array(cidr, { maxLength: 3 }),
});

/** Nodes that all have an address, so that there are sessions; the random ones stand before them. */
const NODES = HOSTS.map((host, index) =>
  made(
    "Node",
    { name: host },
    { bgp: { ipv4Address: `10.0.0.${index + 1}/24`, ipv6Address: `fd00::${index + 1}/64` } },
  ),
);

/** Only what passes the door; of two of one name the first. */
export const world: fc.Arbitrary<BgpInput> = fc
  .record({ host: fc.constantFrom(...HOSTS), raw: fc.array(resource, { minLength: 8, maxLength: 60 }), facts })
  .map(({ host, raw, facts: given }) => {
    const found = new Map<string, AnyResource>();
    for (const value of [...raw, ...NODES]) {
      const result = validateResource(value);
      if (!result.ok) continue;
      const key = `${result.value.kind} ${result.value.metadata.name}`;
      if (!found.has(key)) found.set(key, result.value);
    }
    const of = <K extends AnyResource["kind"]>(kind: K) =>
      [...found.values()].filter((one): one is Extract<AnyResource, { kind: K }> => one.kind === kind);
    return {
      host,
      nodes: of("Node"),
      configurations: of("BGPConfiguration"),
      peers: of("BGPPeer"),
      filters: of("BGPFilter"),
      pools: of("IPPool"),
      ...given,
    };
  });

/** Where a text would get out of its place: out of strings, out of comments, out of blocks. */
export const EVIL = `x"; } protocol static evil { route 0.0.0.0/0 blackhole; } #'\n`;

const hostile = fc.oneof(
  fc.constantFrom<unknown>(EVIL, `\n${EVIL}`, `10.0.0.1;${EVIL}`, `eth0${EVIL}`, `1:1);${EVIL}`, "x".repeat(10_000)),
  fc.constantFrom<unknown>("", " ", "0x10", "1e9", "-1", "٣", "10.0.0.0/8/8", "__proto__", "constructor"),
  fc.constantFrom<unknown>(-1, 1.5, 4294967296, 1e21, Number.MAX_SAFE_INTEGER, 0),
  fc.constantFrom<unknown>(null, true, [], {}, [EVIL], [null], { [EVIL]: EVIL }),
);

type Path = readonly (string | number)[];

function placesIn(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...at, key]))];
}

function withValue(value: unknown, [key, ...rest]: Path, put: unknown): unknown {
  if (key === undefined) return put;
  const copy = Array.isArray(value) ? [...(value as unknown[])] : { ...(value as Record<string, unknown>) };
  (copy as Record<string, unknown>)[key] = withValue((value as Record<string, unknown>)[key], rest, put);
  return copy;
}

const LISTS = ["nodes", "configurations", "peers", "filters", "pools"] as const;

/** A world in which a few values have been put into the store past every check. A resource keeps a name and a spec. */
export const spoilt: fc.Arbitrary<BgpInput> = fc
  .tuple(world, fc.array(fc.tuple(fc.nat(), hostile), { minLength: 1, maxLength: 6 }))
  .map(([input, changes]) => {
    let out: unknown = input;
    for (const [at, put] of changes) {
      const places = LISTS.flatMap((list) =>
        placesIn((out as BgpInput)[list], [list]).filter(([, , part, ...rest]) =>
          part === "spec"
            ? rest.length > 0
            : part === "metadata" && (rest[0] !== "name" ? rest.length > 0 : typeof put === "string"),
        ),
      );
      const place = places[at % Math.max(1, places.length)];
      if (place !== undefined) out = withValue(out, place, put);
    }
    return out as BgpInput;
  });
