/**
 * Changes of resources, as one whole: validated together, stored in one transaction or not at all, and, where the user asks for it,
 * undone by themselves unless confirmed. What it takes to undo them is stored with the change, so a crash in between changes nothing.
 */
import { isDeepStrictEqual } from "node:util";
import { isMadeFromLabels } from "../core/calc/label-policies.ts";
import type { Session } from "../core/calc/session.ts";
import { complete } from "../core/model/complete.ts";
import type { AnyResource } from "../core/model/resources.ts";
import type { Problem } from "../core/problem.ts";
import { MAX_COMPARES } from "../drivers/store/contract.ts";
import type { Compare, Op, Store } from "../drivers/store/store.ts";
import { type Cached, type ClusterCache, RESOURCES, resourceKey } from "./cluster-cache.ts";

export type ChangeMode = "apply" | "create" | "replace" | "delete";

export interface Change {
  readonly mode: ChangeMode;
  readonly resources: readonly AnyResource[];
  readonly dryRun?: boolean;
  readonly confirmWithin?: number;
  /** Of delete: what is gone already is well. */
  readonly ignoreMissing?: boolean;
  /** Of create: what exists stays as it is. */
  readonly ignoreExisting?: boolean;
  /** The connection over which the change is asked for. */
  readonly session?: Session;
  /** Even if it cuts that. */
  readonly force?: boolean;
}

export interface ChangedResource {
  readonly key: string;
  readonly outcome: "created" | "updated" | "unchanged" | "deleted" | "absent";
  readonly before?: AnyResource;
  readonly after?: AnyResource;
}

export interface Changed {
  readonly revision: number;
  readonly resources: readonly ChangedResource[];
  /** When an unconfirmed change is undone: this one, or one before. */
  readonly confirmBefore?: Date;
}

/** Refused; all reasons at once. */
export class ChangeRefused extends Error {
  override readonly name = "ChangeRefused";
  readonly code: "invalid" | "exists" | "not-found" | "conflict" | "refused";
  readonly problems: readonly Problem[];

  constructor(code: ChangeRefused["code"], message: string, problems: readonly Problem[] = []) {
    super(message);
    this.code = code;
    this.problems = problems;
  }
}

const PENDING = "/manx/v1/pending-change";

/** What an unconfirmed change left behind. */
interface Pending {
  readonly deadline: string;
  readonly count: number;
  /** Value before the change, null where there was none. */
  readonly undo: readonly { readonly key: string; readonly value: string | null }[];
}

export interface ChangesOptions {
  readonly store: Store;
  readonly cluster: ClusterCache;
  /** Judges the resources against everything that will be in force with them. */
  readonly judge: (after: ReadonlyMap<string, AnyResource>, changed: readonly ChangedResource[]) => readonly Problem[];
  /** Why the resources that will be in force cut the session; undefined: they do not. */
  readonly cuts?: (after: ReadonlyMap<string, AnyResource>, session: Session) => string | undefined;
  /** What is so without being stored: said again it is no change. */
  readonly unstored?: (resource: AnyResource) => AnyResource | undefined;
  readonly now?: () => Date;
  readonly uid?: () => string;
}

const RETRIES = 5;

