/** What the local endpoints add to the host state, endpoint by endpoint. */
import type { Family } from "../net/address.ts";
import type { ElementData, NftSet, Verdict } from "../rules/ir.ts";
import type { HostPort } from "../rules/nat.ts";
import {
  INTERFACE_MAPS,
  INTERFACE_SETS,
  type InterfaceElements,
  type InterfaceSet,
  interfaceElements,
} from "../rules/table.ts";
import { Contributions } from "./contributions.ts";
import type { HostState, LinkState, RouteState } from "./host-state.ts";
import { type Lan, lanSysctls, proxiesOf, withoutLan } from "./lan.ts";
import {
  familyOf,
  gatewayAddress,
  hasFamily,
  hostPorts,
  type JoinedEndpoint,
  linkState,
  linkSysctls,
  NAMES_GATEWAY,
  neighbours,
  publishedElements,
  routes,
  sourceElements,
} from "./local.ts";
import { ExactSet, since } from "./peer-set.ts";
import { serviceSysctls } from "./services.ts";

export type Sources = Readonly<Partial<Record<Family, string>>>;
export type Verdicts = Readonly<Record<"ingress" | "egress", Verdict>>;
type LinkParts = Pick<HostState, "links" | "routes" | "neighbours" | "proxies" | "gatewayAddresses" | "sysctls">;

/** Lesser than every endpoint ID, so that an endpoint's route wins over a block of one address. */
const BLOCKS = "";
const NAMES = "";
/** No endpoint either. */
const LAN = "";
const SERVICES = "services";

export class LocalParts {
  readonly #links = new Contributions<LinkState>(isSame);
  readonly #routes = new Contributions<RouteState>(isSame);
  readonly #neighbours = new Contributions<{ readonly mac: string }>(isSame);
  readonly #proxies = new Contributions<null>();
  #lan: Lan = { pools: [], parts: [] };
  readonly #gateways = new Contributions<null>();
  readonly #sysctls = new Contributions<string>();
  readonly #hostPorts = new Contributions<HostPort>(isSame);
  readonly #sets = new Map<InterfaceSet, ExactSet>();
  readonly #maps = new Map<string, { contributions: Contributions<ElementData>; taken?: NftSet }>();
  #gatewayAddresses: ReadonlySet<string> = new Set();
  #seenGateways: unknown;
  #ports: readonly HostPort[] = [];
  #seenPorts: unknown;

  constructor() {
    for (const [name, key] of Object.entries(INTERFACE_SETS)) this.#sets.set(name as InterfaceSet, new ExactSet(key));
    for (const name of INTERFACE_MAPS) this.#maps.set(name, { contributions: new Contributions<ElementData>(isSame) });
  }

  /** What has been set is to be set again where this differs from before. */
  setLan(lan: Lan): void {
    this.#lan = lan;
    this.#sysctls.set(LAN, lanSysctls(lan));
  }

  setServices(routes: HostState["services"]): void {
    this.#sysctls.set(SERVICES, serviceSysctls(routes));
  }

  setBlocks(blocks: readonly string[]): void {
    this.#routes.set(
      BLOCKS,
      withoutLan(blocks, this.#lan).map((block) => [`${block.includes(":") ? 6 : 4} ${block}`, { kind: "blackhole" }]),
    );
  }

  /** The address where containers ask for names is there before the first of them. */
  setNames(on: boolean): void {
    this.#gateways.set(NAMES, on ? [[NAMES_GATEWAY, null]] : []);
  }

  /** `addresses`: of all interfaces of the container. */
  set(endpoint: JoinedEndpoint, addresses: readonly string[], verdicts: Verdicts, sources: Sources): void {
    const { id, local } = endpoint;
    this.#links.set(id, [[local.interface, linkState(endpoint)]]);
    this.#routes.set(id, routes(endpoint, sources));
    this.#neighbours.set(id, neighbours(endpoint));
    this.#proxies.set(
      id,
      proxiesOf(endpoint.addresses, this.#lan).map((key) => [key, null]),
    );
    this.#gateways.set(id, hasFamily(endpoint, 4) ? [[gatewayAddress(endpoint), null]] : []);
    this.#sysctls.set(id, [...forwarding(endpoint), ...linkSysctls(endpoint)]);
    this.#hostPorts.set(id, hostPorts(endpoint));
    const elements = interfaceElements(elementsOf(endpoint, addresses, verdicts));
    for (const [name, set] of this.#sets) set.set(id, elements[name]);
    this.#maps.get("from-endpoint")?.contributions.set(id, [[local.interface, verdicts.egress]]);
    this.#maps.get("to-endpoint")?.contributions.set(id, [[local.interface, verdicts.ingress]]);
  }

  delete(id: string): void {
    const all = [
      this.#links,
      this.#routes,
      this.#neighbours,
      this.#proxies,
      this.#gateways,
      this.#sysctls,
      this.#hostPorts,
    ];
    for (const one of [...all, ...this.#sets.values()]) one.delete(id);
    for (const { contributions } of this.#maps.values()) contributions.delete(id);
  }

  /** The same object as before where no host port changed. */
  hostPorts(): readonly HostPort[] {
    const ports = this.#hostPorts.take();
    if (ports !== this.#seenPorts) this.#ports = [...ports.values()];
    this.#seenPorts = ports;
    return this.#ports;
  }

  links(): LinkParts {
    const gateways = this.#gateways.take();
    if (gateways !== this.#seenGateways) this.#gatewayAddresses = new Set(gateways.keys());
    this.#seenGateways = gateways;
    return {
      links: this.#links.take(),
      routes: this.#routes.take(),
      neighbours: this.#neighbours.take(),
      proxies: this.#proxies.take(),
      gatewayAddresses: this.#gatewayAddresses,
      sysctls: this.#sysctls.take(),
    };
  }

  *sets(): Iterable<readonly [string, NftSet]> {
    for (const [name, set] of this.#sets) yield [name, set.take()];
    for (const [name, map] of this.#maps) {
      const elements = map.contributions.take();
      if (map.taken?.elements !== elements)
        map.taken = {
          key: ["ifname"],
          interval: false,
          data: "verdict",
          elements,
          ...since(map.contributions.delta),
        };
      yield [name, map.taken];
    }
  }
}

/** Forwarding is on while somebody needs it. */
export function forwarding(endpoint: JoinedEndpoint): [string, string][] {
  const out: [string, string][] = [];
  if (hasFamily(endpoint, 4)) out.push(["net/ipv4/ip_forward", "1"]);
  if (hasFamily(endpoint, 6)) out.push(["net/ipv6/conf/all/forwarding", "1"]);
  return out;
}

export function elementsOf(
  endpoint: JoinedEndpoint,
  addresses: readonly string[],
  { ingress, egress }: Verdicts,
): InterfaceElements {
  return {
    interface: endpoint.local.interface,
    mac: endpoint.local.mac,
    from: egress,
    to: ingress,
    sources4: sourceElements(endpoint, addresses, 4),
    sources6: sourceElements(endpoint, addresses, 6),
    endpoints4: endpoint.addresses.filter((text) => familyOf(text) === 4),
    endpoints6: endpoint.addresses.filter((text) => familyOf(text) === 6),
    published4: publishedElements(endpoint, 4),
    published6: publishedElements(endpoint, 6),
  };
}

/** Flat values: the same fields with the same values. */
function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
