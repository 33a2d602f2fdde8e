/** A workload endpoint as the API shows it: what it is, and who can reach it. */
import { z } from "@hono/zod-openapi";

export const Reach = z
  .object({
    answer: z.enum(["yes", "partly", "no"]),
    brief: z.string().openapi({ description: "The answer in a word or two, for a table", example: "80/tcp" }),
    why: z.string().openapi({ example: "80/tcp is published; everything else is dropped" }),
    change: z.string().optional().openapi({
      description: "The command that would change it",
      example: "docker network connect apps OTHER",
    }),
  })
  .readonly()
  .openapi("Reach");
export type Reach = z.infer<typeof Reach>;

export const Reachability = z
  .object({ host: Reach, sameNetwork: Reach, otherContainers: Reach, lan: Reach, internet: Reach })
  .readonly()
  .openapi("Reachability");
export type Reachability = z.infer<typeof Reachability>;

const Transport = z.enum(["TCP", "UDP", "SCTP"]);

export const EndpointView = z
  .object({
    id: z.string().openapi({ description: "Docker's endpoint ID" }),
    container: z.string().openapi({ description: "Container name; empty while it is not known" }),
    namespace: z.string().openapi({ description: 'Compose project, or "default"' }),
    network: z.string(),
    host: z.string(),
    ipv4: z.array(z.string()).readonly(),
    ipv6: z.array(z.string()).readonly(),
    serviceAddresses: z
      .array(z.string())
      .readonly()
      .optional()
      .openapi({ description: "What it has together with others" }),
    labels: z.record(z.string(), z.string()).readonly(),
    profiles: z.array(z.string()).readonly(),
    ports: z
      .array(z.object({ name: z.string(), protocol: Transport, port: z.int() }).readonly())
      .readonly()
      .openapi({ description: "Named ports" }),
    published: z
      .array(
        z
          .object({
            protocol: Transport,
            port: z.int(),
            host: z.object({ address: z.string(), port: z.int() }).readonly().optional(),
          })
          .readonly(),
      )
      .readonly(),
    running: z.boolean(),
    interface: z
      .string()
      .optional()
      .openapi({ description: "Host side of the veth pair; only on the endpoint's host" }),
    mac: z.string().optional(),
    mtu: z.int().optional(),
    reachability: Reachability.openapi({ description: "From where the endpoint can be reached" }),
    outgoing: Reach.openapi({ description: "Whether the endpoint can reach the internet" }),
  })
  .readonly()
  .openapi("Endpoint");
export type EndpointView = z.infer<typeof EndpointView>;
