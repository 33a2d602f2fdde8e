/** To whom an address of a service belongs: nobody else gets it, and it is taken from nobody. */
import { ADDRESS_LABEL } from "../../core/calc/services.ts";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Journal } from "../../core/calc/tracker.ts";
import type { Node, Service } from "../../core/model/resources.ts";
import { titleOf } from "../../core/model/together.ts";
import { type Address, formatAddress } from "../../core/net/address.ts";
import type { Problem } from "../../core/problem.ts";
import type { ChangedResource } from "../changes.ts";
import type { AddressesOptions } from "../ipam/local-addresses.ts";
import type { Snapshots } from "../snapshot.ts";

export interface ServiceClaimsOptions {
  readonly services: () => readonly Service[];
  /** Of all hosts. */
  readonly endpoints: () => readonly Endpoint[];
  readonly hostAddresses: () => readonly string[];
  readonly nodes: () => readonly Node[];
}

type Others = NonNullable<AddressesOptions["others"]>;

export class ServiceClaims {
  readonly #options: ServiceClaimsOptions;

  constructor(options: ServiceClaimsOptions) {
    this.#options = options;
  }

  /** What keeps containers from addresses, with those of services. */
  beside(others: Others): Others {
    const owner = (a: Address): string | undefined => this.#ownerOf(formatAddress(a));
    return {
      isTaken: (a) => owner(a) !== undefined || others.isTaken(a),
      isFree: async (a) => owner(a) === undefined && (await others.isFree(a)),
      userOf: (a) => {
        const found = owner(a);
        return found === undefined ? others.userOf(a) : `it is the address of the service "${found}"`;
      },
    };
  }

  #ownerOf(address: string): string | undefined {
    return this.#options.services().find(({ spec }) => spec.addresses.includes(address))?.metadata.name;
  }

  /** Why a service cannot have an address. Among services `checkTogether` sees to it. */
  judge(changed: readonly ChangedResource[]): Problem[] {
    return changed.flatMap(({ outcome, after }) => {
      if (after?.kind !== "Service" || !["created", "updated"].includes(outcome)) return [];
      return after.spec.addresses.flatMap((address, index) => {
        const why = this.#whyNot(address);
        return why === undefined ? [] : [{ path: `${titleOf(after)}: spec.addresses[${index}]`, message: why }];
      });
    });
  }

  #whyNot(address: string): string | undefined {
    const endpoints = this.#options.endpoints();
    const has = endpoints.find(({ addresses }) => addresses.includes(address));
    if (has !== undefined) return `${address} is the address of the container "${has.container}" on ${has.host}`;
    const labelled = endpoints.find(
      ({ labels, serviceAddresses }) => labels.has(ADDRESS_LABEL) && labelHas(labels, address, serviceAddresses),
    );
    if (labelled !== undefined)
      return `${address} is the service address that the label of the container "${labelled.container}" on ${labelled.host} asks for`;
    const node = this.#options.nodes().find(({ spec }) => nodeAddresses(spec).includes(address));
    if (node !== undefined) return `${address} is an address of the host "${node.metadata.name}"`;
    return this.#options.hostAddresses().includes(address) ? `${address} is an address of this host` : undefined;
  }

  /** All service addresses of the cluster; the same array while none comes or goes. */
  announced(snapshots: Snapshots, remote: Journal<Endpoint> | undefined): () => readonly string[] {
    let last: readonly string[] = [];
    /** Of the few of 50,000 endpoints that have any, by their keys. */
    const elsewhere = new Map<string, readonly string[]>();
    let version = -1;
    return () => {
      if (remote !== undefined && remote.version !== version) {
        const changed = version < 0 ? undefined : remote.changedSince(version);
        if (changed === undefined) elsewhere.clear();
        for (const key of changed ?? remote.keys()) {
          const addresses = remote.get(key)?.serviceAddresses ?? [];
          if (addresses.length > 0) elsewhere.set(key, addresses);
          else elsewhere.delete(key);
        }
        version = remote.version;
      }
      const now = new Set([
        ...this.#options.services().flatMap(({ spec }) => spec.addresses),
        ...snapshots.services().members.flatMap(({ addresses }) => addresses),
        ...elsewhere.values().flatMap((addresses) => addresses),
      ]);
      const sorted = [...now].sort();
      if (sorted.join() !== last.join()) last = sorted;
      return last;
    };
  }
}

function labelHas(labels: Endpoint["labels"], address: string, serving: readonly string[] = []): boolean {
  const texts = (labels.get(ADDRESS_LABEL) ?? "").split(",").map((text) => text.trim());
  return texts.includes(address) || (serving.includes(address) && texts.some((text) => text.includes(":")));
}

function nodeAddresses(spec: Node["spec"]): string[] {
  const all = [spec.bgp?.ipv4Address, spec.bgp?.ipv6Address, ...(spec.addresses ?? []).map(({ address }) => address)];
  return all.flatMap((text) => text?.split("/")[0] ?? []);
}
