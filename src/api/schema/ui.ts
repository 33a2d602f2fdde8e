/** Where the dashboard is. Told over the unix socket only: the link lets in whoever has it. */
import { z } from "@hono/zod-openapi";

export const UiView = z
  .object({
    state: z.enum(["on", "off", "failed"]),
    why: z.string().optional(),
    url: z.string().optional().openapi({ example: "http://127.0.0.1:7441/" }),
    token: z.string().optional(),
    link: z
      .string()
      .optional()
      .openapi({ description: "The URL with the token in its fragment, which no server sees" }),
  })
  .readonly()
  .openapi("Ui");
export type UiView = z.infer<typeof UiView>;
