/** `manx why A B PORT`: the way of a packet and what decides at each step of it. */
import { z } from "@hono/zod-openapi";

export const WhyQuery = z
  .strictObject({
    from: z
      .string()
      .min(1)
      .max(512)
      .openapi({ description: 'container, network/container, address, "internet" or a host' }),
    to: z.string().min(1).max(512),
    port: z.int().min(0).max(65_535).optional(),
    protocol: z.string().max(16).default("tcp").openapi({ description: "tcp, udp, sctp, icmp, or a protocol number" }),
    icmpType: z.int().min(0).max(255).optional(),
    icmpCode: z.int().min(0).max(255).optional(),
    family: z.union([z.literal(4), z.literal(6)]).optional(),
    probe: z.boolean().optional().openapi({ description: "Send a real packet as well, and compare" }),
  })
  .readonly()
  .openapi("WhyQuery");
export type WhyQuery = z.infer<typeof WhyQuery>;

export const WhyStep = z
  .object({
    place: z.string().openapi({ example: "egress of web (host h1)" }),
    verdict: z.enum(["allow", "deny", "pass", "unknown"]),
    tier: z.string().optional(),
    policy: z.string().optional(),
    rule: z.string().optional().openapi({ example: "ingress[0]" }),
    text: z.string().openapi({ description: "What decided, in a sentence" }),
    nearest: z
      .string()
      .optional()
      .openapi({ description: "The rule that would almost have matched, and what it wants" }),
  })
  .readonly()
  .openapi("WhyStep");
export type WhyStep = z.infer<typeof WhyStep>;

export const WhyPath = z
  .object({
    source: z.string(),
    destination: z.string(),
    flow: z.string().openapi({ example: "tcp 5432" }),
    verdict: z.enum(["allow", "deny", "unknown"]),
    steps: z.array(WhyStep).readonly(),
    staged: z
      .object({ verdict: z.enum(["allow", "deny", "unknown"]), text: z.string() })
      .readonly()
      .optional()
      .openapi({ description: "What the staged policies would make of it, where that differs" }),
    probe: z
      .enum(["arrived", "refused", "dropped", "silent", "not-sent"])
      .optional()
      .openapi({ description: "silent: nobody answered, and nobody could look whether it arrived" }),
  })
  .readonly()
  .openapi("WhyPath");
export type WhyPath = z.infer<typeof WhyPath>;

export const WhyView = z
  .object({
    verdict: z.enum(["allow", "deny", "unknown"]).openapi({ description: "deny if any path is denied" }),
    paths: z.array(WhyPath).readonly().openapi({ description: "One a family, or one a pair of addresses" }),
    remedy: z.string().optional(),
  })
  .readonly()
  .openapi("Why");
export type WhyView = z.infer<typeof WhyView>;
