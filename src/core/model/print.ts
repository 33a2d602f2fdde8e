import { stringify } from "yaml";
import type { AnyResource } from "./resources.ts";

/**
 * Resources as YAML, fields by name as calicoctl prints them, documents divided by `---`. Reading it gives the same resources
 * again, with YAML 1.1 as well (what looks like a number or a truth value in either is in quotes).
 */
export function printResources(resources: readonly AnyResource[]): string {
  return resources.map(printResource).join("---\n");
}

export function printResource(resource: AnyResource): string {
  return stringify(resource, { sortMapEntries: true, compat: "yaml-1.1", lineWidth: 0, aliasDuplicateObjects: false });
}
