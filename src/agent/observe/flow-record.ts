/** A flow as it is written for an agent to read: another one, or the same after a restart. What is read is believed only so far. */
import * as z from "zod";
import { FLOW_VERDICTS } from "../../api/schema/flow.ts";
import type { Flow } from "../../core/flows/flow.ts";

const text = z.string().max(512);
const Party = z.union([
  z.object({ kind: z.literal("endpoint"), address: text, container: text, network: text, namespace: text, host: text }),
  z.object({ kind: z.literal("host"), address: text, host: text }),
  z.object({ kind: z.literal("outside"), address: text }),
]);
const Reason = z.object({
  text: z.string().max(2_048), // longer than a tier's, a namespace's and a policy's name together
  direction: z.enum(["ingress", "egress"]).exactOptional(),
  tier: text.exactOptional(),
  policy: text.exactOptional(),
  namespace: text.exactOptional(),
  rule: text.exactOptional(),
});
const port = z.int().min(0).max(65_535);

export const FlowRecord: z.ZodType<Flow> = z.object({
  time: z.number(),
  first: z.number(),
  count: z.int().min(0),
  verdict: z.enum(FLOW_VERDICTS),
  family: z.union([z.literal(4), z.literal(6)]),
  protocol: z.int().min(0).max(255).exactOptional(),
  source: Party,
  destination: Party,
  sourcePort: port.exactOptional(),
  destinationPort: port.exactOptional(),
  icmp: z.object({ type: z.int(), code: z.int() }).exactOptional(),
  reasons: z.array(Reason).max(16),
});
