/** LAN pools on this host, all parts connected: what is said and heard on the LAN, looking ahead, following the prefix. */
import { type Lan, lanOf } from "../../core/calc/lan.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import { DriverError } from "../../drivers/error.ts";
import type { Rtnetlink } from "../../drivers/netlink/rtnetlink.ts";
import { LanPort } from "../../drivers/packet/lan-port.ts";
import { AddressError } from "../addresses.ts";
import type { Health } from "../health.ts";
import type { HostNetwork } from "../host-network.ts";
import type { LocalAddresses } from "../ipam/local-addresses.ts";
import type { Logger } from "../log.ts";
import { AHEAD, fewAddresses, LanWatch, type Port } from "./lan-watch.ts";
import { leftBehind, successions } from "./prefix-follower.ts";

export interface LanSources {
  readonly rtnetlink: Rtnetlink;
  readonly hostNetwork: HostNetwork;
  readonly pools: () => readonly IPPool[];
  readonly health: Health;
  readonly log: Logger;
}

export class LanMode implements Disposable {
  readonly #sources: LanSources;
  readonly watch: LanWatch;
  #from: readonly [unknown, unknown] = [undefined, undefined];
  #lan: Lan = { pools: [], parts: [] };
  #looking = false;
  #ahead: Promise<void> = Promise.resolve();

  constructor(sources: LanSources) {
    this.#sources = sources;
    this.watch = new LanWatch({
      open: (name, news) => openPort(sources.rtnetlink, name, news),
      onConflict: (why) => sources.health.set("address-also-used", why),
    });
  }

  /** As of now; the same object while nothing about it changes. */
  get lan(): Lan {
    const pools = this.#sources.pools();
    const { interfaces } = this.#sources.hostNetwork;
    if (this.#from[0] !== pools || this.#from[1] !== interfaces) {
      this.#from = [pools, interfaces];
      const lan = lanOf(pools, interfaces);
      if (JSON.stringify(lan) !== JSON.stringify(this.#lan)) this.#lan = lan;
    }
    return this.#lan;
  }

  /** To be called when the kernel is as it should be. `held`: HostState.proxies */
  follow(held: ReadonlyMap<string, null>): void {
    this.watch.follow(this.lan, held);
  }

  /** To be called now and then: nobody tells who comes onto the LAN. `used`: addresses that containers have, of all hosts */
  look(addresses: LocalAddresses, used: () => ReadonlySet<string>, signal: AbortSignal): void {
    if (this.#looking || this.lan.pools.length === 0) return;
    this.#looking = true;
    this.#ahead = this.#look(addresses, used, signal)
      .catch((error: unknown) => {
        const expected = error instanceof AddressError || error instanceof DriverError;
        this.#sources.log[expected ? "warn" : "error"]({ err: error }, "LAN pools could not be looked after");
      })
      .finally(() => {
        this.#looking = false;
      });
  }

  /** When a look that is under way has ended. */
  idle(): Promise<void> {
    return this.#ahead;
  }

  async #look(addresses: LocalAddresses, used: () => ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    this.watch.follow(this.lan, this.watch.held);
    const { interfaces } = this.#sources.hostNetwork;
    for (const { before, after } of successions(this.#sources.pools(), interfaces)) {
      await addresses.succeedPool(before, after, signal);
      this.#sources.log.info(
        { before, after: after.spec.cidr },
        "the LAN's IPv6 prefix has changed: the pool moves along",
      );
    }
    for (const name of leftBehind(this.#sources.pools(), interfaces))
      await addresses.removePool(name, signal).catch((error: unknown) => {
        if (!(error instanceof AddressError)) throw error; // containers still have addresses of it
      });
    const elsewhere = used();
    await this.watch.lookAhead(({ pool, cidr }): readonly Address[] => {
      const own = addresses.freeIn(pool);
      if (own.length > 0) return own.slice(0, AHEAD);
      return fewAddresses(cidr).filter((a) => !elsewhere.has(formatAddress(a)));
    });
  }

  [Symbol.dispose](): void {
    this.watch[Symbol.dispose]();
  }
}

function openPort(rtnetlink: Rtnetlink, name: string, news: ConstructorParameters<typeof LanPort>[0]["news"]): Port {
  const link = rtnetlink.link(name);
  if (link === undefined || !link.up || link.mac === "")
    throw new DriverError("not-found", `Cannot listen on "${name}": there is no such interface, or it is down`);
  const { index, mac } = link;
  const own = rtnetlink.addresses(index).find(({ address }) => address.startsWith("fe80:"));
  const port = new LanPort({ name, index, news });
  return {
    mac,
    ...(own !== undefined && { from: own.address.split("/")[0] ?? "" }),
    get listening() {
      return port.listening;
    },
    send: (frame) => port.send(frame),
    [Symbol.dispose]: () => port[Symbol.dispose](),
  };
}
