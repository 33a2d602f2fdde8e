/** An IP pool and how much of it is used. */
import { z } from "@hono/zod-openapi";

export const BlockView = z
  .object({ cidr: z.string(), host: z.string(), allocated: z.int() })
  .readonly()
  .openapi("Block");

export const PoolView = z
  .object({
    name: z.string(),
    cidr: z.string(),
    family: z.union([z.literal(4), z.literal(6)]),
    blockSize: z.int(),
    disabled: z.boolean(),
    natOutgoing: z.boolean(),
    nodeSelector: z.string(),
    allowedUses: z.array(z.string()).readonly(),
    assignmentMode: z.enum(["Automatic", "Manual"]),
    size: z
      .string()
      .openapi({ description: "Number of addresses, in decimal: it may not fit a double", example: "65536" }),
    allocated: z.int(),
    blocks: z.array(BlockView).readonly(),
    networks: z.array(z.string()).readonly().openapi({ description: "Networks that take addresses from it" }),
  })
  .readonly()
  .openapi("Pool");
export type PoolView = z.infer<typeof PoolView>;

/** What `manx pool add` asks for; what is left out gets Calico's default. */
export const PoolRequest = z
  .strictObject({
    cidr: z.string().max(64).openapi({ example: "10.66.0.0/16" }),
    name: z.string().max(253).optional().openapi({ description: "Made from the CIDR where it is left out" }),
    blockSize: z.int().min(0).max(128).optional(),
    natOutgoing: z.boolean().optional(),
    disabled: z.boolean().optional(),
    nodeSelector: z.string().max(4096).optional(),
    assignmentMode: z.enum(["Automatic", "Manual"]).optional(),
  })
  .readonly()
  .openapi("PoolRequest");
export type PoolRequest = z.infer<typeof PoolRequest>;
