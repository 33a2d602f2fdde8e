/** What the host's own network looks like: its node addresses, the uplink's MTU, the routes that pools must not overlap. */
import type { HostInterface } from "../core/calc/snapshot.ts";
import type { Surroundings } from "../core/calc/state-routing.ts";
import type { Node } from "../core/model/resources.ts";
import { FAMILIES, parseAddress } from "../core/net/address.ts";
import { contains, parseCidr } from "../core/net/cidr.ts";
import { DriverError } from "../drivers/error.ts";
import type { Route, Rtnetlink } from "../drivers/netlink/rtnetlink.ts";
import { type NodeAddresses, type NodeAddressOptions, nodeAddresses } from "./node-address.ts";
import { RouteInterfaces } from "./route-interfaces.ts";

/** rtproto of our own routes, of BIRD's (linux/rtnetlink.h, RTPROT_BIRD), and of the kernel's own. */
const NOT_THE_HOSTS = new Set([109, 12]);
const DEFAULT_MTU = 1500;
/** What every link must carry (RFC 8200 section 5); less would cut IPv6 off. */
const MIN_MTU = 1280;

export class HostNetwork {
  readonly #host: string;
  readonly #rtnetlink: Rtnetlink;
  readonly #methods: Pick<NodeAddressOptions, "ipv4" | "ipv6">;
  #addresses: NodeAddresses = {};
  #mtu = DEFAULT_MTU;
  #routes: readonly string[] = [];
  #connected: readonly string[] = [];
  #interfaces: readonly HostInterface[] = [];
  #ways = new RouteInterfaces([]);
  #own: readonly string[] = [];
  #node: Node;

  /** `methods`: how the node's own addresses are found. */
  constructor(host: string, rtnetlink: Rtnetlink, methods: Pick<NodeAddressOptions, "ipv4" | "ipv6"> = {}) {
    this.#host = host;
    this.#rtnetlink = rtnetlink;
    this.#methods = methods;
    this.#node = nodeOf(host, {}, new Map());
    this.refresh();
  }

  get node(): Node {
    return this.#node;
  }

  get addresses(): NodeAddresses {
    return this.#addresses;
  }

  get mtu(): number {
    return this.#mtu;
  }

  /** CIDRs of the host's routes, without default routes, link-local ones, and what routing daemons and we have put there. */
  get routes(): readonly string[] {
    return this.#routes;
  }

