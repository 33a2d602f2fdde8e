/**
 * Runs a `PolicyTest`: its endpoints become a host's, its resources are derived and compiled as on a real one, and each flow's
 * first packet goes through the compiled rules. Pure; `steps` hands out the same states and packets to whoever judges otherwise.
 */

import type { PolicyTest, TestEndpoint, TestFlow, TestStep } from "../model/policy-test.ts";
import { endpointsNamed } from "../model/policy-test-references.ts";
import type { AnyResource, Kind, Profile } from "../model/resources.ts";
import { titleOf } from "../model/together.ts";
import type { Family } from "../net/address.ts";
import { formatAddress, parseAddress } from "../net/address.ts";
import { evaluate } from "../rules/evaluate.ts";
import type { Packet } from "../rules/packet.ts";
import { ICMP, ICMPV6, protocolNumber } from "../rules/protocol.ts";
import { decisions } from "./decision.ts";
import { derive } from "./derive.ts";
import type { HostState } from "./host-state.ts";
import { NAMESPACE_PREFIX, namespaceProfile } from "./labels.ts";
import { membershipOf } from "./membership.ts";
import type { Endpoint, NamedPort, Snapshot } from "./snapshot.ts";
import { stateRouting } from "./state-routing.ts";

export interface FlowResult {
  /** From 1. */
  readonly step: number;
  readonly flow: TestFlow;
  readonly family: Family;
  readonly got: "allow" | "deny";
  readonly ok: boolean;
  /** What decided on the way, one sentence each. */
  readonly decidedBy: readonly string[];
}

/** One flow of a step, as a packet. */
export interface PreparedFlow {
  readonly flow: TestFlow;
  readonly packet: Packet;
  /** Where it comes in: an endpoint's interface, or the uplink. */
  readonly from: string;
  /** Where it leaves if nothing stops it. */
  readonly to: string;
}

export interface PreparedStep {
  /** From 1. */
  readonly number: number;
  readonly snapshot: Snapshot;
  readonly state: HostState;
  readonly flows: readonly PreparedFlow[];
}

/** A test that cannot be run: something it deletes is not there. The message says what. */
export class PolicyTestError extends Error {
  override readonly name = "PolicyTestError";
}

export const UPLINK = "eth0";
const HOST = "test";
const OUTSIDE_MAC = "02:00:00:00:00:01";

/** @param resources those of the test's files, which the caller has read. @throws PolicyTestError */
export function runPolicyTest(test: PolicyTest, resources: readonly AnyResource[] = []): FlowResult[] {
  return [...policyTestSteps(test, resources)].flatMap((step) =>
    step.flows.map((prepared) => judgeFlow(step, prepared)),
  );
}

/** What the compiled rules say of one flow. */
export function judgeFlow({ number, snapshot, state }: PreparedStep, { flow, packet, from }: PreparedFlow): FlowResult {
  const routing = stateRouting(state, { hostAddresses: [], uplink: UPLINK });
  const evaluation = evaluate(state.ruleset, packet, from, routing);
  const got = evaluation.outcome === "accept" ? "allow" : "deny";
  const told = decisions(evaluation, state.origins, membershipOf(snapshot));
  const decidedBy = told.map(({ verdict, text }) => `${verdict}: ${text}`);
  const why = evaluation.route.kind === "none" ? [`no way: ${evaluation.route.why}`] : [];
  return { step: number, flow, family: packet.family, got, ok: got === flow.expect, decidedBy: [...decidedBy, ...why] };
}

/** Each step's state after its changes, with its flows. @throws PolicyTestError */
export function* policyTestSteps(test: PolicyTest, resources: readonly AnyResource[] = []): Generator<PreparedStep> {
  const world = new World();
  for (const resource of [...resources, ...test.resources]) world.apply(resource);
  for (const { name, labels } of test.namespaces) world.setNamespace(name, labels);
  for (const endpoint of test.endpoints) world.addEndpoint(endpoint);
  for (const [index, step] of test.steps.entries()) {
    world.take(step, index + 1);
    const snapshot = world.snapshot();
    const flows = step.flows.flatMap((flow) => world.prepare(flow));
    yield { number: index + 1, snapshot, state: derive(snapshot), flows };
  }
}

