/** Judges a change of resources against everything that would be in force with it. */
import type { AnyResource } from "../core/model/resources.ts";
import { checkTogether } from "../core/model/together.ts";
import type { Problem } from "../core/problem.ts";
import type { ChangedResource } from "./changes.ts";

export function judge(
  after: ReadonlyMap<string, AnyResource>,
  changed: readonly ChangedResource[],
): readonly Problem[] {
  const changes = changed.filter(({ outcome }) => ["created", "updated", "deleted"].includes(outcome));
  return checkTogether(
    after.values(),
    changes.map(({ outcome, before, after }) => ({ before, after: outcome === "deleted" ? undefined : after })),
  );
}
