/** Tokens that let hosts in. */
import { z } from "@hono/zod-openapi";

export const TokenRequest = z
  .strictObject({
    ttl: z.int().min(60).max(604_800).openapi({ description: "Seconds until it is of no use any more" }),
    host: z.string().max(253).optional().openapi({ description: "Only a host of this name, also one that is known" }),
    etcd: z.boolean().openapi({ description: "The host may become a member of etcd: it is given the CA's key" }),
  })
  .readonly()
  .openapi("TokenRequest");
export type TokenRequest = z.infer<typeof TokenRequest>;

export const TokenView = z
  .object({
    id: z.string(),
    createdAt: z.string(),
    expires: z.string(),
    state: z.enum(["open", "used", "expired"]),
    etcd: z.boolean(),
    host: z.string().optional(),
    usedBy: z.string().optional(),
  })
  .readonly()
  .openapi("Token");
export type TokenView = z.infer<typeof TokenView>;

export const NewToken = z
  .object({ token: TokenView, line: z.string().openapi({ description: "For manx join; told this once" }) })
  .readonly()
  .openapi("NewToken");
export type NewToken = z.infer<typeof NewToken>;
