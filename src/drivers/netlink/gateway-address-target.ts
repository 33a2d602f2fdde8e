/**
 * The containers' IPv4 gateways, `169.254.1.N/32` on `lo`: an address of the host that the kernel answers ARP for on every
 * veth, without proxy ARP. 169.254.1.0/24 on `lo` is ours, all else on it alien.
 */
import type { Delta } from "../../core/reconcile/delta.ts";
import type { Target } from "../../core/reconcile/reconciler.ts";
import { DriverError } from "../error.ts";
import { Failures } from "./ownership.ts";
import type { Change, Rtnetlink } from "./rtnetlink.ts";

const OURS = /^169\.254\.1\.[0-9]{1,3}\/[0-9]{1,2}$/;

export class GatewayAddressTarget implements Target<string, true> {
  readonly #rtnetlink: Rtnetlink;

  constructor(rtnetlink: Rtnetlink) {
    this.#rtnetlink = rtnetlink;
  }

  readonly equal = (): boolean => true;

  /** Keys are `169.254.1.N/32`. */
  async list(): Promise<ReadonlyMap<string, true>> {
    const out = new Map<string, true>();
    // One with a wider scope could be chosen as source of the host's own packets: it is made again.
    for (const { address, scope } of this.#rtnetlink.addresses(this.#loopback()))
      if (OURS.test(address)) out.set(scope === "link" ? address : `${address} scope ${scope}`, true);
    return out;
  }

  async apply(delta: Delta<string, true>, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const index = this.#loopback();
    const failures = new Failures();
    const strange = [...delta.deletes].filter((key) => key.includes(" "));
    this.#write(
      [...strange].map((key) => ({ kind: "delete-address", index, address: addressOf(key) })),
      failures,
    );
    const upserts = [...delta.upserts.keys()].filter((address) => {
      if (OURS.test(address)) return true;
      failures.add(`set the address "${address}"`, notOurs(address));
      return false;
    });
    this.#write(
      upserts.map((address) => ({ kind: "add-address", index, address, scope: "link" })),
      failures,
    );
    const deletes = [...delta.deletes].filter((key) => !key.includes(" ") && OURS.test(key));
    this.#write(
      deletes.map((address) => ({ kind: "delete-address", index, address })),
      failures,
    );
    failures.throwAny();
  }

  #write(changes: readonly (Change & { readonly address: string })[], failures: Failures): void {
    for (const { index, error } of this.#rtnetlink.apply(changes))
      if (error.errno !== "EEXIST" && error.errno !== "EADDRNOTAVAIL")
        failures.add(`set the address "${changes[index]?.address}" on "lo"`, error);
  }

  #loopback(): number {
    const lo = this.#rtnetlink.link("lo");
    if (lo === undefined)
      throw new DriverError("not-found", 'Cannot find the interface "lo", where the containers\' gateways are');
    return lo.index;
  }
}

function addressOf(key: string): string {
  return key.slice(0, Math.max(0, key.indexOf(" ")));
}

function notOurs(address: string): DriverError {
  const why = "gateways are 169.254.1.N/32";
  return new DriverError("invalid", `Cannot set the address "${address}" on "lo": ${why}`);
}
