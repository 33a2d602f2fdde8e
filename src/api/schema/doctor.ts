/** What `manx doctor` shows: one check a line, with what was found and what to do. */
import { z } from "@hono/zod-openapi";

export const FixAction = z
  .discriminatedUnion("kind", [
    z.object({ kind: z.literal("resync") }).readonly(),
    z.object({ kind: z.literal("sysctl"), path: z.string(), value: z.string() }).readonly(),
    z.object({ kind: z.literal("release-orphans") }).readonly(),
    z.object({ kind: z.literal("accept-forward") }).readonly(),
    z.object({ kind: z.literal("reopen-plugin-socket") }).readonly(),
  ])
  .openapi("FixAction", { description: "What the agent can repair by itself without harm to anybody's traffic" });
export type FixAction = z.infer<typeof FixAction>;

export const Check = z
  .object({
    id: z.string().openapi({ example: "forwarding-ipv4" }),
    title: z.string().openapi({ example: "The kernel forwards IPv4" }),
    state: z.enum(["ok", "warning", "failed", "unknown"]),
    found: z.string().openapi({ example: "net.ipv4.ip_forward is 0" }),
    remedy: z.string().optional().openapi({ description: "A sentence, or the command to type" }),
    fix: FixAction.optional().openapi({ description: "Present where `manx doctor --fix` repairs it" }),
  })
  .readonly()
  .openapi("Check");
export type Check = z.infer<typeof Check>;

export const DoctorView = z
  .object({ checks: z.array(Check).readonly() })
  .readonly()
  .openapi("Doctor");
export type DoctorView = z.infer<typeof DoctorView>;

export const FixReport = z
  .object({
    fixed: z.array(z.object({ id: z.string(), did: z.string() }).readonly()).readonly(),
    failed: z.array(z.object({ id: z.string(), why: z.string() }).readonly()).readonly(),
    checks: z.array(Check).readonly().openapi({ description: "The checks as they are after the repair" }),
  })
  .readonly()
  .openapi("FixReport");
export type FixReport = z.infer<typeof FixReport>;
