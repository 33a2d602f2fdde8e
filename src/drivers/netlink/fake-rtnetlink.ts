/**
 * A network namespace in memory, that refuses what the kernel refuses, with the kernel's error numbers. The contract in
 * tests/netlink judges it beside the kernel. It forwards nothing and knows nothing of what Manx does not use.
 */
import { type Family, formatAddress, parseAddress, width } from "../../core/net/address.ts";
import { formatCidr, parseCidr } from "../../core/net/cidr.ts";
import { SystemError, systemError } from "../syscall/errno.ts";
import { splitPrefix } from "./address-bytes.ts";
import { macBytes } from "./link-messages.ts";
import type {
  Change,
  InterfaceAddress,
  Link,
  Neighbour,
  NewPair,
  NewRoute,
  Nexthop,
  ProxyEntry,
  Refusal,
  Route,
  RouteFilter,
  Rtnetlink,
} from "./rtnetlink.ts";

const ERRNO = {
  ENOENT: 2,
  ESRCH: 3,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ERANGE: 34,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
} as const;

/** The least MTU of IPv6 (RFC 8200 section 5): below it a link has none. */
const IPV6_MTU = 1280;

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type FakeLink = Writable<Link>;

function refuse(errno: keyof typeof ERRNO, detail?: string): never {
  throw new SystemError(ERRNO[errno], detail);
}

export class FakeRtnetlink implements Rtnetlink {
  #nextIndex = 2;
  readonly #links = new Map<number, FakeLink>();
  readonly #addresses: InterfaceAddress[] = [];
  #routes: Route[] = [];
  #neighbours: Neighbour[] = [];
  #proxies: ProxyEntry[] = [];
  readonly #nexthops = new Map<number, Nexthop>();
  /** Changes that were tried so far, for tests that nothing was written. */
  writes = 0;

  constructor() {
    this.#links.set(1, { ...newLink("lo", 1, 65_536, ""), up: true });
  }

