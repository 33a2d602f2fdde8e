/** The hosts of the cluster, as `manx node ls` shows them. */
import type { NodeView } from "../../api/schema/node.ts";
import type { Node } from "../../core/model/resources.ts";
import { formatAddress } from "../../core/net/address.ts";
import { formatCidr } from "../../core/net/cidr.ts";
import type { IpamState } from "./ipam-facts.ts";
import type { HostPresence } from "./presence.ts";

export interface NodeSources {
  readonly host: string;
  readonly nodes: readonly Node[];
  readonly ipam: IpamState;
  /** Whose agents live; undefined: this host is alone. */
  readonly alive: ReadonlyMap<string, HostPresence> | undefined;
  /** Number of endpoints by host. */
  readonly endpoints: ReadonlyMap<string, number>;
}

export function nodeViews({ host, nodes, ipam, alive, endpoints }: NodeSources): NodeView[] {
  const byName = new Map(nodes.map((node) => [node.metadata.name, node]));
  const owners = ipam.affinities.map(({ value }) => value.host);
  const names = new Set([...byName.keys(), ...owners, ...(alive?.keys() ?? []), ...endpoints.keys()]);
  return [...names].sort(new Intl.Collator("en", { numeric: true }).compare).map((name) => {
    const node = byName.get(name);
    const present = alive?.get(name);
    const lives = present !== undefined || (alive === undefined && name === host);
    const loans = ipam.loans.filter(({ value }) => value.state === "granted").map(({ value }) => value);
    const { annotations = {}, labels = {} } = node?.metadata ?? {};
    const as = node?.spec.bgp?.asNumber;
    const optional = (key: string, name: string) =>
      annotations[key] === undefined ? {} : { [name]: annotations[key] };
    return {
      name,
      self: name === host,
      state: lives ? "alive" : node === undefined ? "removed" : "silent",
      ...(present === undefined || present.since === "" ? {} : { since: present.since }),
      addresses: (node?.spec.addresses ?? []).map(({ address }) => address),
      ...(as === undefined ? {} : { asNumber: as }),
      labels,
      ...optional("manx/version", "version"),
      ...optional("manx/engine", "engine"),
      ...optional("manx/kernel", "kernel"),
      endpoints: endpoints.get(name) ?? 0,
      blocks: ipam.owners
        .filter(({ value }) => value.host === name)
        .map(({ value: { block, pool } }) => ({ cidr: formatCidr(block), pool })),
      lent: loans.filter(({ owner }) => owner === name).map(({ address }) => formatAddress(address)),
      borrowed: loans.filter(({ borrower }) => borrower === name).map(({ address }) => formatAddress(address)),
    };
  });
}
