/** What `manx flows`, `manx drops` and the dashboard's map show. */
import { z } from "@hono/zod-openapi";

export const FLOW_VERDICTS = ["allow", "deny", "log", "would-allow", "would-deny", "would-pass"] as const;

const PartyView = z
  .object({
    kind: z.enum(["endpoint", "host", "outside"]),
    address: z.string(),
    container: z.string().optional(),
    network: z.string().optional(),
    namespace: z.string().optional(),
    host: z.string().optional(),
    gone: z.boolean().optional().openapi({ description: "There is no such container any more" }),
  })
  .readonly()
  .openapi("Party");
export type PartyView = z.infer<typeof PartyView>;

const ReasonView = z
  .object({
    text: z.string().openapi({ example: "tier default, NetworkPolicy shop/web: ingress[0] (Allow)" }),
    direction: z.enum(["ingress", "egress"]).optional(),
    tier: z.string().optional(),
    policy: z.string().optional(),
    namespace: z.string().optional(),
    rule: z.string().optional(),
  })
  .readonly()
  .openapi("Reason");

export const FlowView = z
  .object({
    verdict: z.enum(FLOW_VERDICTS).openapi({
      description: "would-*: what a staged policy would have done; log: a rule of action Log",
    }),
    first: z.string().openapi({ description: "RFC 3339", example: "2026-11-23T10:00:00.000Z" }),
    last: z.string(),
    count: z.int().openapi({ description: "Connections, or packets that were logged" }),
    protocol: z.string().openapi({ example: "tcp" }),
    source: PartyView,
    destination: PartyView,
    sourcePort: z.int().optional().openapi({ description: "Of the last one" }),
    destinationPort: z.int().optional(),
    icmp: z.object({ type: z.int(), code: z.int() }).optional(),
    hosts: z
      .array(z.string())
      .readonly()
      .optional()
      .openapi({ description: "Hosts that saw it, where all were asked; its count is the highest of theirs" }),
    reasons: z.array(ReasonView).openapi({ description: "What decided: the sender's egress, the receiver's ingress" }),
  })
  .readonly()
  .openapi("Flow");
export type FlowView = z.infer<typeof FlowView>;

export const FlowList = z
  .object({
    flows: z.array(FlowView),
    lost: z.int().openapi({ description: "Came faster than they could be taken, since the agent started" }),
    forgotten: z.int().openapi({ description: "Flows that went before their time, for want of room" }),
    blind: z
      .string()
      .optional()
      .openapi({ description: "Why drops by others than Manx are not seen on this host; absent: they are" }),
    silent: z
      .array(z.string())
      .readonly()
      .optional()
      .openapi({ description: "With hosts=all: those that have told nothing" }),
  })
  .readonly()
  .openapi("FlowList");
export type FlowList = z.infer<typeof FlowList>;

const text = z.string().min(1).max(253).optional();

/** In a query string, where everything is text. */
export const FlowQuery = z.strictObject({
  from: text.openapi({ description: "Container, NETWORK/CONTAINER, address, host, or internet" }),
  to: text,
  port: z.coerce.number().int().min(0).max(65_535).optional(),
  protocol: text.openapi({ description: "Name or number", example: "udp" }),
  verdict: text.openapi({ description: `Comma-separated: ${FLOW_VERDICTS.join(", ")}` }),
  policy: text,
  network: text,
  hosts: z
    .literal("all")
    .optional()
    .openapi({ description: "Of all hosts of the cluster: of the others the last 300 flows each, some seconds old" }),
  /** Seconds. */
  since: z.coerce
    .number()
    .positive()
    .max(86_400)
    .optional()
    .openapi({ description: "Seen in the last so many seconds" }),
  limit: z.coerce.number().int().min(1).max(100_000).optional(),
});
export type FlowQuery = z.infer<typeof FlowQuery>;
