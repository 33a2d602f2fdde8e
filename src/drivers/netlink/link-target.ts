/**
 * Host sides of the veth pairs, `manx*`. A pair is made with both ends right and given away: once the engine has moved the
 * peer into a container, only the host's side is still ours to keep right. Deleting a link holds the kernel for 16-30 ms, so
 * doomed links are put into a group, which is soon after deleted as a whole on another thread.
 */
import type { LinkState } from "../../core/calc/host-state.ts";
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { DOOMED_GROUP, Failures, HOST_MAC, isOurs, LINK_GROUP, pause } from "./ownership.ts";
import type { Change, InterfaceAddress, Link, Rtnetlink } from "./rtnetlink.ts";

/** A link as it was found. */
export type SeenLink = LinkState & {
  /** The peer is in another namespace, where it cannot be seen. */
  readonly peerAway?: boolean;
  /** Something else about the host's side is not as we make it. */
  readonly unsound?: boolean;
};

/** Long enough for the links of a whole `docker compose down` to go together. */
const REAP_DELAY_MS = 100;
/** The least MTU of IPv6 (RFC 8200 section 5). */
const IPV6_MTU = 1280;

export interface LinkTargetOptions {
  readonly reapDelayMs?: number;
  /** Links that nobody wants are left where they are, until `deleteUnknown`: it is not known yet whose they are. */
  readonly spareUnknown?: boolean;
}

export class LinkTarget implements Target<string, SeenLink>, AsyncDisposable {
  readonly #rtnetlink: Rtnetlink;
  readonly #reapDelay: number;
  #reaping: Promise<void> = Promise.resolve();
  #reaps = 0;
  #timer: NodeJS.Timeout | undefined;
  #sparing: boolean;
  #reapError: unknown;

  constructor(rtnetlink: Rtnetlink, options: LinkTargetOptions = {}) {
    this.#rtnetlink = rtnetlink;
    this.#reapDelay = options.reapDelayMs ?? REAP_DELAY_MS;
    this.#sparing = options.spareUnknown ?? false;
  }

  /** From the next `list` on. */
  deleteUnknown(): void {
    this.#sparing = false;
  }

  /** `b`: as seen. */
  readonly equal = (a: LinkState, b: SeenLink): boolean =>
    a.mtu === b.mtu &&
    a.gateway6 === b.gateway6 &&
    b.unsound !== true &&
    (b.peerAway === true || (a.peer === b.peer && a.peerMac.toLowerCase() === b.peerMac.toLowerCase()));

