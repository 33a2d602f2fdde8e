/** `manx test --kernel`: a policy test's endpoints as veth pairs of a namespace, its flows as real packets. Root only. */
import {
  type FlowResult,
  judgeFlow,
  type PreparedFlow,
  type PreparedStep,
  policyTestSteps,
  UPLINK,
} from "../core/calc/policy-test-run.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import type { PolicyTest } from "../core/model/policy-test.ts";
import type { AnyResource } from "../core/model/resources.ts";
import { DriverError } from "../drivers/error.ts";
import { findBinary } from "../drivers/exec.ts";
import { KernelHost, type Shot } from "./kernel-host.ts";

const NEEDED = { ip: "iproute2" } as const;
/** A packet that did not arrive is sent again: on a busy machine it may just have been late. */
const ATTEMPTS = 3;

/** As `runPolicyTest`, by the kernel. @throws PolicyTestError, DriverError */
export async function runOnKernel(test: PolicyTest, resources: readonly AnyResource[] = []): Promise<FlowResult[]> {
  for (const [program, name] of Object.entries(NEEDED))
    if (findBinary(program) === undefined)
      throw new DriverError(
        "not-found",
        `Cannot ask the kernel: there is no "${program}". Install it: apt install ${name}`,
      );
  const steps = [...policyTestSteps(test, resources)];
  using kernel = new KernelHost("t", everyEndpoint(steps), []);
  const out: FlowResult[] = [];
  for (const step of steps) {
    await kernel.load(step.state);
    const results = new Map<PreparedFlow, FlowResult>();
    for (const round of rounds(step.flows))
      for (const [flow, result] of await shoot(kernel, step, round)) results.set(flow, result);
    out.push(...step.flows.flatMap((flow) => results.get(flow) ?? []));
  }
  return out;
}

function everyEndpoint(steps: readonly PreparedStep[]): Endpoint[] {
  const all = steps.flatMap(({ snapshot }) => snapshot.endpoints);
  return [...new Map(all.map((endpoint) => [endpoint.local?.interface, endpoint])).values()];
}

/** Flows that conntrack cannot take for repetitions or replies of each other. */
function rounds(flows: readonly PreparedFlow[]): PreparedFlow[][] {
  const out: { flows: PreparedFlow[]; taken: Set<string> }[] = [];
  for (const flow of flows) {
    const { protocol, source, destination } = flow.packet;
    const pair = [protocol, ...[source, destination].sort()].join(" ");
    const free = out.find(({ taken }) => !taken.has(pair));
    if (free === undefined) out.push({ flows: [flow], taken: new Set([pair]) });
    else {
      free.flows.push(flow);
      free.taken.add(pair);
    }
  }
  return out.map((round) => round.flows);
}

async function shoot(
  kernel: KernelHost,
  step: PreparedStep,
  flows: readonly PreparedFlow[],
): Promise<[PreparedFlow, FlowResult][]> {
  const judged = new Map(flows.map((flow) => [flow, judgeFlow(step, flow)]));
  const arrived = new Set<PreparedFlow>();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const missing = flows.filter(
      (flow) => canBeSent(flow) && !arrived.has(flow) && (attempt === 0 || judged.get(flow)?.got === "allow"),
    );
    if (missing.length === 0) break;
    kernel.forget();
    const places = await kernel.shoot(missing.map(shotOf));
    for (const [index, flow] of missing.entries()) if (places[index]?.has(flow.to)) arrived.add(flow);
  }
  return flows.map((flow) => [flow, withKernel(judged.get(flow) ?? judgeFlow(step, flow), flow, arrived.has(flow))]);
}

function shotOf({ packet, from }: PreparedFlow): Shot {
  return { flow: packet, from };
}

/** Conntrack takes an ICMP message for the start of a flow only if it asks for an echo (nf_conntrack_proto_icmp.c). */
function canBeSent({ packet, from, to }: PreparedFlow): boolean {
  const { protocol, icmp } = packet;
  if (from === UPLINK && to === UPLINK) return false;
  if (protocol === 1) return icmp?.type === 8;
  if (protocol === 58) return icmp?.type === 128;
  return protocol !== 136; // the checksum of UDPLite covers what its header says
}

function withKernel(judged: FlowResult, flow: PreparedFlow, arrived: boolean): FlowResult {
  if (!canBeSent(flow))
    return {
      ...judged,
      decidedBy: [...judged.decidedBy, "judged by the compiled rules: such a packet cannot begin a flow"],
    };
  const got = arrived ? "allow" : "deny";
  const disagree =
    got === judged.got ? [] : [`the kernel does not agree with the compiled rules, which say ${judged.got}`];
  return { ...judged, got, ok: got === judged.flow.expect, decidedBy: [...judged.decidedBy, ...disagree] };
}
