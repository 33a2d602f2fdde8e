/** A Docker network of the driver `manx`, as the API shows it. */
import { z } from "@hono/zod-openapi";
import { EndpointView } from "./endpoint.ts";

const fields = {
  name: z.string(),
  pools: z
    .array(z.string())
    .readonly()
    .openapi({ description: "Subnets, or names of pools; empty: every pool that allows it" }),
  anyPool: z
    .array(z.union([z.literal(4), z.literal(6)]))
    .readonly()
    .openapi({ description: "Families that have no subnet or pool of their own here: every pool that allows it" }),
  ranges: z.array(z.string()).readonly(),
  families: z.array(z.union([z.literal(4), z.literal(6)])).readonly(),
  mtu: z.int().optional(),
  publish: z.enum(["address", "host", "off"]),
  isolation: z.enum(["network", "endpoint", "off"]),
  internal: z.boolean(),
  sticky: z.boolean(),
  hosts: z.array(z.string()).readonly().openapi({ description: "Hosts that have endpoints on it" }),
};

export const NetworkView = z
  .object({ ...fields, endpoints: z.int() })
  .readonly()
  .openapi("Network");
export type NetworkView = z.infer<typeof NetworkView>;

export const NetworkDetail = z
  .object({ ...fields, endpoints: z.array(EndpointView).readonly() })
  .readonly()
  .openapi("NetworkDetail");
export type NetworkDetail = z.infer<typeof NetworkDetail>;
