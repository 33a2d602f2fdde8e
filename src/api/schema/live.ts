/** `manx why A B PORT --live`: the next real packet, hop by hop. */
import { z } from "@hono/zod-openapi";
import { WhyQuery } from "./why.ts";

export const LIVE_OUTCOMES = [
  "answered",
  "refused",
  "dropped",
  "unreachable",
  "lost",
  "unanswered",
  "nothing-came",
] as const;

export const LiveQuery = WhyQuery.unwrap()
  .omit({ probe: true })
  .extend({
    timeout: z.number().min(0.1).max(600).default(60).openapi({ description: "Seconds to wait for the packet" }),
  })
  .readonly()
  .openapi("LiveQuery");
export type LiveQuery = z.infer<typeof LiveQuery>;

const LiveHop = z
  .object({
    hook: z.enum(["prerouting", "input", "forward", "output", "postrouting"]),
    family: z.string().openapi({ example: "ip" }),
    table: z.string(),
    chain: z.string(),
    verdict: z.string().openapi({ example: "accept" }),
    owner: z.string().openapi({ description: "Whose rule it is", example: "Docker" }),
    text: z.string().openapi({ description: "The rule, or the chain's policy" }),
  })
  .readonly()
  .openapi("LiveHop");
export type LiveHop = z.infer<typeof LiveHop>;

const LiveAnswer = z
  .object({ kind: z.enum(["answered", "refused", "unreachable", "dropped"]), text: z.string() })
  .readonly();

export const LivePassage = z
  .object({
    from: z.string().optional().openapi({ description: "Interface that it came in by" }),
    to: z.string().optional(),
    hops: z.array(LiveHop).readonly(),
    end: z.enum(["dropped", "vanished", "delivered", "left"]),
    text: z.string().openapi({ description: "How it ended on this host" }),
    answer: LiveAnswer.optional(),
  })
  .readonly()
  .openapi("LivePassage");

export const LiveReport = z
  .discriminatedUnion("state", [
    z.object({ host: z.string(), state: z.literal("seen"), passage: LivePassage }).readonly(),
    z.object({ host: z.string(), state: z.literal("nothing") }).readonly(),
    z.object({ host: z.string(), state: z.literal("failed"), why: z.string() }).readonly(),
  ])
  .openapi("LiveReport");
export type LiveReport = z.infer<typeof LiveReport>;

export const LiveEvent = z
  .discriminatedUnion("kind", [
    z
      .object({
        kind: z.literal("watching"),
        flows: z
          .array(z.string())
          .readonly()
          .openapi({ example: ["10.65.0.2 -> 10.65.0.3  tcp 5432"] }),
        hosts: z.array(z.string()).readonly().openapi({ description: "Those that look" }),
      })
      .readonly(),
    z
      .object({
        kind: z.literal("result"),
        outcome: z.enum(LIVE_OUTCOMES),
        text: z.string(),
        hosts: z
          .array(LiveReport)
          .readonly()
          .openapi({ description: "Those that it crossed, in order, then the others" }),
      })
      .readonly(),
  ])
  .openapi("LiveEvent");
export type LiveEvent = z.infer<typeof LiveEvent>;
export type LiveResult = Extract<LiveEvent, { kind: "result" }>;
