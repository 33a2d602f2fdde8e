/**
 * Follows who the members of an etcd of our own are, so that a host which knew one of them when it joined outlives the loss of that
 * one. Kept in the local state: an agent that starts while a member is away asks the others.
 */
import type { EtcdStore } from "../drivers/store/etcd.ts";
import type { LocalState } from "./local-state.ts";

const META = "etcd-members";

export function knownMembers(state: Pick<LocalState, "meta">): readonly string[] {
  try {
    const value: unknown = JSON.parse(state.meta(META) ?? "[]");
    return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

/** Asks once; to be repeated now and then. @throws DriverError */
export async function learnMembers(store: EtcdStore, state: LocalState, signal: AbortSignal): Promise<void> {
  const members = await store.memberList(signal);
  const urls = members.filter(({ learner }) => !learner).flatMap(({ clientUrls }) => clientUrls);
  if (urls.length === 0) return;
  store.learn(urls);
  const text = JSON.stringify(urls.toSorted());
  if (state.meta(META) !== text) state.setMeta(META, text);
}
