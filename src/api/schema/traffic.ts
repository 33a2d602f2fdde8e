/** What endpoints of this host have sent and received, as counters: whoever wants rates asks twice. */
import { z } from "@hono/zod-openapi";

const Side = z
  .object({ bytes: z.number(), packets: z.number(), dropped: z.number() })
  .readonly()
  .openapi("TrafficSide", { description: "Seen from the container, since its interface was made" });

export const EndpointTraffic = z
  .object({
    id: z.string().openapi({ description: "Docker's endpoint ID" }),
    container: z.string(),
    namespace: z.string(),
    network: z.string(),
    interface: z.string(),
    sent: Side,
    received: Side,
    flows: z.int().openapi({ description: "Connections that were seen since the agent started" }),
    drops: z.int().openapi({ description: "Dropped packets that were noted since the agent started" }),
  })
  .readonly()
  .openapi("EndpointTraffic");
export type EndpointTraffic = z.infer<typeof EndpointTraffic>;

export const TrafficView = z
  .object({
    time: z.number().openapi({ description: "Milliseconds of a clock that only goes forward" }),
    endpoints: z.array(EndpointTraffic).readonly(),
  })
  .readonly()
  .openapi("Traffic");
export type TrafficView = z.infer<typeof TrafficView>;
