/** `manx why`. */
import { ApiError } from "../api/error.ts";
import type { WhyQuery, WhyView } from "../api/schema/why.ts";
import type { Agent } from "./agent.ts";

export function why(_agent: Agent, query: WhyQuery, _signal?: AbortSignal): Promise<WhyView> {
  return Promise.reject(new ApiError("unavailable", `Cannot explain ${query.from} -> ${query.to} yet`));
}
