/** Names for what the kernel speaks of by number or address, as of the last step of the loop. Made only when somebody asks. */
import type { HostState } from "../../core/calc/host-state.ts";
import { membershipOf } from "../../core/calc/membership.ts";
import type { Endpoint, Snapshot } from "../../core/calc/snapshot.ts";
import { Tracker } from "../../core/calc/tracker.ts";
import { Parties } from "../../core/flows/parties.ts";
import type { Membership } from "../../core/rules/decider.ts";
import type { Rtnetlink } from "../../drivers/netlink/rtnetlink.ts";
import type { NodeAddresses } from "../node-address.ts";

/**
 * Milliseconds that names of other hosts' containers may be old, and between two looks for an interface that is not known:
 * with 50,000 of them making the names takes 20 ms.
 */
const OLD = 1_000;

export class HostNames {
  readonly #host: string;
  readonly #network: { readonly addresses: NodeAddresses };
  readonly #rtnetlink: Pick<Rtnetlink, "links">;
  #snapshot: Snapshot | undefined;
  #state: HostState | undefined;
  #parties: { readonly of: Snapshot | undefined; readonly at: number; readonly parties: Parties };
  readonly #own = new Tracker<Endpoint>(({ id }) => id);
  #membership: Membership = { has: () => false };
  #interfaces = new Map<number, string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(host: string, network: { readonly addresses: NodeAddresses }, rtnetlink: Pick<Rtnetlink, "links">) {
    this.#host = host;
    this.#network = network;
    this.#rtnetlink = rtnetlink;
    const nobody = Parties.of({ endpoints: [], nodes: [], own: [], host });
    this.#parties = { of: undefined, at: Number.NEGATIVE_INFINITY, parties: nobody };
  }

  /** Interface of the default route. */
  get uplink(): string | undefined {
    return this.#network.addresses.uplink;
  }

  get hostState(): HostState | undefined {
    return this.#state;
  }

  /** Canonical addresses of this host. */
  get own(): readonly string[] {
    const { ipv4, ipv6 } = this.#network.addresses;
    const gateways = [...(this.#state?.gatewayAddresses ?? [])].map((net) => net.split("/")[0] ?? net);
    return [...[ipv4, ipv6].flatMap((address) => address ?? []), ...gateways];
  }

  get parties(): Parties {
    const { of, at, parties } = this.#parties;
    const now = performance.now();
    const snapshot = this.#snapshot;
    if (snapshot === undefined || snapshot === of) return parties;
    const changes = this.#own.update(ownOf(snapshot));
    if (now - at < OLD) {
      // Its own containers a host knows at once.
      const isSame = changes.upserts.length + changes.removed.length === 0;
      this.#parties = { of: snapshot, at, parties: isSame ? parties : parties.with(changes) };
    } else {
      const { endpoints, nodes } = snapshot;
      const made = Parties.of({ endpoints, nodes, own: this.own, host: this.#host });
      this.#parties = { of: snapshot, at: now, parties: made };
    }
    return this.#parties.parties;
  }

  /** Whom selectors match. */
  get membership(): Membership {
    return this.#membership;
  }

  take(snapshot: Snapshot, state: HostState): void {
    this.#snapshot = snapshot;
    this.#state = state;
    this.#membership = membershipOf(snapshot);
  }

  interfaceName(index: number): string | undefined {
    const known = this.#interfaces.get(index);
    if (known !== undefined || performance.now() - this.#lookedAt < OLD) return known;
    this.#lookedAt = performance.now();
    this.#interfaces = new Map(this.#rtnetlink.links().map((link) => [link.index, link.name]));
    return this.#interfaces.get(index);
  }
}

function ownOf({ parts, endpoints }: Snapshot): readonly Endpoint[] {
  return parts?.own ?? endpoints;
}
