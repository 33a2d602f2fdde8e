/** What the event stream says: that something changed, and for resources also what. */
import { z } from "@hono/zod-openapi";
import { ResourceFrame } from "./resource.ts";

export const TOPICS = ["endpoints", "networks", "pools", "status", "resources"] as const;

export const AgentEvent = z
  .object({
    topic: z.enum(TOPICS),
    revision: z.int(),
    change: z
      .object({ type: z.enum(["put", "delete"]), resource: ResourceFrame })
      .readonly()
      .optional()
      .openapi({ description: "For the topic resources" }),
  })
  .readonly()
  .openapi("AgentEvent");
export type AgentEvent = z.infer<typeof AgentEvent>;
