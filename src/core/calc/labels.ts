/** The labels that selectors see: a thing's own, then what its profiles and its namespace give it. */
import type { Profile } from "../model/resources.ts";

/** Calico's label for the namespace of whatever has one. */
export const NAMESPACE_LABEL = "projectcalico.org/namespace";
/** A namespace's own labels are seen on what is in it under this prefix; `namespaceSelector` asks for them. */
export const NAMESPACE_PREFIX = "pcns.";

/** The Profile that carries the labels of a namespace (`labelsToApply`, with the prefix), as in Calico's datastore. */
export function namespaceProfile(namespace: string): string {
  return `kns.${namespace}`;
}

export type Labels = ReadonlyMap<string, string>;
export type ProfilesByName = ReadonlyMap<string, Profile>;

/** Own labels win, then profiles in order (felix/labelindex: the first parent that has the label). */
export function inherit(own: Labels, profiles: readonly string[], byName: ProfilesByName): Labels {
  let out: Map<string, string> | undefined;
  for (const name of profiles) {
    for (const [label, value] of Object.entries(byName.get(name)?.spec.labelsToApply ?? {})) {
      out ??= new Map(own);
      if (!out.has(label)) out.set(label, value);
    }
  }
  return out ?? own;
}

export function recordLabels(labels: Readonly<Record<string, string>> | undefined): Labels {
  return new Map(Object.entries(labels ?? {}));
}
