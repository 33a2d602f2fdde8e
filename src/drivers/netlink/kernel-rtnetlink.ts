/** Rtnetlink as the kernel does it, through one socket for what is quick and one for what is slow. */

import { closeSync, openSync } from "node:fs";
import { DriverError } from "../error.ts";
import { errnoOf, SystemError } from "../syscall/errno.ts";
import { MessageWriter, type NetlinkMessage } from "../syscall/netlink-message.ts";
import { NETLINK_ROUTE, NetlinkSocket } from "../syscall/netlink-socket.ts";
import {
  parseAddressMessage,
  parseNeighbour,
  parseProxy,
  writeAddAddress,
  writeDeleteAddress,
  writeDeleteNeighbour,
  writeDeleteProxy,
  writeGetAddresses,
  writeGetNeighbours,
  writeGetProxies,
  writeSetNeighbour,
  writeSetProxy,
} from "./address-messages.ts";
import { Foreign, type Part } from "./foreign.ts";
import { type LinkCounters, parseCounters, writeGetCounters } from "./link-counters.ts";
import {
  parseLink,
  writeAddPair,
  writeDeleteGroup,
  writeDeleteLink,
  writeGetLink,
  writeGetLinks,
  writeMoveLink,
  writeSetLink,
} from "./link-messages.ts";
import {
  parseNexthop,
  writeDeleteNexthop,
  writeGetNexthops,
  writeSetGroup,
  writeSetNexthop,
} from "./nexthop-messages.ts";
import { parseRoute, writeDeleteRoute, writeGetRoutes, writeNewRoute } from "./route-messages.ts";
import type {
  Change,
  InterfaceAddress,
  Link,
  Neighbour,
  NewPair,
  Nexthop,
  ProxyEntry,
  Refusal,
  Route,
  RouteFilter,
  Rtnetlink,
} from "./rtnetlink.ts";
import { type WatchOptions, watchNetwork } from "./watch.ts";

const NAME_BYTES = 15;
const EINVAL = 22;

export class KernelRtnetlink implements Rtnetlink, Disposable {
  readonly #options: WatchOptions;
  readonly #socket: NetlinkSocket;
  readonly #slow: NetlinkSocket;
  readonly #writer = new MessageWriter(8192);
  /** Those who must know what we do ourselves. */
  readonly #judges = new Set<Foreign>();
  /** What the slow socket does now: one thing at a time. */
  #slowWork: Promise<unknown> = Promise.resolve();

  /** `netns`: path of the namespace; absent: that of this process. */
  constructor(netns?: string) {
    this.#options = netns === undefined ? {} : { netns };
    this.#socket = NetlinkSocket.open(NETLINK_ROUTE, this.#options);
    this.#slow = NetlinkSocket.open(NETLINK_ROUTE, this.#options);
  }

