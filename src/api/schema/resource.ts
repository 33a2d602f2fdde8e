/**
 * Resources on the wire. Only the frame is checked here; what stands in `spec` is judged by core/model, which knows every
 * kind and returns all problems with their paths.
 */
import { z } from "@hono/zod-openapi";

export const ResourceFrame = z
  .looseObject({
    apiVersion: z.string().max(64),
    kind: z.string().max(64),
    metadata: z.looseObject({ name: z.string().max(253), namespace: z.string().max(253).optional() }),
  })
  .openapi("Resource");
export type ResourceFrame = z.infer<typeof ResourceFrame>;

export const ResourceList = z
  .object({
    revision: z.int().openapi({ description: "Revision of the store that the list was read at: where to watch from" }),
    items: z.array(ResourceFrame).readonly(),
  })
  .readonly()
  .openapi("ResourceList");

export const ChangeRequest = z
  .strictObject({
    mode: z.enum(["apply", "create", "replace", "delete"]).openapi({
      description:
        "apply: make or replace; create: refuse what exists; replace: refuse what does not; delete: only names count, and resourceVersion where it is given",
    }),
    resources: z.array(ResourceFrame).max(100_000).readonly(),
    dryRun: z.boolean().optional().openapi({ description: "Say what would change, change nothing" }),
    force: z.boolean().optional().openapi({ description: "Even if it cuts the session that the request came over" }),
    session: z
      .strictObject({
        client: z.string().max(45),
        clientPort: z.int().min(0).max(65_535),
        server: z.string().max(45),
        serverPort: z.int().min(0).max(65_535),
      })
      .readonly()
      .optional()
      .openapi({ description: "The connection over which the user works; cutting it needs force" }),
    confirmWithin: z.int().min(5).max(86_400).optional().openapi({
      description: "Seconds after which the change is undone unless it is confirmed",
    }),
    ignoreMissing: z.boolean().optional().openapi({ description: "For delete: what is gone already is well" }),
    ignoreExisting: z.boolean().optional().openapi({ description: "For create: what exists stays as it is" }),
  })
  .readonly()
  .openapi("ChangeRequest");
export type ChangeRequest = z.infer<typeof ChangeRequest>;

export const ChangeResult = z
  .object({
    kind: z.string(),
    name: z.string(),
    namespace: z.string().optional(),
    outcome: z.enum(["created", "updated", "unchanged", "deleted", "absent"]),
    before: ResourceFrame.optional(),
    after: ResourceFrame.optional(),
  })
  .readonly()
  .openapi("ChangeResult");
export type ChangeResult = z.infer<typeof ChangeResult>;

export const VerdictChange = z
  .object({
    from: z.string(),
    to: z.string(),
    flow: z.string().openapi({ example: "tcp 5432, other tcp" }),
    before: z.enum(["allow", "deny"]),
    after: z.enum(["allow", "deny"]),
    decidedBy: z.string().openapi({ description: "Tier, policy and rule that decide after the change" }),
    staged: z.boolean().optional().openapi({ description: "Only if the staged policies were in force" }),
  })
  .readonly()
  .openapi("VerdictChange");
export type VerdictChange = z.infer<typeof VerdictChange>;

export const ChangeReport = z
  .object({
    revision: z.int(),
    results: z.array(ChangeResult).readonly(),
    verdicts: z
      .array(VerdictChange)
      .readonly()
      .optional()
      .openapi({ description: "With dryRun: between existing endpoints, this host and the internet" }),
    verdictsComplete: z.boolean().optional().openapi({ description: "False: too many to ask about all of them" }),
    confirmBefore: z.string().optional().openapi({ description: "RFC 3339; without a confirmation it is undone then" }),
  })
  .readonly()
  .openapi("ChangeReport");
export type ChangeReport = z.infer<typeof ChangeReport>;

export const ConfirmReport = z
  .object({ confirmed: z.int().openapi({ description: "Number of resources that the confirmed change had touched" }) })
  .readonly()
  .openapi("ConfirmReport");
export type ConfirmReport = z.infer<typeof ConfirmReport>;