  /** `routes` of this moment, for what a route that came or went just now decides. Where they cannot be read, the last ones. */
  routesNow(): readonly string[] {
    try {
      const routes = FAMILIES.flatMap((family) => this.#rtnetlink.routes({ family }));
      return routes.filter(isTheHosts).map(({ destination }) => destination);
    } catch (error) {
      if (error instanceof DriverError && error.code === "busy") return this.#routes;
      throw error;
    }
  }

  /** CIDRs of the networks that the host is connected to, its own addresses among them; not those of our veths. */
  get connected(): readonly string[] {
    return this.#connected;
  }

  /** The host's own interfaces: neither side of a container's veth pair. The same object while they stay as they are. */
  get interfaces(): readonly HostInterface[] {
    return this.#interfaces;
  }

  /** What routing needs to know besides our own routes. */
  get surroundings(): Surroundings {
    const { uplink } = this.#addresses;
    const ways = this.#ways;
    return {
      hostAddresses: this.#own,
      interfaceTo: (destination) => ways.to(destination),
      ...(uplink === undefined ? {} : { uplink }),
    };
  }

  /**
   * Reads everything again. Where the kernel is too restless to be read, all stays as it was until the next look.
   * @returns whether something changed that endpoints depend on
   */
  refresh(): boolean {
    try {
      return this.#read();
    } catch (error) {
      const isKnown = this.#interfaces.length > 0;
      if (isKnown && error instanceof DriverError && error.code === "busy") return false;
      throw error;
    }
  }

  #read(): boolean {
    const links = new Map(this.#rtnetlink.links().map((link) => [link.index, link]));
    const routes = FAMILIES.flatMap((family) => this.#rtnetlink.routes({ family }).map((route) => ({ family, route })));
    const addresses = this.#rtnetlink.addresses().flatMap(({ index, address, scope, deprecated }) => {
      const name = links.get(index)?.name;
      const bare = address.split("/")[0] ?? "";
      return name === undefined
        ? []
        : [
            {
              interface: name,
              address: bare,
              scope: scope === "universe" ? "global" : scope,
              cidr: address,
              deprecated,
            },
          ];
    });
    const defaults = routes.flatMap(({ family, route }) => {
      const name = links.get(route.index ?? route.nextHops?.[0]?.index ?? -1)?.name;
      return isDefault(route) && name !== undefined ? [{ family, interface: name, metric: route.metric }] : [];
    });
    const near = (name: string): string[] =>
      routes.flatMap(({ route }) =>
        isNear(route) && links.get(route.index ?? 0)?.name === name ? [route.destination] : [],
      );
    const own = [...links.values()].flatMap(({ name }) =>
      isContainers(name) ? [] : [interfaceOf(name, addresses, near(name))],
    );
    const moved = JSON.stringify(own) !== JSON.stringify(this.#interfaces);
    if (moved) this.#interfaces = own;
    const reach = routes.flatMap(({ family, route }) => {
      const name = links.get(route.index ?? route.nextHops?.[0]?.index ?? -1)?.name;
      const { destination, metric, source } = route;
      return name === undefined || route.type !== "unicast"
        ? []
        : [{ family, destination, interface: name, metric, ...(source === undefined ? {} : { source }) }];
    });
    this.#ways = new RouteInterfaces(reach);
    this.#own = [...new Set(addresses.map(({ address }) => address))];
    const found = nodeAddresses(addresses, defaults, { ...this.#methods, routes: reach });
    const uplink = [...links.values()].find(({ name }) => name === found.uplink);
    const mtu = Math.max(MIN_MTU, uplink?.mtu ?? DEFAULT_MTU);
    this.#routes = routes.flatMap(({ route }) => (isTheHosts(route) ? [route.destination] : []));
    const connected = addresses.flatMap(({ interface: name, scope, cidr }) =>
      scope === "global" && !name.startsWith("manx") ? [cidr] : [],
    );
    if (connected.join() !== this.#connected.join()) this.#connected = connected;
    const before = JSON.stringify([this.#addresses, this.#mtu]);
    const changed = JSON.stringify([found, mtu]) !== before;
    if (changed) {
      this.#addresses = found;
      this.#mtu = mtu;
      this.#node = nodeOf(this.#host, found, new Map(addresses.map(({ address, cidr }) => [address, cidr])));
    }
    return changed || moved;
  }
}

function isContainers(name: string): boolean {
  return name.startsWith("manx") || name.startsWith("mxp");
}

function interfaceOf(
  name: string,
  addresses: readonly { interface: string; address: string; deprecated: true | undefined }[],
  networks: readonly string[],
): HostInterface {
  const own = addresses.filter((one) => one.interface === name);
  const fading = networks.filter((text) => {
    const inside = own.filter(({ address }) => liesIn(address, text));
    return inside.length > 0 && inside.every(({ deprecated }) => deprecated === true);
  });
  return { name, addresses: own.map(({ address }) => address), networks, ...(fading.length > 0 && { fading }) };
}

function liesIn(text: string, network: string): boolean {
  const [a, around] = [parseAddress(text), parseCidr(network)];
  return a !== undefined && around !== undefined && contains(around, a);
}

/** To a network that the interface itself is on. */
function isNear(route: Route): boolean {
  return isTheHosts(route) && route.gateway === undefined && !/\/(32|128)$/.test(route.destination);
}

function isDefault({ destination, type }: Route): boolean {
  return type === "unicast" && destination.endsWith("/0");
}

function isTheHosts(route: Route): boolean {
  return (
    route.type === "unicast" &&
    !isDefault(route) &&
    !NOT_THE_HOSTS.has(route.protocol) &&
    !route.destination.startsWith("fe80:") &&
    !route.destination.startsWith("169.254.") &&
    !route.destination.startsWith("ff00:")
  );
}

function nodeOf(host: string, { ipv4, ipv6 }: NodeAddresses, cidrs: ReadonlyMap<string, string>): Node {
  const withLength = (address: string): string => cidrs.get(address) ?? address;
  const addresses = [ipv4, ipv6].flatMap((address) => (address === undefined ? [] : [{ address, type: "InternalIP" }]));
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "Node",
    metadata: { name: host },
    spec: {
      addresses,
      ...(addresses.length === 0
        ? {}
        : {
            bgp: {
              ...(ipv4 === undefined ? {} : { ipv4Address: withLength(ipv4) }),
              ...(ipv6 === undefined ? {} : { ipv6Address: withLength(ipv6) }),
            },
          }),
    },
  };
}
