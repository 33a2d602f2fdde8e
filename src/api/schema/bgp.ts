/** What `manx bgp` shows. */
import { z } from "@hono/zod-openapi";

const Family = z.union([z.literal(4), z.literal(6)]);

export const BgpSessionView = z
  .object({
    name: z.string().openapi({ example: "peer-192.168.1.1" }),
    kind: z.enum(["mesh", "global", "node"]),
    peer: z.string().openapi({ description: "Address of the peer, or the range that it calls from" }),
    peerNode: z.string().optional(),
    resource: z.string().optional().openapi({ description: "The BGPPeer that asks for it; absent: the mesh" }),
    peerAs: z.union([z.int(), z.literal("external")]),
    localAs: z.int(),
    health: z.enum(["up", "partly", "waiting", "down"]),
    state: z.string().openapi({ example: "Established" }),
    text: z.string().openapi({ example: "Idle: connection refused, nothing listens on port 179 of 192.168.1.1" }),
    families: z
      .array(
        z.object({
          family: Family,
          up: z.boolean(),
          accepted: z.int(),
          refused: z.int().openapi({ description: "Sent by the peer, and refused by filters here" }),
          announced: z.int(),
        }),
      )
      .readonly(),
    bfd: z.string().optional().openapi({ example: "200ms x 3" }),
    password: z.boolean(),
    probe: z.string().optional().openapi({ description: "What was found when packets were sent" }),
  })
  .readonly()
  .openapi("BgpSession");
export type BgpSessionView = z.infer<typeof BgpSessionView>;

export const BgpView = z
  .object({
    mode: z.enum(["own", "external", "off"]),
    running: z.boolean(),
    asNumber: z.int().optional(),
    routerId: z.string().optional(),
    clusterId: z.string().optional(),
    announced: z.array(z.string()).readonly().openapi({ description: "Prefixes that this host speaks for" }),
    sessions: z.array(BgpSessionView).readonly(),
    problems: z.array(z.string()).readonly(),
  })
  .readonly()
  .openapi("Bgp");
export type BgpView = z.infer<typeof BgpView>;

export const BgpRouteQuery = z.strictObject({
  session: z.string().min(1).max(64).optional(),
  direction: z.enum(["received", "announced", "refused"]).optional(),
});
export type BgpRouteQuery = z.infer<typeof BgpRouteQuery>;

export const BgpRouteView = z
  .object({
    prefix: z.string(),
    session: z.string(),
    direction: z.enum(["received", "announced", "refused"]),
    best: z.boolean(),
    nextHops: z.array(z.string()).readonly(),
    asPath: z.string(),
    communities: z.array(z.string()).readonly(),
  })
  .readonly()
  .openapi("BgpRoute");
export type BgpRouteView = z.infer<typeof BgpRouteView>;

export const BgpRoutes = z
  .object({ routes: z.array(BgpRouteView).readonly(), truncated: z.boolean() })
  .readonly()
  .openapi("BgpRoutes");
export type BgpRoutes = z.infer<typeof BgpRoutes>;

export const BgpDifference = z
  .object({
    subject: z.string().openapi({ example: "10.65.0.0/26 to peer-192.168.1.1" }),
    difference: z.string().openapi({ example: "is not announced: a filter refuses it" }),
  })
  .readonly()
  .openapi("BgpDifference");
export type BgpDifference = z.infer<typeof BgpDifference>;

export const BgpReset = z.strictObject({
  session: z.string().min(1).max(64).optional().openapi({ description: "Name or peer address; absent: all" }),
  hard: z.boolean().optional().openapi({ description: "Close the session and open it again" }),
});
export type BgpReset = z.infer<typeof BgpReset>;

export const BgpResetReport = z
  .object({ reset: z.array(z.string()).readonly() })
  .readonly()
  .openapi("BgpResetReport");
export type BgpResetReport = z.infer<typeof BgpResetReport>;

/** What the router at the other end has to know. */
export const BgpOtherSide = z
  .object({
    resource: z.string(),
    asNumber: z.int().openapi({ description: "AS number of the router" }),
    address: z.string(),
    port: z.int(),
    password: z.string().optional().openapi({ description: "NAME/KEY of the secret; never the password" }),
    multihop: z.boolean(),
    ttlSecurity: z.int().optional(),
    bfd: z.object({ intervalMs: z.int(), multiplier: z.int() }).readonly().optional(),
    families: z.array(Family).readonly(),
    pools: z.array(z.string()).readonly(),
    neighbors: z
      .array(
        z.object({
          name: z.string(),
          address: z.string(),
          asNumber: z.int(),
          port: z.int(),
          passive: z.boolean().openapi({ description: "The router has to call" }),
        }),
      )
      .readonly(),
  })
  .readonly()
  .openapi("BgpOtherSide");
export type BgpOtherSide = z.infer<typeof BgpOtherSide>;