interface Placed {
  readonly endpoint: TestEndpoint;
  /** Tells interfaces and MACs apart; an endpoint keeps its own. */
  readonly number: number;
}

/** The resources and endpoints that are there at a moment of a test. */
class World {
  readonly #resources = new Map<string, AnyResource>();
  readonly #namespaces = new Map<string, Readonly<Record<string, string>>>();
  readonly #endpoints = new Map<string, Placed>();
  #count = 0;

  /** In the order that `TestStep` promises. */
  take(step: TestStep, number: number): void {
    for (const resource of step.apply) this.apply(resource);
    for (const { name, labels } of step.namespaces) this.setNamespace(name, labels);
    for (const reference of step.delete) this.#delete(reference, number);
    for (const { endpoint, labels } of step.setLabels) {
      const placed = this.#find(endpoint);
      this.#endpoints.set(keyOf(placed.endpoint), { ...placed, endpoint: { ...placed.endpoint, labels } });
    }
    for (const endpoint of step.addEndpoints) this.addEndpoint(endpoint);
    for (const name of step.removeEndpoints) this.#endpoints.delete(keyOf(this.#find(name).endpoint));
  }

  apply(resource: AnyResource): void {
    this.#resources.set(titleOf(resource), resource);
  }

  setNamespace(name: string, labels: Readonly<Record<string, string>>): void {
    this.#namespaces.set(name, labels);
  }

  addEndpoint(endpoint: TestEndpoint): void {
    this.#endpoints.set(keyOf(endpoint), { endpoint, number: ++this.#count });
  }

  #delete({ kind, name, namespace }: TestStep["delete"][number], step: number): void {
    // Whoever deletes a namespaced resource may leave out the namespace `default`.
    const metadata = { name, ...(namespace !== undefined && { namespace }) };
    const titles = [metadata, { ...metadata, namespace: namespace ?? "default" }].map((one) =>
      titleOf({ kind, metadata: one } as AnyResource),
    );
    const title = titles.find((one) => this.#resources.has(one));
    if (title === undefined) throw new PolicyTestError(`step ${step} deletes the ${titles[0]}, which is not there`);
    this.#resources.delete(title);
  }

  #find(name: string): Placed {
    const all = [...this.#endpoints.values()];
    const [found] = endpointsNamed(
      name,
      all.map(({ endpoint }) => endpoint),
    );
    const placed = found && this.#endpoints.get(keyOf(found));
    if (placed === undefined) throw new PolicyTestError(`there is no endpoint "${name}"`);
    return placed;
  }

