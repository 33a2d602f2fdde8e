/** The labels of a resource, as `manx get -l` asks for them. */
import type { AnyResource } from "./resources.ts";

/** The tier of a policy as a label, which Calico puts on every policy. */
const TIER_LABEL = "projectcalico.org/tier";

/** Its own; of a policy also its tier, whatever label of that name somebody wrote. */
export function labelsOf({ metadata, spec }: AnyResource): Readonly<Record<string, string>> {
  const own = metadata.labels ?? {};
  return "tier" in spec ? { ...own, [TIER_LABEL]: spec.tier } : own;
}
