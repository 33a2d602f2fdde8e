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
import { allowRules, egressRules, hash, isName, parsePorts, peers } from "./policy-words.ts";
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

/** @param written whether people wrote a NetworkPolicy of that name: theirs stays, the container's gets another name */
export function labelPolicies(
  endpoints: readonly Endpoint[],
  written: (policy: NetworkPolicy) => boolean = () => false,
): LabelPolicies {
  const byName = new Map<string, NetworkPolicy>();
  const problems: Problem[] = [];
  const add = (policy: NetworkPolicy): void => {
    const placed = withFreeName(policy, (one) => {
      const other = byName.get(keyOf(one));
      return !written(one) && (other === undefined || other.spec.selector === one.spec.selector);
    });
    byName.set(keyOf(placed), withRulesOf(byName.get(keyOf(placed)), placed));
  };
  const speaking = endpoints.filter(speaks).sort((a, b) => (a.id < b.id ? -1 : 1));
  for (const replicas of Map.groupBy(speaking, (one) => keyOfSubject(one)).values()) {
    const policies = replicas.map((one) => policyFor(one, subjectOf(one), problems));
    // Replicas of a service carry the same labels; where they differ, each container has its own policy.
    const agree = policies.every((policy) => policies[0] !== undefined && sameSpec(policy, policies[0]));
    for (const policy of agree ? policies : replicas.map((one) => policyFor(one, itself(one, replicas), [])))
      add(policy);
  }
  return { policies: [...byName.values()], problems };
}

interface Subject {
  readonly name: string;
  readonly selector: string;
}

/** The service that the container is a replica of, or the container. */
function subjectOf(endpoint: Endpoint): Subject {
  const service = endpoint.labels.get("manx/service");
  return service !== undefined && isName(service)
    ? { name: service, selector: `manx/service == "${service}"` }
    : itself(endpoint);
}

function keyOfSubject(endpoint: Endpoint): string {
  return `${endpoint.namespace} ${subjectOf(endpoint).selector}`;
}

/** The container alone: where another host has one of its name, that of its host. */
function itself({ container, host }: Endpoint, others: readonly Endpoint[] = []): Subject {
  const hasTwin = others.some((one) => one.container === container && one.host !== host);
  return {
    name: container,
    selector: `manx/container == "${container}"${hasTwin ? ` && manx/host == "${host}"` : ""}`,
  };
}

/** Two policies of one name would be one: `my-db` of the container my_db, of the container my-db, and what somebody wrote. */
function withFreeName(policy: NetworkPolicy, isFree: (policy: NetworkPolicy) => boolean): NetworkPolicy {
  const { metadata, spec } = policy;
  let named = policy;
  for (let turn = 0; !isFree(named); turn++) {
    const name = `${metadata.name}-${hash(`${spec.selector} ${turn}`)}`;
    named = { ...policy, metadata: { ...metadata, name } };
  }
  return named;
}

function sameSpec(a: NetworkPolicy, b: NetworkPolicy): boolean {
  return JSON.stringify(a.spec) === JSON.stringify(b.spec);
}

/** A container on several networks is one, and the members of each of them may be those that its ports are for. */
function withRulesOf(other: NetworkPolicy | undefined, policy: NetworkPolicy): NetworkPolicy {
  if (other === undefined || sameSpec(other, policy)) return policy;
  const joined = (key: "ingress" | "egress"): { readonly [key in "ingress" | "egress"]?: readonly PolicyRule[] } => {
    if (other.spec[key] === undefined && policy.spec[key] === undefined) return {};
    const rules = [...(other.spec[key] ?? []), ...(policy.spec[key] ?? [])];
    return { [key]: [...new Map(rules.map((rule) => [JSON.stringify(rule), rule])).values()] };
  };
  const types = (["Ingress", "Egress"] as const).filter((type) =>
    [other, policy].some(({ spec }) => spec.types.includes(type)),
  );
  return { ...policy, spec: { ...policy.spec, types, ...joined("ingress"), ...joined("egress") } };
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

function policyFor(endpoint: Endpoint, subject: Subject, problems: Problem[]): NetworkPolicy {
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
      selector: subject.selector,
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
