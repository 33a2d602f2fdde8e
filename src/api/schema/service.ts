/** Service addresses: who has them, who is well, and who is taken out. */
import { z } from "@hono/zod-openapi";

export const ServiceMemberView = z
  .object({
    container: z.string(),
    network: z.string(),
    host: z.string(),
    state: z.enum(["up", "draining", "down", "elsewhere"]).openapi({
      description: "draining: about to end, gets nothing new. elsewhere: on another host, whose agent knows",
    }),
  })
  .readonly()
  .openapi("ServiceMember");
export type ServiceMemberView = z.infer<typeof ServiceMemberView>;

export const ServiceView = z
  .object({
    name: z
      .string()
      .openapi({ description: "Of the Service; of containers that a label brings together, their address" }),
    from: z.enum(["Service", "label"]),
    addresses: z.array(z.string()).readonly(),
    selector: z.string().optional(),
    check: z.string().openapi({ example: "http:8080/healthz" }),
    drain: z.number().openapi({ description: "Seconds between the withdrawal and the stop signal" }),
    announced: z.array(z.string()).readonly().openapi({ description: "Addresses that this host announces" }),
    members: z.array(ServiceMemberView).readonly(),
    problems: z.array(z.string()).readonly(),
  })
  .readonly()
  .openapi("Service");
export type ServiceView = z.infer<typeof ServiceView>;

export const ServiceList = z
  .object({ services: z.array(ServiceView).readonly() })
  .readonly()
  .openapi("ServiceList");
export type ServiceList = z.infer<typeof ServiceList>;

export const DrainRequest = z
  .strictObject({
    container: z.string().min(1).max(255).openapi({ description: "Its name, its ID, or the beginning of its ID" }),
    back: z.boolean().optional().openapi({ description: "Take it back instead" }),
  })
  .readonly()
  .openapi("DrainRequest");
export type DrainRequest = z.infer<typeof DrainRequest>;

export const DrainReport = z
  .object({
    container: z.string(),
    addresses: z.array(z.string()).readonly().openapi({ description: "Service addresses that it has a part in" }),
    changed: z.boolean(),
  })
  .readonly()
  .openapi("DrainReport");
export type DrainReport = z.infer<typeof DrainReport>;