  /** Links that wait for their end are gone already. */
  async list(
    _signal?: AbortSignal,
    desired: ReadonlyMap<string, LinkState> = new Map(),
  ): Promise<ReadonlyMap<string, SeenLink>> {
    const all = this.#rtnetlink.links("veth");
    const byIndex = new Map(all.map((link) => [link.index, link]));
    const gateways = linkLocals(this.#rtnetlink.addresses());
    const out = new Map<string, SeenLink>();
    for (const link of all.filter(isOurs)) {
      if (link.group === DOOMED_GROUP && this.#isReaping()) continue;
      if (this.#sparing && !desired.has(link.name) && link.group !== DOOMED_GROUP) continue;
      out.set(link.name, seen(link, byIndex.get(link.peerIndex ?? 0), gateways.get(link.index) ?? []));
    }
    return out;
  }

  async apply(delta: Delta<string, SeenLink>, signal: AbortSignal): Promise<void> {
    const failures = new Failures();
    let first = true;
    for (const [name, state] of delta.upserts) {
      if (!first) await pause(signal);
      first = false;
      try {
        await this.#upsert(name, state);
      } catch (error) {
        failures.add(`set up the link "${name}"`, error);
      }
    }
    if (delta.deletes.size > 0) failures.try("delete links", () => this.#doom(delta.deletes, failures));
    if (this.#reapError !== undefined) failures.add("delete links", this.#reapError);
    this.#reapError = undefined;
    failures.throwAny();
  }

  /** Resolves when no doomed link is left, or its deletion has failed (the next apply tells). */
  async settled(): Promise<void> {
    if (this.#timer !== undefined) this.#reap();
    await this.#reaping;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.settled();
  }

  async #upsert(name: string, state: LinkState): Promise<void> {
    let link = await this.#present(name, state);
    if (link.mtu < IPV6_MTU && state.mtu >= IPV6_MTU) link = this.#backToIpv6(link, state.mtu);
    const gateways = linkLocals(this.#rtnetlink.addresses(link.index)).get(link.index) ?? [];
    const changes = hostSideChanges(link, state, gateways);
    for (const { index, error } of this.#rtnetlink.apply(changes)) {
      const { kind } = changes[index] ?? {};
      if (kind === "add-address" && error.errno === "EEXIST") continue;
      if (kind === "delete-address" && error.errno === "EADDRNOTAVAIL") continue;
      throw error;
    }
  }

  /** Below 1280 the kernel takes IPv6 off a link, and gives it back with the settings of a new one. */
  #backToIpv6(link: Link, mtu: number): Link {
    const [refusal] = this.#rtnetlink.apply([{ kind: "set-link", index: link.index, mtu }]);
    if (refusal !== undefined) throw refusal.error;
    return this.#rtnetlink.link(link.name) ?? link;
  }

  /** The link as it is, made (again) where it is missing or a pair of other ends. */
  async #present(name: string, state: LinkState): Promise<Link> {
    const { peer, peerMac, mtu } = state;
    const pair = { name, mac: HOST_MAC, mtu, group: LINK_GROUP, peer, peerMac };
    const found = await this.#survivor(name);
    if (found !== undefined && !isOurs(found))
      throw new DriverError("exists", `Cannot make the link "${name}": another one, not made by Manx, has this name`);
    if (found !== undefined && !this.#hasPeer(found, state)) this.#rtnetlink.deleteLink(name);
    else if (found !== undefined) return found;
    this.#rtnetlink.addPair(pair);
    const made = this.#rtnetlink.link(name);
    if (made === undefined)
      throw new DriverError("not-found", `Cannot set up the link "${name}": it went away at once`);
    return made;
  }

  /** The link of this name that will not be deleted in a moment. */
  async #survivor(name: string): Promise<Link | undefined> {
    const found = this.#rtnetlink.link(name);
    if (found?.group !== DOOMED_GROUP || !isOurs(found)) return found;
    this.#reap();
    await this.#reaping;
    return this.#rtnetlink.link(name);
  }

  /** True also where the peer is out of sight: somebody uses it. */
  #hasPeer(link: Link, { peer, peerMac, mtu }: LinkState): boolean {
    if (link.peerAway) return true;
    const found = this.#rtnetlink.link(peer);
    return found?.index === link.peerIndex && found?.mac === peerMac.toLowerCase() && found.mtu === mtu;
  }

  #doom(names: ReadonlySet<string>, failures: Failures): void {
    const all = names.size > 8 ? new Map(this.#rtnetlink.links("veth").map((link) => [link.name, link])) : undefined;
    const doomed = [...names].flatMap((name) => {
      const link = all === undefined ? this.#rtnetlink.link(name) : all.get(name);
      return link !== undefined && isOurs(link) ? [link] : [];
    });
    if (doomed.length === 0) return;
    const refusals = this.#rtnetlink.apply(
      doomed.map(({ index }): Change => ({ kind: "set-link", index, group: DOOMED_GROUP })),
    );
    for (const { index, error } of refusals)
      if (error.errno !== "ENODEV") failures.add(`delete the link "${doomed[index]?.name}"`, error);
    this.#timer ??= setTimeout(() => this.#reap(), this.#reapDelay).unref();
  }

  #isReaping(): boolean {
    return this.#timer !== undefined || this.#reaps > 0;
  }

  /** Starts what the timer would start; whoever waits for `#reaping` waits for all that is doomed by now. */
  #reap(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#reaps++;
    const after = this.#reaping;
    this.#reaping = (async (): Promise<void> => {
      await after;
      try {
        await this.#rtnetlink.deleteGroup(DOOMED_GROUP);
      } catch (error) {
        this.#reapError = error;
      } finally {
        this.#reaps--;
      }
    })();
  }
}

/** IPv6 link-local addresses with their prefix length, by link. */
function linkLocals(addresses: readonly InterfaceAddress[]): Map<number, string[]> {
  const out = new Map<number, string[]>();
  for (const { index, address } of addresses)
    if (address.startsWith("fe80:")) out.set(index, [...(out.get(index) ?? []), address]);
  return out;
}

function seen(link: Link, peer: Link | undefined, gateways: readonly string[]): SeenLink {
  const [gateway] = gateways;
  const sound =
    link.up &&
    link.mac === HOST_MAC &&
    link.group === LINK_GROUP &&
    !link.generatesAddress &&
    gateways.length <= 1 &&
    (gateway === undefined || gateway.endsWith("/64")) &&
    (link.peerAway || peer?.mtu === link.mtu);
  return {
    peer: link.peerAway ? "" : (peer?.name ?? ""),
    peerMac: link.peerAway ? "" : (peer?.mac ?? ""),
    mtu: link.mtu,
    ...(gateway === undefined ? {} : { gateway6: gateway.slice(0, gateway.indexOf("/")) }),
    ...(link.peerAway ? { peerAway: true } : {}),
    ...(sound ? {} : { unsound: true }),
  };
}

/** In this order: no address of the kernel's own making may appear when the link comes up. */
function hostSideChanges(link: Link, { mtu, gateway6 }: LinkState, gateways: readonly string[]): Change[] {
  const { index } = link;
  const wanted = gateway6 === undefined ? undefined : `${gateway6}/64`;
  const changes: Change[] = [];
  if (link.generatesAddress) changes.push({ kind: "set-link", index, generatesAddress: false });
  if (link.mac !== HOST_MAC) changes.push({ kind: "set-link", index, mac: HOST_MAC });
  if (link.mtu !== mtu) changes.push({ kind: "set-link", index, mtu });
  if (link.group !== LINK_GROUP) changes.push({ kind: "set-link", index, group: LINK_GROUP });
  if (wanted !== undefined && !gateways.includes(wanted))
    changes.push({ kind: "add-address", index, address: wanted, scope: "link" });
  for (const address of gateways) if (address !== wanted) changes.push({ kind: "delete-address", index, address });
  if (!link.up) changes.push({ kind: "set-link", index, up: true });
  return changes;
}
