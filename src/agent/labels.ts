/**
 * The labels of an endpoint, as selectors see them: the container's own Docker labels, and what Docker knows about the
 * container under the reserved prefix `manx/`, which no container can set by itself.
 */
import type { ContainerRecord, EndpointRecord, NetworkRecord } from "./records.ts";

/** Labels of this prefix are taken without it, as Calico's libnetwork plugin did. */
const CALICO_PREFIX = "org.projectcalico.label.";
const RESERVED = ["manx/", "projectcalico.org/"];

/** Compose project of the container, or "default": what a NetworkPolicy's namespace means. */
export function namespaceOf(container: ContainerRecord | undefined): string {
  const project = container?.composeProject ?? "";
  return project === "" ? "default" : project;
}

/** Letters of the ID that Docker shows, and that others may call a container by. */
const SHORT_ID = 12;

/** What a container may be called besides its name: as Docker's own resolver has it for containers of its engine. */
export function otherNames({ container, aliases = [] }: EndpointRecord): readonly string[] {
  const { name, id, composeService } = container ?? {};
  const all = [
    ...aliases,
    ...(composeService === undefined ? [] : [composeService]),
    ...(id === undefined ? [] : [id.slice(0, SHORT_ID)]),
  ];
  return [...new Set(all)].filter((alias) => alias !== "" && alias !== name);
}

export function endpointLabels(
  container: ContainerRecord | undefined,
  network: NetworkRecord,
  host: string,
): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (const [name, value] of Object.entries(container?.labels ?? {})) {
    const plain = name.startsWith(CALICO_PREFIX) ? name.slice(CALICO_PREFIX.length) : name;
    if (!RESERVED.some((prefix) => plain.startsWith(prefix))) labels.set(plain, value);
  }
  const own: Record<string, string | undefined> = {
    "manx/container": container?.name,
    "manx/image": container?.image,
    "manx/network": network.name ?? network.id,
    "manx/host": host,
    "manx/project": container?.composeProject,
    "manx/service": container?.composeService,
    "projectcalico.org/namespace": namespaceOf(container),
    "projectcalico.org/orchestrator": "docker",
  };
  for (const [name, value] of Object.entries(own)) if (value !== undefined) labels.set(name, value);
  return labels;
}
