/** What `manx status` and `manx version` show. */
import { z } from "@hono/zod-openapi";

export const VersionView = z
  .object({
    version: z.string(),
    node: z.string().openapi({ description: "Version of the JavaScript runtime" }),
    kernel: z.string().optional(),
    engine: z
      .string()
      .optional()
      .openapi({ description: "Version of the Docker engine; absent while it does not answer" }),
    bird: z.string().optional(),
  })
  .readonly()
  .openapi("Version");
export type VersionView = z.infer<typeof VersionView>;

export const Component = z
  .object({
    name: z.enum(["agent", "engine", "store", "dataplane", "bgp", "names"]),
    state: z.enum(["ok", "off", "degraded", "failed"]).openapi({
      description: "off: not wanted, which is well; degraded: works, but not all of it or not for long",
    }),
    summary: z.string().openapi({ example: "Docker 26.1.5, 3 networks" }),
    why: z.string().optional(),
    remedy: z.string().optional(),
  })
  .readonly()
  .openapi("Component");
export type Component = z.infer<typeof Component>;

export const StatusView = z
  .object({
    host: z.string(),
    version: z.string(),
    startedAt: z.string().openapi({ description: "RFC 3339", example: "2026-11-23T10:00:00.000Z" }),
    components: z.array(Component).readonly(),
    hostEndpoints: z
      .array(z.object({ interface: z.string(), name: z.string() }).readonly())
      .readonly()
      .openapi({ description: "Interfaces of this host under policy, and the HostEndpoint that stands for each" }),
    failsafe: z
      .object({ inbound: z.array(z.string()).readonly(), outbound: z.array(z.string()).readonly() })
      .readonly()
      .openapi({
        description: "Ports of this host that no policy can close",
        example: { inbound: ["tcp:22"], outbound: [] },
      }),
    counts: z.object({ hosts: z.int(), networks: z.int(), endpoints: z.int(), pools: z.int() }).readonly(),
  })
  .readonly()
  .openapi("Status");
export type StatusView = z.infer<typeof StatusView>;
