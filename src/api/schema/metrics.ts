/** What programs that watch this host ask: whether it lives, whether it is ready, and its numbers. */
import { z } from "@hono/zod-openapi";

export const Readiness = z
  .object({
    ready: z.boolean(),
    checks: z
      .array(
        z
          .object({ name: z.enum(["kernel", "docker", "store"]), ok: z.boolean(), why: z.string().optional() })
          .readonly(),
      )
      .readonly(),
  })
  .readonly()
  .openapi("Readiness", {
    description: "ready: the policy in force is the one that is wanted, and Docker can ask. The store may be away.",
  });
export type Readiness = z.infer<typeof Readiness>;

export const Health = z
  .object({ status: z.literal("ok"), uptime: z.number().openapi({ description: "Seconds" }) })
  .readonly()
  .openapi("Health");
