/** What a policy test names must be there at that step, and a flow must be one that its ends can have. */
import { parseAddress } from "../net/address.ts";
import type { Finding } from "./issues.ts";
import type { Segment } from "./loose.ts";
import type { TestEndpoint, TestFlow } from "./policy-test.ts";

interface Step {
  readonly setLabels: readonly { readonly endpoint: string }[];
  readonly addEndpoints: readonly TestEndpoint[];
  readonly removeEndpoints: readonly string[];
  readonly flows: readonly TestFlow[];
}

interface Test {
  readonly endpoints: readonly TestEndpoint[];
  readonly steps: readonly Step[];
  readonly flows: readonly TestFlow[];
}

/** Pushes a finding for each name that means nothing, or two things, where it is used. */
export function checkReferences(test: Test, findings: Finding[]): void {
  const known = new Map<string, TestEndpoint>();
  const tell = (segments: readonly Segment[], message: string) => findings.push({ segments, message });
  add(test.endpoints, ["endpoints"], known, tell);
  checkFlows(test.flows, ["flows"], known, tell);
  for (const [index, step] of test.steps.entries()) {
    const at = ["steps", index];
    for (const [i, { endpoint }] of step.setLabels.entries())
      checkName(endpoint, [...at, "setLabels", i, "endpoint"], known, tell);
    add(step.addEndpoints, [...at, "addEndpoints"], known, tell);
    for (const [i, name] of step.removeEndpoints.entries()) {
      const found = checkName(name, [...at, "removeEndpoints", i], known, tell);
      if (found !== undefined) known.delete(keyOf(found));
    }
    checkFlows(step.flows, [...at, "flows"], known, tell);
  }
}

type Known = Map<string, TestEndpoint>;
type Tell = (segments: readonly Segment[], message: string) => void;

function keyOf({ namespace, name }: TestEndpoint): string {
  return `${namespace}/${name}`;
}

function add(endpoints: readonly TestEndpoint[], at: readonly Segment[], known: Known, tell: Tell): void {
  for (const [index, endpoint] of endpoints.entries()) {
    if (known.has(keyOf(endpoint))) tell([...at, index, "name"], `there is an endpoint "${endpoint.name}" already`);
    known.set(keyOf(endpoint), endpoint);
  }
}

/** The endpoints that a test means by `name` or `namespace/name`: one, if the test is good. */
export function endpointsNamed(name: string, endpoints: Iterable<TestEndpoint>): TestEndpoint[] {
  return [...endpoints].filter((endpoint) => endpoint.name === name || keyOf(endpoint) === name);
}

function checkName(name: string, at: readonly Segment[], known: Known, tell: Tell): TestEndpoint | undefined {
  const found = endpointsNamed(name, known.values());
  if (found.length === 0) tell(at, `there is no endpoint "${name}" at this point`);
  if (found.length > 1) tell(at, `"${name}" can be ${found.map(keyOf).join(" or ")}: write one of these`);
  return found.length === 1 ? found[0] : undefined;
}

function checkFlows(flows: readonly TestFlow[], at: readonly Segment[], known: Known, tell: Tell): void {
  for (const [index, flow] of flows.entries()) {
    const here = [...at, index];
    const from = checkName(flow.from, [...here, "from"], known, tell);
    const to = checkName(flow.to, [...here, "to"], known, tell);
    checkPacket(flow, here, tell);
    if (from === undefined || to === undefined) continue;
    const common = familiesOf(from).filter((family) => familiesOf(to).includes(family));
    const wanted = flow.ipVersion ?? FAMILY_OF[String(flow.protocol)];
    if (common.length === 0 || (wanted !== undefined && !common.includes(wanted)))
      tell(
        here,
        `${flow.from} and ${flow.to} have no ${wanted === undefined ? "" : `IPv${wanted} `}addresses to talk with each other`,
      );
  }
}

const FAMILY_OF: Readonly<Record<string, 4 | 6>> = { ICMP: 4, "1": 4, ICMPv6: 6, "58": 6 };

function familiesOf({ addresses }: TestEndpoint): number[] {
  return addresses.flatMap((address) => parseAddress(address)?.family ?? []);
}

function checkPacket(flow: TestFlow, at: readonly Segment[], tell: Tell): void {
  const hasPorts = ["TCP", "UDP", "SCTP", "6", "17", "132"].includes(String(flow.protocol));
  const family = FAMILY_OF[String(flow.protocol)];
  if (hasPorts && flow.port === undefined) tell([...at, "port"], `is missing: a ${flow.protocol} flow has a port`);
  for (const name of ["port", "sourcePort"] as const)
    if (!hasPorts && flow[name] !== undefined) tell([...at, name], `${flow.protocol} has no ports`);
  if (flow.icmp !== undefined && family === undefined) tell([...at, "icmp"], "needs protocol ICMP or ICMPv6");
  if (family !== undefined && flow.ipVersion !== undefined && flow.ipVersion !== family)
    tell([...at, "ipVersion"], `${flow.protocol} is of IPv${family}`);
}
