/** `manx diff`: whose verdicts a change of resources would turn round. */
import { setImmediate as turn } from "node:timers/promises";
import type { VerdictChange as VerdictRow } from "../api/schema/resource.ts";
import { enforceStaged } from "../core/calc/hypothetical.ts";
import type { AnyPolicy } from "../core/calc/policies.ts";
import type { Snapshot } from "../core/calc/snapshot.ts";
import { type Outside, type VerdictReport, verdictChanges } from "../core/calc/verdict-changes.ts";
import type { AnyResource } from "../core/model/resources.ts";
import type { ChangedResource } from "./changes.ts";

const LISTS = {
  GlobalNetworkPolicy: "policies",
  NetworkPolicy: "policies",
  StagedGlobalNetworkPolicy: "stagedPolicies",
  StagedNetworkPolicy: "stagedPolicies",
  Tier: "tiers",
  Profile: "profiles",
  GlobalNetworkSet: "networkSets",
  NetworkSet: "networkSets",
  HostEndpoint: "hostEndpoints",
} as const satisfies Partial<Record<AnyResource["kind"], keyof Snapshot>>;

export interface Verdicts {
  readonly verdicts: readonly VerdictRow[];
  readonly complete: boolean;
}

/** Of the endpoints that there are, on all hosts, of this host and of the internet. */
export async function verdictsOf(
  before: Snapshot,
  changed: readonly ChangedResource[],
  outside: Outside,
  signal: AbortSignal,
): Promise<Verdicts> {
  const after = withChanges(before, changed);
  const policies = changed.flatMap((one) => [one.before, one.after].filter((resource) => isPolicy(resource)));
  const enforced = await drive(verdictChanges(before, after, policies, outside), signal);
  if (!changed.some(({ before: old, after: now }) => (now ?? old)?.kind.startsWith("Staged")))
    return rows(enforced, false);
  const staged = await drive(verdictChanges(after, enforceStaged(after), policies, outside), signal);
  const [real, would] = [rows(enforced, false), rows(staged, true)];
  return { verdicts: [...real.verdicts, ...would.verdicts], complete: real.complete && would.complete };
}

async function drive(work: Generator<void, VerdictReport>, signal: AbortSignal): Promise<VerdictReport> {
  for (;;) {
    const { done, value } = work.next();
    if (done === true) return value;
    await turn();
    signal.throwIfAborted();
  }
}

function isPolicy(resource: AnyResource | undefined): resource is AnyPolicy {
  return resource !== undefined && ["policies", "stagedPolicies"].includes(listOf(resource) ?? "");
}

function listOf({ kind }: AnyResource): (typeof LISTS)[keyof typeof LISTS] | undefined {
  return kind in LISTS ? LISTS[kind as keyof typeof LISTS] : undefined;
}

function withChanges(snapshot: Snapshot, changed: readonly ChangedResource[]): Snapshot {
  const next: Record<string, unknown> = { ...snapshot };
  for (const { outcome, before, after } of changed) {
    const resource = after ?? before;
    const list = resource === undefined ? undefined : listOf(resource);
    if (resource === undefined || list === undefined || outcome === "unchanged" || outcome === "absent") continue;
    const others = (next[list] as readonly AnyResource[]).filter((one) => !isSame(one, resource));
    next[list] = outcome === "deleted" ? others : [...others, resource];
  }
  return next as unknown as Snapshot;
}

function isSame(a: AnyResource, b: AnyResource): boolean {
  return a.kind === b.kind && a.metadata.name === b.metadata.name && a.metadata.namespace === b.metadata.namespace;
}

const SHOWN = 3;

function rows({ changes, complete }: VerdictReport, staged: boolean): Verdicts {
  const names = (all: readonly string[]): string =>
    all.length <= SHOWN + 1 ? all.join(", ") : `${all.slice(0, SHOWN).join(", ")} and ${all.length - SHOWN} more`;
  const verdicts = changes.map(({ from, to, flows, before, after, decidedBy }) => ({
    from: names(from),
    to: names(to),
    flow: flows.join(", "),
    before,
    after,
    decidedBy,
    ...(staged ? { staged } : {}),
  }));
  return { verdicts, complete };
}
