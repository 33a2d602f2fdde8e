/**
 * The same networks on all hosts: what is to be done, from what the cluster says, what this host's engine has, and which of its
 * networks are known to be which of the cluster's. Pure; looked at again after each step.
 *
 * A network exists everywhere or nowhere. Only `docker network rm` removes one (`removed`), never that an engine has lost it;
 * and one that somebody uses, on any host, is kept.
 */
import { differences, type NetworkDefinition, type NetworkRecord, sameDefinition } from "./network-record.ts";

/** A network of this host's engine and the cluster's network that it is. */
export interface Known {
  readonly id: string;
  readonly name: string;
  readonly uid: string;
  /** The engine was told to remove it. */
  readonly removed?: boolean;
}

export interface Here {
  readonly id: string;
  readonly name: string;
  readonly definition: NetworkDefinition;
  readonly everywhere: boolean;
  readonly labels: Readonly<Record<string, string>>;
  /** Containers of this host on it, stopped ones too. */
  readonly users: readonly string[];
}

export interface NetworkView {
  readonly here: readonly Here[];
  /** By name. */
  readonly records: ReadonlyMap<string, NetworkRecord>;
  readonly known: readonly Known[];
  /** Who uses a network on other hosts: `host "h2" (web, db)`; undefined: nobody. */
  readonly usedElsewhere: (name: string) => string | undefined;
}

export type NetworkStep =
  /** Tell the cluster of a network that was made here. */
  | { readonly do: "publish"; readonly network: Here; readonly why?: string }
  /** It is the cluster's network of that name. */
  | { readonly do: "know"; readonly known: Known }
  | { readonly do: "forget"; readonly id: string }
  /** Remove it from the cluster, if it still is that one. */
  | { readonly do: "withdraw"; readonly known: Known }
  | { readonly do: "create"; readonly record: NetworkRecord }
  | { readonly do: "remove"; readonly id: string; readonly name: string }
  /** Refuse containers on it. */
  | { readonly do: "refuse"; readonly id: string; readonly name: string; readonly why: string }
  /** Say that it was not removed. */
  | { readonly do: "kept"; readonly name: string; readonly why: string };

export function planNetworks(view: NetworkView): NetworkStep[] {
  const present = new Map(view.here.map((network) => [network.id, network]));
  const known = new Map(view.known.map((entry) => [entry.id, entry]));
  return [
    ...view.known.flatMap((entry) => settleKnown(view, entry, present.has(entry.id))),
    ...view.here.flatMap((network) => settleHere(view, network, known.get(network.id))),
    ...missing(view),
  ];
}

/** Networks that were ours and have gone from the engine. */
function settleKnown({ records, usedElsewhere }: NetworkView, entry: Known, present: boolean): NetworkStep[] {
  if (present) return []; // where it is to be removed, the engine is still at it, or did not go through with it
  const forget: NetworkStep = { do: "forget", id: entry.id };
  if (entry.removed !== true || records.get(entry.name)?.uid !== entry.uid) return [forget];
  const users = usedElsewhere(entry.name);
  if (users === undefined) return [{ do: "withdraw", known: entry }];
  const why = `containers on ${users} use it, so it stays, and is made again on this host`;
  return [{ do: "kept", name: entry.name, why }, forget];
}

function settleHere(view: NetworkView, network: Here, known: Known | undefined): NetworkStep[] {
  const { id, name } = network;
  const record = view.records.get(name);
  if (!network.everywhere) return record === undefined ? [] : [refusal(network, record)];
  if (record === undefined) return known === undefined ? [{ do: "publish", network }] : removedElsewhere(network);
  if (known?.uid === record.uid) return [];
  if (sameDefinition(network.definition, record.definition))
    return [{ do: "know", known: { id, name, uid: record.uid } }];
  // Made anew with other options while this host was away: its old one goes once nobody is on it.
  if (known !== undefined && network.users.length === 0) return [{ do: "remove", id, name }];
  return [refusal(network, record)];
}

function removedElsewhere(network: Here): NetworkStep[] {
  const { id, name, users } = network;
  if (users.length === 0) return [{ do: "remove", id, name }];
  const why = `it was removed on another host, and ${users.join(", ")} on this one use it, so it stays`;
  return [
    { do: "kept", name, why },
    { do: "publish", network, why },
  ];
}

function refusal({ id, name, definition, everywhere }: Here, record: NetworkRecord): NetworkStep {
  const differs = everywhere ? differences(definition, record.definition) : ["here it was made with everywhere=no"];
  const why =
    `the cluster has a network of that name, made on host "${record.madeOn}", with other options (${differs.join("; ")}). ` +
    `Remove this one: docker network rm ${name}; then the cluster's is made here`;
  return { do: "refuse", id, name, why };
}

function missing({ records, here }: NetworkView): NetworkStep[] {
  const names = new Set(here.map(({ name }) => name));
  return [...records.values()].filter(({ name }) => !names.has(name)).map((record) => ({ do: "create", record }));
}