  /** Events that our own changes make carry one of these. */
  get portIds(): readonly number[] {
    return [this.#socket.portId, this.#slow.portId];
  }

  /**
   * The parts that somebody else has disturbed, each time it happens, until the signal aborts. Listens from the call on; what
   * others did before is for a resync to find.
   */
  foreignChanges(signal: AbortSignal): AsyncGenerator<ReadonlySet<Part>, void, undefined> {
    const judges = this.#judges;
    const events = watchNetwork(this.#options, signal);
    const foreign = new Foreign(this, this.portIds);
    judges.add(foreign);
    signal.addEventListener("abort", () => judges.delete(foreign), { once: true });
    return (async function* (): AsyncGenerator<ReadonlySet<Part>, void, undefined> {
      for await (const batch of events) {
        const parts = foreign.disturbed(batch);
        if (parts.size > 0) yield parts;
      }
    })();
  }

  links(kind?: string): Link[] {
    return this.#socket
      .dump(writeGetLinks(this.#writer.reset(), kind).finish(), "list the links")
      .map(({ body }) => parseLink(body))
      .filter((link) => kind === undefined || link.kind === kind);
  }

  /** `kind`: of links of this kind alone. */
  linkCounters(kind: string): LinkCounters[] {
    return this.#socket
      .dump(writeGetCounters(this.#writer.reset(), kind).finish(), "read the counters of links")
      .flatMap(({ body }) => parseCounters(body) ?? []);
  }

  link(name: string): Link | undefined {
    if (!isLinkName(name)) return undefined;
    const message = writeGetLink(this.#writer.reset(), name).finish();
    try {
      const [reply] = this.#socket.request(message, `look up the link "${name}"`);
      return reply === undefined ? undefined : parseLink(reply.body);
    } catch (error) {
      if (errnoOf(error) === "ENODEV") return undefined;
      throw error;
    }
  }

  addPair(pair: NewPair): void {
    for (const name of [pair.name, pair.peer]) {
      if (!isLinkName(name))
        throw new DriverError(
          "invalid",
          `Cannot make the link "${name}": a name has 1 to ${NAME_BYTES} bytes, no "/", ":" or space`,
        );
    }
    const netns = pair.peerNetns === undefined ? undefined : openNamespace(pair.peerNetns);
    try {
      const message = writeAddPair(this.#writer.reset(), pair, netns).finish();
      this.#socket.request(message, `make the veth pair "${pair.name}" and "${pair.peer}"`);
    } finally {
      if (netns !== undefined) closeSync(netns);
    }
    for (const judge of this.#judges) judge.made(pair.name);
  }

  /** Puts the link (down) into the namespace at the path, under another name there. */
  moveLink(index: number, path: string, name: string): void {
    const netns = openNamespace(path);
    try {
      const message = writeMoveLink(this.#writer.reset(), index, netns, name).finish();
      this.#socket.request(message, `move a link to "${name}" in "${path}"`);
    } finally {
      closeSync(netns);
    }
  }

  deleteLink(name: string): void {
    const what = `delete the link "${name}"`;
    if (!isLinkName(name)) throw new DriverError("not-found", `Cannot ${what}: no link has such a name`);
    for (const judge of this.#judges) judge.deletes(name);
    this.#socket.request(writeDeleteLink(this.#writer.reset(), name).finish(), what);
  }

  async deleteGroup(group: number): Promise<void> {
    const before = this.#slowWork;
    const work = (async (): Promise<void> => {
      await before.catch(() => undefined);
      const message = writeDeleteGroup(new MessageWriter(64), group).finish();
      await this.#slow.requestAsync(message, `delete the links of group ${group}`);
    })();
    this.#slowWork = work;
    try {
      await work;
    } catch (error) {
      if (errnoOf(error) !== "ENODEV") throw error;
    }
  }

  addresses(index = 0): InterfaceAddress[] {
    const message = writeGetAddresses(this.#writer.reset(), index).finish();
    return parsed(this.#socket.dump(message, "list the addresses"), parseAddressMessage);
  }

  routes(filter: RouteFilter): Route[] {
    const message = writeGetRoutes(this.#writer.reset(), filter).finish();
    try {
      return parsed(this.#socket.dump(message, `list the IPv${filter.family} routes`), parseRoute);
    } catch (error) {
      // A namespace in which no link was ever up has no main table yet.
      if (errnoOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  neighbours(): Neighbour[] {
    const message = writeGetNeighbours(this.#writer.reset()).finish();
    return parsed(this.#socket.dump(message, "list the neighbours"), parseNeighbour);
  }

  proxies(): ProxyEntry[] {
    const message = writeGetProxies(this.#writer.reset()).finish();
    return parsed(this.#socket.dump(message, "list the proxied addresses"), parseProxy);
  }

  nexthops(): Nexthop[] {
    const message = writeGetNexthops(this.#writer.reset()).finish();
    try {
      return parsed(this.#socket.dump(message, "list the next hops"), parseNexthop);
    } catch (error) {
      if (errnoOf(error) === "EOPNOTSUPP") return [];
      throw error;
    }
  }

  apply(changes: readonly Change[]): readonly Refusal[] {
    const writer = this.#writer.reset();
    const refusals: Refusal[] = [];
    const sent: number[] = [];
    for (const [index, change] of changes.entries()) {
      try {
        writeChange(writer, change);
        sent.push(index);
      } catch (error) {
        writer.cancel();
        refusals.push({
          index,
          error: new SystemError(EINVAL, error instanceof Error ? error.message : String(error)),
        });
      }
    }
    if (sent.length === 0) return refusals;
    const { failures } = this.#socket.batch(writer.finish(), "change the network");
    for (const judge of this.#judges) judge.changed(changes);
    for (const { index, error } of failures) refusals.push({ index: sent[index] ?? index, error });
    return refusals.sort((a, b) => a.index - b.index);
  }

  /** May be repeated. Not while links are being deleted. */
  close(): void {
    this.#socket.close();
    this.#slow.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function writeChange(w: MessageWriter, change: Change): MessageWriter {
  switch (change.kind) {
    case "set-link":
      return writeSetLink(w, change);
    case "add-address":
      return writeAddAddress(w, change);
    case "delete-address":
      return writeDeleteAddress(w, change.index, change.address);
    case "add-route":
      return writeNewRoute(w, change.route, "add");
    case "replace-route":
      return writeNewRoute(w, change.route, "replace");
    case "delete-route":
      return writeDeleteRoute(w, change);
    case "set-neighbour":
      return writeSetNeighbour(w, change.index, change.address, change.mac);
    case "delete-neighbour":
      return writeDeleteNeighbour(w, change.index, change.address);
    case "set-proxy":
      return writeSetProxy(w, change.index, change.address, change.protocol);
    case "delete-proxy":
      return writeDeleteProxy(w, change.index, change.address);
    case "set-nexthop":
      return writeSetNexthop(w, change);
    case "set-group":
      return writeSetGroup(w, change);
    case "delete-nexthop":
      return writeDeleteNexthop(w, change.id);
  }
}

function parsed<T>(messages: readonly NetlinkMessage[], parse: (body: Uint8Array) => T | undefined): T[] {
  const out: T[] = [];
  for (const { body } of messages) {
    const item = parse(body);
    if (item !== undefined) out.push(item);
  }
  return out;
}

/** What dev_valid_name() of the kernel takes. */
function isLinkName(name: string): boolean {
  return name !== "." && name !== ".." && Buffer.byteLength(name) <= NAME_BYTES && /^[^/:\s\0]+$/.test(name);
}

function openNamespace(path: string): number {
  try {
    return openSync(path, "r");
  } catch (error) {
    throw new DriverError("not-found", `Cannot open the network namespace "${path}": ${String(error)}`, error);
  }
}
