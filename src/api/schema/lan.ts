/** LAN pools: parts of the LAN's own subnet whose addresses containers have. */
import { z } from "@hono/zod-openapi";

export const LanRequest = z
  .strictObject({
    interface: z.string().min(1).max(15).optional().openapi({ description: "Absent: that of the default route" }),
    cidr: z.string().max(64).optional().openapi({
      description: "A part of its network that is free; absent: Manx looks for one",
      example: "192.168.7.64/27",
    }),
  })
  .readonly()
  .openapi("LanRequest");
export type LanRequest = z.infer<typeof LanRequest>;

export const LanPoolView = z
  .object({
    name: z.string(),
    cidr: z.string(),
    interface: z.string(),
    disabled: z.boolean().openapi({ description: "Gives nothing more: the LAN's prefix has changed" }),
    follows: z.boolean().openapi({ description: "Moves along with the LAN's IPv6 prefix" }),
    network: z
      .string()
      .optional()
      .openapi({ description: "What it is a part of; absent: no interface of this host is on that LAN" }),
    answers: z
      .array(z.object({ address: z.string(), container: z.string() }).readonly())
      .readonly()
      .openapi({ description: "What this host answers for" }),
    taken: z
      .array(z.object({ address: z.string(), mac: z.string() }).readonly())
      .readonly()
      .openapi({ description: "What machines of the LAN use: passed over" }),
  })
  .readonly()
  .openapi("LanPool");
export type LanPoolView = z.infer<typeof LanPoolView>;

export const LanView = z
  .object({ pools: z.array(LanPoolView).readonly() })
  .readonly()
  .openapi("Lan");
export type LanView = z.infer<typeof LanView>;
