/** Text in, resources and problems out: what an editor needs. */
import { z } from "@hono/zod-openapi";
import { ResourceFrame } from "./resource.ts";

export const ValidateRequest = z.strictObject({ text: z.string() }).readonly().openapi("ValidateRequest");

export const ValidateReport = z
  .object({
    resources: z.array(ResourceFrame).readonly().openapi({ description: "Those that are good" }),
    problems: z
      .array(z.object({ line: z.int(), column: z.int(), path: z.string(), message: z.string() }).readonly())
      .readonly(),
  })
  .readonly()
  .openapi("ValidateReport");
export type ValidateReport = z.infer<typeof ValidateReport>;

export const ResourceText = z.object({ text: z.string() }).readonly().openapi("ResourceText");
export type ResourceText = z.infer<typeof ResourceText>;
