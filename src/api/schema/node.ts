/** A host of the cluster. */
import { z } from "@hono/zod-openapi";

export const NodeView = z
  .object({
    name: z.string(),
    self: z.boolean().openapi({ description: "The host that answers" }),
    state: z.enum(["alive", "silent", "removed"]).openapi({
      description: "silent: its agent has not been heard for 15 seconds; removed: it has no Node but has left traces",
    }),
    since: z.string().optional().openapi({ description: "RFC 3339: when its agent started" }),
    addresses: z.array(z.string()).readonly(),
    asNumber: z.union([z.int(), z.string()]).optional(),
    labels: z.record(z.string(), z.string()).readonly(),
    version: z.string().optional(),
    engine: z.string().optional(),
    kernel: z.string().optional(),
    endpoints: z.int(),
    blocks: z.array(z.object({ cidr: z.string(), pool: z.string() }).readonly()).readonly(),
    lent: z.array(z.string()).readonly().openapi({ description: "Addresses of its blocks that other hosts have" }),
    borrowed: z.array(z.string()).readonly(),
  })
  .readonly()
  .openapi("HostNode");
export type NodeView = z.infer<typeof NodeView>;

export const NodeRemoval = z
  .object({
    name: z.string(),
    endpoints: z.int().openapi({ description: "So many were forgotten" }),
    released: z.array(z.string()).readonly().openapi({ description: "Blocks that are free again" }),
    kept: z
      .array(z.object({ cidr: z.string(), why: z.string() }).readonly())
      .readonly()
      .openapi({ description: "Blocks that could not be released" }),
    resources: z
      .array(z.string())
      .readonly()
      .openapi({ description: "KIND NAME of what was written for this host alone, and is deleted" }),
  })
  .readonly()
  .openapi("NodeRemoval");
export type NodeRemoval = z.infer<typeof NodeRemoval>;
