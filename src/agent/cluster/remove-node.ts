/**
 * Forgets a host that is gone: its endpoints, its Node, its blocks, which others may then take, and what was written for it alone
 * (as Delete of libcalico-go/lib/clientv3/node.go): its addresses must not stand for the labels of a HostEndpoint any longer. Every
 * transaction compares that the host has no living agent, so that a host which comes back in the middle of it loses nothing more.
 */
import { connect } from "node:net";
import { ApiError } from "../../api/error.ts";
import type { NodeRemoval } from "../../api/schema/node.ts";
import { endpointsOf } from "../../core/calc/published.ts";
import { affinityKey, blockKey, parseObject, publishedKey } from "../../core/ipam/claim.ts";
import { loanBlock, loanKey } from "../../core/ipam/loan.ts";
import { field, textField } from "../../core/model/loose.ts";
import { formatAddress } from "../../core/net/address.ts";
import { type Cidr, contains, formatCidr } from "../../core/net/cidr.ts";
import type { Compare, KeyCompare, Op, Store } from "../../drivers/store/store.ts";
import { RESOURCES, resourceKey } from "../cluster-cache.ts";
import { type IpamState, readIpam } from "./ipam-facts.ts";
import { HOSTS } from "./presence.ts";

const MOST_OPS = 100;
const ANSWER_MS = 1000;
/** Any port will do: a host that is there refuses. */
const PORTS = [179, 22];

export interface RemovalOptions {
  readonly store: Store;
  /** This host. */
  readonly host: string;
  readonly addresses: readonly string[];
  readonly force: boolean;
}

/** @throws ApiError `refused`, `not-found`; DriverError */
export async function removeNode(name: string, options: RemovalOptions, signal: AbortSignal): Promise<NodeRemoval> {
  const { store } = options;
  await assertGone(name, options, signal);
  const absent: KeyCompare = { key: HOSTS + name, modRevision: 0 };
  const ipam = await readIpam(store, signal);
  const endpoints = (await store.list(endpointsOf(name), signal)).entries.map(({ key }) => key);
  const node = await store.get(resourceKey({ kind: "Node", metadata: { name } }), signal);
  const owned = ipam.affinities.some(({ value }) => value.host === name);
  const written = await writtenFor(store, name, signal);
  if (endpoints.length === 0 && node === undefined && !owned && written.length === 0)
    throw new ApiError("not-found", `Cannot remove the host "${name}": the cluster has none of that name`, {
      remedy: "manx node ls shows those there are.",
    });
  await deleteAll(store, endpoints, absent, signal);
  await returnLoans(store, name, ipam, absent, signal);
  const { released, kept } = await releaseBlocks(store, name, ipam, absent, signal);
  for (const { key, modRevision } of written)
    await mustCommit(store, name, [absent, { key, modRevision }], [{ kind: "delete", key }], signal);
  if (node !== undefined) await mustCommit(store, name, [absent], [{ kind: "delete", key: node.key }], signal);
  const resources = written.map(({ title }) => title);
  return { name, endpoints: endpoints.length, released, kept, resources };
}

/** Resources that mean this host alone. */
async function writtenFor(store: Store, host: string, signal: AbortSignal) {
  const found: { readonly key: string; readonly modRevision: number; readonly title: string }[] = [];
  for (const kind of ["HostEndpoint", "BGPPeer", "BGPConfiguration", "FelixConfiguration"] as const) {
    const { entries } = await store.list(`${RESOURCES}${kind}/`, signal);
    for (const { key, value, modRevision } of entries) {
      const resource = parseObject(value);
      const name = textField(field(resource, "metadata"), "name") ?? "";
      const means =
        kind === "BGPConfiguration" || kind === "FelixConfiguration"
          ? name === `node.${host}`
          : textField(field(resource, "spec"), "node") === host;
      if (means) found.push({ key, modRevision, title: `${kind} ${name}` });
    }
  }
  return found;
}

