/** What a run of policy tests came to. */
import type { FlowResult } from "../core/calc/policy-test-run.ts";

export interface TestReport {
  readonly file: string;
  readonly name: string;
  readonly flows: readonly FlowResult[];
}

/** `step 2: web -> db TCP 5432 (IPv4)`. */
export function flowTitle({ step, flow, family }: FlowResult): string {
  const { from, to, protocol, port, sourcePort, icmp } = flow;
  const details = [
    String(protocol),
    port === undefined ? undefined : String(port),
    sourcePort === undefined ? undefined : `from port ${sourcePort}`,
    icmp === undefined ? undefined : [icmp.type, icmp.code].filter((part) => part !== undefined).join("/"),
  ].filter((part) => part !== undefined);
  return `step ${step}: ${from} -> ${to} ${details.join(" ")} (IPv${family})`;
}

export function flowText(result: FlowResult): string {
  return `${flowTitle(result)}: expected ${result.flow.expect}, got ${result.got}`;
}