  #all<K extends Kind>(...kinds: readonly K[]): Extract<AnyResource, { kind: K }>[] {
    const wanted: readonly Kind[] = kinds;
    return [...this.#resources.values()].filter((one): one is Extract<AnyResource, { kind: K }> =>
      wanted.includes(one.kind),
    );
  }

  snapshot(): Snapshot {
    const networks = this.#all("Network");
    const names = new Set(networks.map(({ metadata }) => metadata.name));
    const inside = [...this.#endpoints.values()].filter(({ endpoint }) => !endpoint.external);
    return {
      host: HOST,
      nodes: [],
      pools: this.#all("IPPool"),
      reservations: [],
      blocks: [],
      networks,
      endpoints: inside.map((placed) => toEndpoint(placed, names)),
      policies: this.#all("GlobalNetworkPolicy", "NetworkPolicy"),
      stagedPolicies: this.#all("StagedGlobalNetworkPolicy", "StagedNetworkPolicy"),
      tiers: this.#all("Tier"),
      profiles: [...this.#all("Profile"), ...[...this.#namespaces].map(([name, labels]) => toProfile(name, labels))],
      networkSets: this.#all("GlobalNetworkSet", "NetworkSet"),
      hostEndpoints: this.#all("HostEndpoint"),
      hostInterfaces: [],
      settings: { endpointToHost: "restricted", guardForwarding: [] },
    };
  }

  /** One packet an IP version that both ends have, from the first address to the first. */
  prepare(flow: TestFlow): PreparedFlow[] {
    const [from, to] = [this.#find(flow.from), this.#find(flow.to)];
    const protocol = protocolNumber(flow.protocol);
    return ([4, 6] as const).flatMap((family) => {
      const [source, destination] = [from, to].map(({ endpoint }) => firstAddress(endpoint, family));
      if (source === undefined || destination === undefined || !speaks(flow, protocol, family)) return [];
      const packet: Packet = {
        family,
        protocol,
        source,
        destination,
        mac: from.endpoint.external ? OUTSIDE_MAC : macOf(from),
        ...contents(flow, protocol),
      };
      return [{ flow, packet, from: interfaceOf(from), to: interfaceOf(to) }];
    });
  }
}

function speaks(flow: TestFlow, protocol: number, family: Family): boolean {
  if (flow.ipVersion !== undefined && flow.ipVersion !== family) return false;
  return protocol === ICMP ? family === 4 : protocol === ICMPV6 ? family === 6 : true;
}

const SOURCE_PORT = 40_000;

/** Ports, or type and code: of an echo request where the test says none. */
function contents(flow: TestFlow, protocol: number): Partial<Packet> {
  if (protocol === ICMP || protocol === ICMPV6) {
    const echo = protocol === ICMP ? 8 : 128;
    return { icmp: { type: flow.icmp?.type ?? echo, code: flow.icmp?.code ?? 0 } };
  }
  if (flow.port === undefined) return {};
  return { sourcePort: flow.sourcePort ?? SOURCE_PORT, destinationPort: flow.port };
}

const keyOf = ({ namespace, name }: TestEndpoint): string => `${namespace}/${name}`;

function firstAddress({ addresses }: TestEndpoint, family: Family): string | undefined {
  return canonical(addresses).find((text) => text.includes(":") === (family === 6));
}

function canonical(addresses: readonly string[]): string[] {
  return addresses.flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed === undefined ? [] : [formatAddress(parsed)];
  });
}

const hex = (number: number, digits: number): string => number.toString(16).padStart(digits, "0");

function interfaceOf({ endpoint, number }: Placed): string {
  return endpoint.external ? UPLINK : `manx${hex(number, 11)}`;
}

function macOf({ number }: Placed): string {
  return `02:42:${(hex(number, 8).match(/../g) ?? []).join(":")}`;
}

function toEndpoint(placed: Placed, networks: ReadonlySet<string>): Endpoint {
  const { endpoint, number } = placed;
  const addresses = canonical(endpoint.addresses);
  return {
    id: hex(number, 64),
    host: HOST,
    namespace: endpoint.namespace,
    container: "",
    // A profile may be the name of a network; the network's own place is the last.
    network: endpoint.profiles.findLast((name) => networks.has(name)) ?? "",
    addresses: [...addresses.filter((one) => !one.includes(":")), ...addresses.filter((one) => one.includes(":"))],
    labels: new Map(Object.entries(endpoint.labels)),
    profiles: endpoint.profiles,
    ports: Object.entries(endpoint.ports).map(([name, port]) => toNamedPort(name, port)),
    published: [],
    local: {
      interface: interfaceOf(placed),
      peer: `mxp${hex(number, 11)}`,
      mac: macOf(placed),
      mtu: 1500,
      gatewayIndex: 1,
      joined: true,
    },
  };
}

const PROTOCOL_NAMES: Readonly<Record<number, NamedPort["protocol"]>> = { 6: "TCP", 17: "UDP", 132: "SCTP" };

function toNamedPort(name: string, { protocol, port }: TestEndpoint["ports"][string]): NamedPort {
  return { name, port, protocol: PROTOCOL_NAMES[protocolNumber(protocol)] ?? "TCP" };
}

function toProfile(namespace: string, labels: Readonly<Record<string, string>>): Profile {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "Profile",
    metadata: { name: namespaceProfile(namespace) },
    spec: {
      labelsToApply: Object.fromEntries(
        Object.entries(labels).map(([key, value]) => [`${NAMESPACE_PREFIX}${key}`, value]),
      ),
    },
  };
}
