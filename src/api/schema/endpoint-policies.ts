/** What decides about an endpoint, in order, and what has gone through its interface. */
import { z } from "@hono/zod-openapi";

export const PolicyStageView = z
  .object({
    kind: z.string().openapi({ example: "NetworkPolicy" }),
    name: z.string(),
    namespace: z.string().optional(),
    staged: z.boolean(),
    actions: z.array(z.string()).readonly().openapi({ description: "Of its rules of this direction, in order" }),
    missing: z.boolean().optional().openapi({ description: "A profile that nobody has defined: it allows nothing" }),
    isolation: z.enum(["network", "endpoint", "off"]).optional().openapi({ description: "Of a network" }),
    internal: z.boolean().optional(),
  })
  .readonly()
  .openapi("PolicyStage");
export type PolicyStageView = z.infer<typeof PolicyStageView>;

export const DirectionView = z
  .object({
    tiers: z
      .array(
        z
          .object({
            name: z.string(),
            end: z.enum(["Deny", "Pass"]).openapi({ description: "What happens to what no policy of it decides" }),
            policies: z.array(PolicyStageView).readonly(),
          })
          .readonly(),
      )
      .readonly(),
    profiles: z.array(PolicyStageView).readonly(),
  })
  .readonly()
  .openapi("PolicyOrder");
export type DirectionView = z.infer<typeof DirectionView>;

export const EndpointPolicies = z
  .object({ ingress: DirectionView, egress: DirectionView })
  .readonly()
  .openapi("EndpointPolicies");
export type EndpointPolicies = z.infer<typeof EndpointPolicies>;

const Traffic = z.object({ packets: z.int(), bytes: z.int(), dropped: z.int() }).readonly();

export const EndpointCounters = z
  .object({ sent: Traffic, received: Traffic })
  .readonly()
  .openapi("EndpointCounters", { description: "Of its interface, as the endpoint sees it" });
export type EndpointCounters = z.infer<typeof EndpointCounters>;
