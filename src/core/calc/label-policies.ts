/**
 * Policy as container labels, for who wants no files:
 *
 *     manx.allow-from: "web, monitoring"    names, or a selector: who may reach this service; nobody else may
 *     manx.ports: "5432/tcp"                on which ports; without allow-from, for the members of its own network
 *     manx.egress: "internet"               none | internet | dns | all | names | selector: where it may go; nowhere else
 *
 * They become ordinary NetworkPolicies of the container's namespace, named after its service. A label that cannot be read
 * closes its direction: a typing error must not open anything.
 */
import type { NetworkPolicy, PolicyRule } from "../model/resources.ts";
import type { Problem } from "../problem.ts";
import { allowRules, egressRules, isName, parsePorts, peers } from "./policy-words.ts";
import type { Endpoint } from "./snapshot.ts";

const ALLOW_FROM = "manx.allow-from";
const PORTS = "manx.ports";
const EGRESS = "manx.egress";

export interface LabelPolicies {
  readonly policies: readonly NetworkPolicy[];
  /** One for each label that could not be read; the path is `CONTAINER LABEL`. */
  readonly problems: readonly Problem[];
}

/** Where such a policy stands among others: after what people order explicitly, before what they leave unordered. */
const ORDER = 1_000_000;

export function labelPolicies(endpoints: readonly Endpoint[]): LabelPolicies {
  const byName = new Map<string, NetworkPolicy>();
  const problems: Problem[] = [];
  for (const endpoint of endpoints.filter(speaks).sort((a, b) => (a.id < b.id ? -1 : 1))) {
    const service = endpoint.labels.get("manx/service");
    const preferred = service !== undefined && isName(service) ? { label: "manx/service", name: service } : undefined;
    const own = { label: "manx/container", name: endpoint.container };
    const policy = policyFor(endpoint, preferred ?? own, problems);
    const other = byName.get(keyOf(policy));
    // Replicas of a service carry the same labels; where they differ, each container has its own policy.
    const differs = other !== undefined && JSON.stringify(other.spec) !== JSON.stringify(policy.spec);
    const kept = differs ? policyFor(endpoint, own, []) : policy;
    byName.set(keyOf(kept), kept);
  }
  return { policies: [...byName.values()], problems };
}

/** Whether its labels make a policy: most say nothing. */
export function speaks({ labels, container }: Endpoint): boolean {
  return (labels.has(ALLOW_FROM) || labels.has(PORTS) || labels.has(EGRESS)) && isName(container);
}

function keyOf({ metadata }: NetworkPolicy): string {
  return `${metadata.namespace}/${metadata.name}`;
}

const MADE_FROM = "manx/made-from";
const LABELS_OF_CONTAINERS = "container labels";

/** Whether the policy comes and goes with a container's labels: nobody wrote it, and no file should. */
export function isMadeFromLabels(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations?.[MADE_FROM] === LABELS_OF_CONTAINERS;
}

function policyFor(
  endpoint: Endpoint,
  subject: { readonly label: string; readonly name: string },
  problems: Problem[],
): NetworkPolicy {
  const { labels } = endpoint;
  const closesIngress = labels.has(ALLOW_FROM) || labels.has(PORTS);
  const closesEgress = labels.has(EGRESS);
  const egress = closesEgress ? egressRules(labels.get(EGRESS) ?? "", `${endpoint.container} ${EGRESS}`) : undefined;
  if (egress?.ok === false) problems.push(...egress.problems);
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "NetworkPolicy",
    metadata: {
      name: subject.name.toLowerCase().replaceAll("_", "-"),
      namespace: endpoint.namespace,
      annotations: { [MADE_FROM]: LABELS_OF_CONTAINERS },
    },
    spec: {
      tier: "default",
      order: ORDER,
      selector: `${subject.label} == "${subject.name}"`,
      types: [...(closesIngress ? (["Ingress"] as const) : []), ...(closesEgress ? (["Egress"] as const) : [])],
      ...(closesIngress ? { ingress: ingressRules(endpoint, problems) } : {}),
      ...(closesEgress ? { egress: egress?.ok === true ? egress.value : [] } : {}),
    },
  };
}

function ingressRules(endpoint: Endpoint, problems: Problem[]): readonly PolicyRule[] {
  const from = endpoint.labels.get(ALLOW_FROM);
  const portText = endpoint.labels.get(PORTS);
  if (from !== undefined && from.trim() === "none") return [];
  const source =
    from === undefined
      ? ({ ok: true, value: `manx/network == "${endpoint.network}"` } as const)
      : peers(from, `${endpoint.container} ${ALLOW_FROM}`);
  const ports = portText === undefined ? undefined : parsePorts(portText, `${endpoint.container} ${PORTS}`);
  if (!source.ok) problems.push(...source.problems);
  if (ports?.ok === false) problems.push(...ports.problems);
  if (!source.ok || ports?.ok === false) return [];
  // A namespaced rule sees its own namespace; members of a network may be of any.
  const everywhere = from === undefined || source.value === "all()" ? { namespaceSelector: "all()" } : {};
  return allowRules(ports?.value, { source: { selector: source.value, ...everywhere } });
}