async function assertGone(name: string, options: RemovalOptions, signal: AbortSignal): Promise<void> {
  const { store, host, addresses, force } = options;
  const refuse = (why: string, remedy: string): ApiError =>
    new ApiError("refused", `Cannot remove the host "${name}": ${why}`, { remedy });
  if (name === host) throw refuse("it is this one", "manx uninstall takes Manx off this host.");
  if ((await store.get(HOSTS + name, signal)) !== undefined)
    throw refuse(
      "its agent lives",
      "On that host: manx uninstall; or stop its agent (systemctl stop manx) and wait 15 seconds.",
    );
  if (force) return;
  for (const address of addresses)
    if (await answers(address))
      throw refuse(
        `its agent is silent, but ${address} answers, so its containers may run and their addresses would be given out twice`,
        `Stop its containers, or the host; or, if ${address} is another machine by now: manx node rm ${name} --force`,
      );
}

/** Whether there is a machine at the address: one that accepts or refuses a connection. */
async function answers(address: string): Promise<boolean> {
  const found = await Promise.all(PORTS.map((port) => tryPort(address, port)));
  return found.includes(true);
}

function tryPort(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (there: boolean): void => {
      socket.destroy();
      resolve(there);
    };
    socket.setTimeout(ANSWER_MS, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code === "ECONNREFUSED"));
  });
}

async function deleteAll(
  store: Store,
  keys: readonly string[],
  absent: KeyCompare,
  signal: AbortSignal,
): Promise<void> {
  for (let at = 0; at < keys.length; at += MOST_OPS) {
    const ops = keys.slice(at, at + MOST_OPS).map((key): Op => ({ kind: "delete", key }));
    await mustCommit(store, absent.key.slice(HOSTS.length), [absent], ops, signal);
  }
}

/** What it had borrowed goes back to the owners; what it asked for is asked no more. */
async function returnLoans(store: Store, name: string, { loans }: IpamState, absent: KeyCompare, signal: AbortSignal) {
  for (const { value: loan, modRevision } of loans) {
    if (loan.borrower !== name || loan.state === "returned") continue;
    const key = loanKey(loan.address);
    const { owner, borrower, pool } = loan;
    const op: Op =
      loan.state === "granted"
        ? { kind: "put", key, value: JSON.stringify({ owner, borrower, pool, state: "returned" }) }
        : { kind: "delete", key };
    const published: Op = { kind: "delete", key: publishedKey(name, loanBlock(loan.address)) };
    await store.commit({ compares: [absent, { key, modRevision }], ops: [op, published] }, signal);
  }
}

async function releaseBlocks(store: Store, name: string, ipam: IpamState, absent: KeyCompare, signal: AbortSignal) {
  const released: string[] = [];
  const kept: { cidr: string; why: string }[] = [];
  for (const { value: affinity, modRevision } of ipam.affinities) {
    if (affinity.host !== name) continue;
    const { block } = affinity;
    const cidr = formatCidr(block);
    const lent = lentOutOf(block, ipam);
    if (lent !== undefined) {
      kept.push({ cidr, why: lent });
      continue;
    }
    const affinityAt = { key: affinityKey(name, block), modRevision };
    const owner = ipam.owners.find(({ value }) => formatCidr(value.block) === cidr && value.host === name);
    const blockAt = { key: blockKey(block), modRevision: owner?.modRevision ?? 0 };
    const gone = [affinityAt.key, publishedKey(name, block), ...(owner === undefined ? [] : [blockAt.key])];
    const ops = gone.map((key): Op => ({ kind: "delete", key }));
    const compares = owner === undefined ? [absent, affinityAt] : [absent, affinityAt, blockAt];
    await mustCommit(store, name, compares, ops, signal);
    if (owner !== undefined) released.push(cidr);
  }
  return { released, kept };
}

/** An address that another host has of it would be given out again by the next owner. */
function lentOutOf(block: Cidr, { loans }: IpamState): string | undefined {
  const found = loans.find(
    ({ value }) => contains(block, value.address) && (value.state === "granted" || value.state === "asked"),
  );
  return found === undefined
    ? undefined
    : `host "${found.value.borrower}" has ${formatAddress(found.value.address)} of it; remove the host again once that is back`;
}

async function mustCommit(
  store: Store,
  name: string,
  compares: readonly Compare[],
  ops: readonly Op[],
  signal: AbortSignal,
): Promise<void> {
  if ((await store.commit({ compares, ops }, signal)).ok) return;
  throw new ApiError("conflict", `Cannot remove the host "${name}": it changes at this moment`, {
    remedy: "manx node ls shows whether it has come back; otherwise try again.",
  });
}