export class Changes implements Disposable {
  readonly #options: ChangesOptions;
  readonly #now: () => Date;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ChangesOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
  }

  /** Takes up an unconfirmed change that an earlier process left: undoes it at once if its time is over. */
  async resume(signal: AbortSignal): Promise<void> {
    const pending = await this.#pending(signal);
    if (pending !== undefined) this.#schedule(new Date(pending.value.deadline));
  }

  /** @throws ChangeRefused */
  async make(change: Change, signal: AbortSignal): Promise<Changed> {
    for (let attempt = 1; ; attempt++) {
      const changed = this.#plan(change);
      const ops = changed.flatMap(toOp);
      const unchanged = { revision: this.#options.cluster.revision, resources: changed };
      if (change.dryRun === true) return unchanged;
      if (ops.length === 0) return { ...unchanged, ...(await this.#waiting(signal)) };
      const done = await this.#commit(change, changed, ops, signal);
      if (done !== undefined) return done;
      if (attempt === RETRIES)
        throw new ChangeRefused("conflict", "Somebody else changes the same resources at this moment: try again");
    }
  }

  /** Keeps the change that waits for it. @returns how many resources it had touched. @throws ChangeRefused */
  async confirm(signal: AbortSignal): Promise<number> {
    const pending = await this.#pending(signal);
    if (pending === undefined) throw new ChangeRefused("not-found", "No change waits for a confirmation");
    const { ok } = await this.#options.store.commit(
      { compares: [{ key: PENDING, modRevision: pending.modRevision }], ops: [{ kind: "delete", key: PENDING }] },
      signal,
    );
    if (!ok) throw new ChangeRefused("conflict", "The change was undone or confirmed by somebody else at this moment");
    clearTimeout(this.#timer);
    return pending.value.count;
  }

  #plan(change: Change): ChangedResource[] {
    const { cluster } = this.#options;
    const after = new Map<string, AnyResource>();
    const seen = new Set<string>();
    const refusals: Problem[] = [];
    const changed = change.resources.map((wanted, index): ChangedResource => {
      const key = resourceKey(wanted);
      if (seen.has(key))
        refusals.push({ path: `[${index}]`, message: `${titleOf(wanted)} stands in the change twice` });
      seen.add(key);
      return this.#one(change, wanted, key, cluster.get(key), refusals);
    });
    const missing = changed.find(({ outcome }) => outcome === "absent");
    if (refusals.length > 0) {
      const code = missing !== undefined ? "not-found" : change.mode === "create" ? "exists" : "invalid";
      throw new ChangeRefused(code, "Cannot change the resources", refusals);
    }
    for (const { key, resource } of cluster.entries()) after.set(key, resource);
    for (const { key, outcome, after: value } of changed) {
      if (outcome === "deleted") after.delete(key);
      else if (value !== undefined) after.set(key, value);
    }
    const problems = this.#options.judge(after, changed);
    if (problems.length > 0) throw new ChangeRefused("invalid", "Cannot change the resources", problems);
    this.#spareSession(change, after, changed);
    return changed;
  }

  #spareSession(
    { session, force }: Change,
    after: ReadonlyMap<string, AnyResource>,
    changed: readonly ChangedResource[],
  ): void {
    if (session === undefined || force === true || changed.every(({ outcome }) => outcome === "unchanged")) return;
    const why = this.#options.cuts?.(after, session);
    if (why !== undefined)
      throw new ChangeRefused("refused", `Cannot change the resources: ${why}. --force does it all the same`);
  }

  #one(
    change: Change,
    wanted: AnyResource,
    key: string,
    have: Cached | undefined,
    refusals: Problem[],
  ): ChangedResource {
    const path = titleOf(wanted);
    const stored = have?.resource;
    const made = this.#options.unstored?.(wanted);
    const refuse = (message: string): void => void refusals.push({ path, message });
    if (change.mode === "delete") {
      this.#checkVersion(wanted, have, refusals);
      if (stored !== undefined) return { key, outcome: "deleted", before: stored };
      if (made !== undefined) {
        refuse(`cannot be deleted: it ${whereFrom(made)}`);
        return { key, outcome: "unchanged", before: made };
      }
      if (change.ignoreMissing !== true) refuse("does not exist");
      return { key, outcome: "absent" };
    }
    if (change.mode === "create" && stored !== undefined) {
      if (change.ignoreExisting === true) return { key, outcome: "unchanged", before: stored, after: stored };
      refuse("exists already: use apply or replace");
    }
    const same = change.mode === "create" ? undefined : [stored, made].find((one) => one && sameButStamps(wanted, one));
    if (same !== undefined) return { key, outcome: "unchanged", before: same, after: same };
    if (isMadeFromLabels(wanted.metadata.annotations))
      refuse("comes from the labels of a container: change those, or take its annotation manx/made-from away");
    // Labels of a container keep making theirs, of another name.
    const isOwn = made !== undefined && !isMadeFromLabels(made.metadata.annotations) && change.mode !== "create";
    const before = stored ?? (isOwn ? made : undefined);
    if (before === undefined && change.mode === "replace") {
      refuse("does not exist: use apply or create");
      return { key, outcome: "absent" };
    }
    if (before === undefined) return { key, outcome: "created", after: this.#stamped(wanted, undefined) };
    this.#checkVersion(wanted, have, refusals);
    return { key, outcome: "updated", before, after: this.#stamped(wanted, before) };
  }

  #checkVersion(wanted: AnyResource, have: Cached | undefined, refusals: Problem[]): void {
    const asked = wanted.metadata.resourceVersion;
    if (have === undefined || asked === undefined || asked === String(have.modRevision)) return;
    const message = `has changed since: resourceVersion is ${have.modRevision}, not ${asked}`;
    refusals.push({ path: titleOf(wanted), message });
  }

  /** With the metadata that the store gives; the user's own values for those do not count. */
  #stamped(wanted: AnyResource, before: AnyResource | undefined): AnyResource {
    const { uid: _uid, creationTimestamp: _created, resourceVersion: _version, ...metadata } = wanted.metadata;
    const uid = before?.metadata.uid ?? this.#options.uid?.() ?? crypto.randomUUID();
    const creationTimestamp = before?.metadata.creationTimestamp ?? this.#now().toISOString();
    const stamped = { ...wanted, metadata: { ...metadata, uid, creationTimestamp } };
    return JSON.parse(JSON.stringify(stamped)) as AnyResource; // as it will be read back: no undefined
  }

  async #commit(
    change: Change,
    changed: readonly ChangedResource[],
    ops: readonly Op[],
    signal: AbortSignal,
  ): Promise<Changed | undefined> {
    const { store, cluster } = this.#options;
    const compares = this.#compares(changed);
    const confirmBefore =
      change.confirmWithin === undefined ? undefined : new Date(this.#now().getTime() + change.confirmWithin * 1000);
    const extra = confirmBefore === undefined ? [] : [await this.#undoRecord(changed, confirmBefore, signal)];
    const guard = extra.map(() => ({ key: PENDING, modRevision: 0 }));
    const { ok, revision } = await store.commit({ compares: [...compares, ...guard], ops: [...ops, ...extra] }, signal);
    if (!ok) {
      await cluster.refresh(signal);
      return undefined;
    }
    if (confirmBefore !== undefined) this.#schedule(confirmBefore);
    await cluster.until(revision, signal);
    return { revision, resources: changed, ...(await this.#waiting(signal)) };
  }

  /** Of more resources than can be compared one by one: that none at all was put since. */
  #compares(changed: readonly ChangedResource[]): Compare[] {
    const { cluster } = this.#options;
    if (changed.length >= MAX_COMPARES) return [{ prefix: RESOURCES, until: cluster.revision }];
    return changed.map(({ key }) => ({ key, modRevision: cluster.get(key)?.modRevision ?? 0 }));
  }

  async #undoRecord(changed: readonly ChangedResource[], deadline: Date, signal: AbortSignal): Promise<Op> {
    if ((await this.#pending(signal)) !== undefined) {
      throw new ChangeRefused("conflict", "Another change waits for its confirmation: manx confirm keeps it");
    }
    const touched = changed.filter(({ outcome }) => outcome !== "unchanged" && outcome !== "absent");
    const undo = touched.map(({ key }) => {
      const stored = this.#options.cluster.get(key)?.resource;
      return { key, value: stored === undefined ? null : JSON.stringify(stored) };
    });
    const pending: Pending = { deadline: deadline.toISOString(), count: touched.length, undo };
    return { kind: "put", key: PENDING, value: JSON.stringify(pending) };
  }

  /** Also of a change before: whoever makes another may think that he keeps it. */
  async #waiting(signal: AbortSignal): Promise<Pick<Changed, "confirmBefore">> {
    const pending = await this.#pending(signal);
    return pending === undefined ? {} : { confirmBefore: new Date(pending.value.deadline) };
  }

  async #pending(signal: AbortSignal): Promise<{ value: Pending; modRevision: number } | undefined> {
    const entry = await this.#options.store.get(PENDING, signal);
    return entry === undefined
      ? undefined
      : { value: JSON.parse(entry.value) as Pending, modRevision: entry.modRevision };
  }

  #schedule(deadline: Date): void {
    clearTimeout(this.#timer);
    const wait = Math.max(0, deadline.getTime() - this.#now().getTime());
    this.#timer = setTimeout(
      () => void this.#undo().catch(() => this.#schedule(new Date(this.#now().getTime() + 1000))),
      wait,
    );
    this.#timer.unref();
  }

  async #undo(): Promise<void> {
    const signal = AbortSignal.timeout(10_000);
    const pending = await this.#pending(signal);
    if (pending === undefined) return;
    const ops = pending.value.undo.map(
      ({ key, value }): Op => (value === null ? { kind: "delete", key } : { kind: "put", key, value }),
    );
    const compares = [{ key: PENDING, modRevision: pending.modRevision }];
    await this.#options.store.commit({ compares, ops: [...ops, { kind: "delete", key: PENDING }] }, signal);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}

/** Of what is there without being stored. */
function whereFrom({ kind, metadata }: AnyResource): string {
  if (isMadeFromLabels(metadata.annotations)) return "comes from the labels of a container";
  if (kind === "Node") return "is this host";
  return kind === "Network" ? "is Docker's: docker network rm" : "is always there";
}

function toOp({ key, outcome, after }: ChangedResource): Op[] {
  if (outcome === "deleted") return [{ kind: "delete", key }];
  if (outcome === "created" || outcome === "updated") return [{ kind: "put", key, value: JSON.stringify(after) }];
  return [];
}

/**
 * Without the metadata that only the store gives, and with every default: what Manx itself stored has none of either. As it will
 * be read back: nothing undefined.
 */
function withoutStamps(resource: AnyResource): AnyResource {
  const { uid: _uid, creationTimestamp: _created, resourceVersion: _version, ...metadata } = resource.metadata;
  return JSON.parse(JSON.stringify(complete(resource.kind, { ...resource, metadata }))) as AnyResource;
}

function sameButStamps(a: AnyResource, b: AnyResource): boolean {
  return isDeepStrictEqual(withoutStamps(a), withoutStamps(b));
}

/** `NetworkPolicy shop/db`. */
export function titleOf({ kind, metadata }: AnyResource): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}