  links(kind?: string): readonly Link[] {
    return [...this.#links.values()]
      .filter((link) => kind === undefined || link.kind === kind)
      .map((link) => ({ ...link }));
  }

  link(name: string): Link | undefined {
    const found = this.#byName(name);
    return found === undefined ? undefined : { ...found };
  }

  addPair(pair: NewPair): void {
    this.writes++;
    const what = `make the veth pair "${pair.name}" and "${pair.peer}"`;
    try {
      this.#addPair(pair);
    } catch (error) {
      if (error instanceof SystemError) throw systemError(what, error);
      throw error;
    }
  }

  deleteLink(name: string): void {
    this.writes++;
    const link = this.#byName(name);
    if (link === undefined) throw systemError(`delete the link "${name}"`, new SystemError(ERRNO.ENODEV));
    this.#remove(link);
  }

  async deleteGroup(group: number): Promise<void> {
    this.writes++;
    for (const link of this.#links.values()) if (link.group === group) this.#remove(link);
  }

  addresses(index = 0): readonly InterfaceAddress[] {
    return this.#addresses.filter((address) => index === 0 || address.index === index);
  }

  routes({ family, protocol, index }: RouteFilter): readonly Route[] {
    return this.#routes.filter(
      (route) =>
        familyOf(route.destination) === family &&
        (protocol === undefined || route.protocol === protocol) &&
        (index === undefined || route.index === index),
    );
  }

  neighbours(): readonly Neighbour[] {
    return [...this.#neighbours];
  }

  proxies(): readonly ProxyEntry[] {
    return [...this.#proxies];
  }

  nexthops(): readonly Nexthop[] {
    return [...this.#nexthops.values()];
  }

  apply(changes: readonly Change[]): readonly Refusal[] {
    const refusals: Refusal[] = [];
    for (const [index, change] of changes.entries()) {
      this.writes++;
      try {
        this.#change(change);
      } catch (error) {
        if (error instanceof RangeError) refusals.push({ index, error: new SystemError(ERRNO.EINVAL, error.message) });
        else if (error instanceof SystemError) refusals.push({ index, error });
        else throw error;
      }
    }
    return refusals;
  }

  /** What the engine does after Join: the link goes into another namespace, with all its settings lost to us. */
  moveAway(name: string): void {
    const link = this.#byName(name) ?? refuse("ENODEV");
    const peer = this.#links.get(link.peerIndex ?? 0);
    if (peer !== undefined) peer.peerAway = true;
    this.#forget(link);
    this.#links.delete(link.index);
  }

  /** A link of another kind, as an administrator makes it. */
  addBridge(name: string): void {
    if (this.#byName(name) !== undefined) refuse("EEXIST");
    const index = this.#nextIndex++;
    this.#links.set(index, { ...newLink(name, index, 1500, "02:00:00:00:00:99"), kind: "bridge" });
  }

  #addPair({ name, peer, mac, peerMac, mtu, group, peerNetns }: NewPair): void {
    for (const text of [name, peer]) {
      if (!/^[^/:\s\0]{1,15}$/.test(text) || text === "." || text === "..") refuse("EINVAL", `"${text}" is no name`);
      if (this.#byName(text) !== undefined) refuse("EEXIST");
    }
    if (name === peer) refuse("EEXIST");
    checkMtu(mtu);
    for (const text of [mac, peerMac]) if (((macBytes(text)[0] ?? 0) & 1) === 1) refuse("EADDRNOTAVAIL");
    const peerIndex = this.#nextIndex++;
    const index = this.#nextIndex++;
    const away = peerNetns !== undefined;
    this.#links.set(index, { ...newLink(name, index, mtu, mac), kind: "veth", group, peerIndex, peerAway: away });
    if (!away)
      this.#links.set(peerIndex, { ...newLink(peer, peerIndex, mtu, peerMac), kind: "veth", peerIndex: index });
  }

  #byName(name: string): FakeLink | undefined {
    return [...this.#links.values()].find((link) => link.name === name);
  }

  #byIndex(index: number): FakeLink {
    return this.#links.get(index) ?? refuse("ENODEV");
  }

  /** A veth goes with its peer, and with both goes all that stood on them. */
  #remove(link: FakeLink): void {
    const peer = this.#links.get(link.peerIndex ?? 0);
    for (const gone of peer === undefined ? [link] : [link, peer]) {
      this.#forget(gone);
      this.#links.delete(gone.index);
    }
  }

  #forget({ index }: Link): void {
    this.#takeDown(index);
    for (let i = this.#addresses.length - 1; i >= 0; i--)
      if (this.#addresses[i]?.index === index) this.#addresses.splice(i, 1);
  }

  /** Routes and neighbours do not outlive the link being up; IPv6 addresses neither. */
  #takeDown(index: number): void {
    this.#routes = this.#routes.filter((route) => route.index !== index);
    this.#neighbours = this.#neighbours.filter((neighbour) => neighbour.index !== index);
    this.#proxies = this.#proxies.filter((proxy) => proxy.index !== index);
    const hops = [...this.#nexthops.values()].filter((hop) => hop.index === index).map(({ id }) => id);
    if (hops.length > 0) this.#dropNexthops(hops);
    this.#takeDown6(index);
  }

  #takeDown6(index: number): void {
    const gone = (index_: number, text: string): boolean => index_ === index && familyOf(text) === 6;
    this.#routes = this.#routes.filter((route) => !gone(route.index ?? 0, route.destination));
    this.#neighbours = this.#neighbours.filter((neighbour) => !gone(neighbour.index, neighbour.address));
    for (let i = this.#addresses.length - 1; i >= 0; i--) {
      const entry = this.#addresses[i];
      if (entry?.index === index && familyOf(entry.address) === 6) this.#addresses.splice(i, 1);
    }
  }

  #change(change: Change): void {
    switch (change.kind) {
      case "set-link":
        return this.#setLink(change);
      case "add-address":
        return this.#addAddress(change.index, change.address, change.scope);
      case "delete-address":
        return this.#deleteAddress(change.index, change.address);
      case "add-route":
        return this.#addRoute(change.route, false);
      case "replace-route":
        return this.#addRoute(change.route, true);
      case "delete-route":
        return this.#deleteRoute(change);
      case "set-neighbour":
        return this.#setNeighbour(change.index, change.address, change.mac);
      case "delete-neighbour":
        return this.#deleteNeighbour(change.index, change.address);
      case "set-proxy":
        return this.#setProxy(change);
      case "delete-proxy":
        return this.#deleteProxy(change);
      case "set-nexthop":
        return this.#setNexthop(change);
      case "set-group":
        return this.#setGroup(change);
      case "delete-nexthop":
        if (!this.#nexthops.has(change.id)) refuse("ENOENT");
        return this.#dropNexthops([change.id]);
    }
  }

  #setNexthop({ id, index, family, protocol }: Change & { readonly kind: "set-nexthop" }): void {
    if (!this.#byIndex(index).up) refuse("ENETDOWN");
    if (this.#nexthops.get(id)?.members !== undefined) refuse("EINVAL");
    this.#nexthops.set(id, { id, protocol, family, index });
  }

  #setGroup({ id, protocol, members }: Change & { readonly kind: "set-group" }): void {
    if (members.length === 0) refuse("EINVAL", "Invalid length for nexthop group attribute");
    if (
      members.some((member) => this.#nexthops.get(member.id)?.members !== undefined || !this.#nexthops.has(member.id))
    )
      refuse("EINVAL", "Invalid nexthop id");
    const before = this.#nexthops.get(id);
    if (before !== undefined && before.members === undefined) refuse("EINVAL");
    // The protocol of a group that is there does not change (replace_nexthop).
    this.#nexthops.set(id, { id, protocol: before?.protocol ?? protocol, resilient: true, members });
  }

  /** Groups lose them; one that has none left goes too, and so do the routes on it. */
  #dropNexthops(ids: readonly number[]): void {
    for (const id of ids) {
      this.#nexthops.delete(id);
      this.#routes = this.#routes.filter((route) => route.nexthop !== id);
    }
    for (const group of this.#nexthops.values()) {
      if (group.members === undefined) continue;
      const members = group.members.filter((member) => !ids.includes(member.id));
      if (members.length === 0) this.#dropNexthops([group.id]);
      else if (members.length < group.members.length) this.#nexthops.set(group.id, { ...group, members });
    }
  }

  #setProxy({ index, address, protocol }: Change & { readonly kind: "set-proxy" }): void {
    if (parseAddress(address) === undefined) refuse("EINVAL", `"${address}" is no address`);
    this.#byIndex(index);
    this.#proxies = this.#proxies.filter((proxy) => proxy.index !== index || proxy.address !== address);
    this.#proxies.push({ index, address, protocol });
  }

  #deleteProxy({ index, address }: Change & { readonly kind: "delete-proxy" }): void {
    this.#byIndex(index);
    const at = this.#proxies.findIndex((proxy) => proxy.index === index && proxy.address === address);
    if (at < 0) refuse("ENOENT");
    this.#proxies.splice(at, 1);
  }

  #setLink({ index, name, up, mtu, mac, group, generatesAddress }: Change & { readonly kind: "set-link" }): void {
    const link = this.#byIndex(index);
    if (name !== undefined && name !== link.name && this.#byName(name) !== undefined) refuse("EEXIST");
    if (mtu !== undefined) checkMtu(mtu);
    if (mac !== undefined && ((macBytes(mac)[0] ?? 0) & 1) === 1) refuse("EADDRNOTAVAIL");
    const had6 = link.mtu >= IPV6_MTU;
    link.name = name ?? link.name;
    link.mtu = mtu ?? link.mtu;
    link.mac = mac?.toLowerCase() ?? link.mac;
    // neigh_changeaddr: a new MAC, even the same, throws the neighbours of the link away.
    if (mac !== undefined) this.#neighbours = this.#neighbours.filter((neighbour) => neighbour.index !== index);
    link.group = group ?? link.group;
    link.generatesAddress = generatesAddress ?? link.generatesAddress;
    if ((up === false && link.up) || (link.mtu < IPV6_MTU && had6)) this.#takeDown6(index);
    if (link.mtu >= IPV6_MTU && !had6) link.generatesAddress = true;
    else if (link.mtu < IPV6_MTU) link.generatesAddress = false;
    if (up === false && link.up) this.#takeDown(index);
    link.up = up ?? link.up;
  }

  #addAddress(index: number, address: string, scope: "universe" | "link"): void {
    splitPrefix(address);
    const { mtu } = this.#byIndex(index);
    if (familyOf(address) === 6 && mtu < IPV6_MTU) refuse("EINVAL");
    if (this.#addresses.some((entry) => entry.index === index && entry.address === address)) refuse("EEXIST");
    // The kernel knows the scope of an IPv6 address by itself.
    const own = familyOf(address) === 4 ? scope : address.startsWith("fe80:") ? "link" : "universe";
    this.#addresses.push({ index, address, scope: own });
  }

  #deleteAddress(index: number, address: string): void {
    splitPrefix(address);
    this.#byIndex(index);
    const at = this.#addresses.findIndex((entry) => entry.index === index && entry.address === address);
    if (at < 0) refuse("EADDRNOTAVAIL");
    this.#addresses.splice(at, 1);
    const isLast = !this.#addresses.some((entry) => entry.index === index && familyOf(entry.address) === 4);
    if (familyOf(address) === 4 && isLast) this.#disable4(index);
  }

