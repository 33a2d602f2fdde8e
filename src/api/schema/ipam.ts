/** Who has which addresses, in the whole cluster. */
import { z } from "@hono/zod-openapi";

export const IpamBlock = z
  .object({ cidr: z.string(), host: z.string(), size: z.string(), allocated: z.int() })
  .readonly()
  .openapi("IpamBlock");

export const IpamView = z
  .object({
    pools: z
      .array(
        z
          .object({
            name: z.string(),
            cidr: z.string(),
            size: z.string(),
            allocated: z.int(),
            blocks: z.array(IpamBlock).readonly(),
          })
          .readonly(),
      )
      .readonly(),
    loans: z
      .array(z.object({ address: z.string(), owner: z.string(), borrower: z.string(), state: z.string() }).readonly())
      .readonly(),
  })
  .readonly()
  .openapi("Ipam");
export type IpamView = z.infer<typeof IpamView>;

export const IpamProblemView = z
  .object({
    kind: z.string(),
    subject: z.string(),
    message: z.string(),
    repair: z.enum(["reconcile", "recover", "person"]).openapi({
      description: "reconcile, recover: Manx puts it right by itself within minutes, or when it starts",
    }),
  })
  .readonly()
  .openapi("IpamProblem");
export type IpamProblemView = z.infer<typeof IpamProblemView>;

export const IpamExplanation = z
  .object({
    address: z.string(),
    state: z.enum(["in-use", "free", "kept", "reserved", "unowned", "outside"]),
    pool: z.string().optional(),
    block: z.string().optional(),
    owner: z.string().optional().openapi({ description: "Host whose block it is" }),
    holder: z.string().optional().openapi({ description: "Host that has it in use" }),
    container: z.string().optional(),
    network: z.string().optional(),
    sentences: z.array(z.string()).readonly(),
  })
  .readonly()
  .openapi("IpamExplanation");
export type IpamExplanation = z.infer<typeof IpamExplanation>;

export const IpamRelease = z.object({ released: z.string(), sentence: z.string() }).readonly().openapi("IpamRelease");
export type IpamRelease = z.infer<typeof IpamRelease>;