  /** Without an address, IPv4 is over on a link (fib_disable_ip). */
  #disable4(index: number): void {
    const gone = (of: number | undefined, text: string): boolean => of === index && familyOf(text) === 4;
    this.#routes = this.#routes.filter((route) => !gone(route.index, route.destination));
    this.#neighbours = this.#neighbours.filter((neighbour) => !gone(neighbour.index, neighbour.address));
  }

  #addRoute(route: NewRoute, replace: boolean): void {
    const { destination, type, protocol, index, gateway, source } = route;
    splitPrefix(destination);
    const family = familyOf(destination);
    if (canonical(destination) !== destination) refuse("EINVAL", "Invalid prefix for given prefix length");
    this.#checkNextHop(route);
    if (source !== undefined && !this.#isSource(source, index)) refuse("EINVAL", "Invalid prefsrc address");
    const metric = route.metric ?? (family === 4 ? 0 : 1024);
    const same = this.#routes.findIndex((other) => other.destination === destination && other.metric === metric);
    if (same >= 0 && !replace) refuse("EEXIST", "File exists");
    // An IPv6 blackhole stands on lo.
    const own = type === "blackhole" ? (family === 6 ? 1 : undefined) : index;
    const made: Route = {
      destination,
      type,
      protocol,
      metric,
      ...(own === undefined ? {} : { index: own }),
      ...(gateway === undefined ? {} : { gateway }),
      ...(source === undefined ? {} : { source }),
      ...(route.nexthop === undefined ? {} : { nexthop: route.nexthop }),
    };
    if (same >= 0) this.#routes[same] = made;
    else this.#routes.push(made);
  }

  #checkNextHop({ type, index, gateway, nexthop }: NewRoute): void {
    if (type === "blackhole") return;
    if (nexthop !== undefined) {
      if (!this.#nexthops.has(nexthop)) refuse("EINVAL", "Nexthop id does not exist");
      return;
    }
    if (index === undefined && gateway === undefined) refuse("ENODEV");
    if (index !== undefined && !this.#byIndex(index).up) refuse("ENETDOWN");
  }

  /** A link-local address of IPv6 is one on its own interface only (ipv6_chk_addr). */
  #isSource(address: string, index: number | undefined): boolean {
    if (!address.startsWith("fe80:")) return this.#isLocal(address);
    return this.#addresses.some((entry) => entry.index === (index ?? 1) && entry.address.startsWith(`${address}/`));
  }

  #isLocal(address: string): boolean {
    return address.startsWith("127.") || this.#addresses.some((entry) => entry.address.split("/")[0] === address);
  }

  #deleteRoute({ destination, protocol, metric }: Change & { readonly kind: "delete-route" }): void {
    splitPrefix(destination);
    if (canonical(destination) !== destination) refuse("EINVAL", "Invalid prefix for given prefix length");
    const named = this.#routes.filter((route) => route.destination === destination && route.protocol === protocol);
    // Without a metric it is the first in the kernel's order, which is that of metrics.
    const gone =
      metric === undefined || metric === 0
        ? named.toSorted((a, b) => (a.metric ?? 0) - (b.metric ?? 0))[0]
        : named.find((route) => route.metric === metric);
    if (gone === undefined) refuse("ESRCH");
    this.#routes.splice(this.#routes.indexOf(gone), 1);
  }

  #setNeighbour(index: number, text: string, mac: string): void {
    this.#byIndex(index);
    const address = ipAddress(text);
    this.#neighbours = this.#neighbours.filter((other) => other.index !== index || other.address !== address);
    macBytes(mac);
    this.#neighbours.push({ index, address, mac: mac.toLowerCase(), permanent: true });
  }

  #deleteNeighbour(index: number, text: string): void {
    this.#byIndex(index);
    const address = ipAddress(text);
    const at = this.#neighbours.findIndex((other) => other.index === index && other.address === address);
    if (at < 0) refuse("ENOENT");
    this.#neighbours.splice(at, 1);
  }
}

function newLink(name: string, index: number, mtu: number, mac: string): FakeLink {
  const carrier = true;
  return {
    name,
    index,
    mtu,
    mac: mac.toLowerCase(),
    group: 0,
    up: false,
    carrier,
    peerAway: false,
    generatesAddress: true,
  };
}

function checkMtu(mtu: number): void {
  if (mtu < 68 || mtu > 65_535)
    refuse("EINVAL", mtu < 68 ? "mtu less than device minimum" : "mtu greater than device maximum");
}

function familyOf(text: string): Family {
  return text.includes(":") ? 6 : 4;
}

function canonical(destination: string): string {
  const parsed = parseCidr(destination);
  return parsed === undefined || parsed.length > width(parsed.family) ? "" : formatCidr(parsed);
}

function ipAddress(text: string): string {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new RangeError(`"${text}" is not an IP address`);
  return formatAddress(parsed);
}
