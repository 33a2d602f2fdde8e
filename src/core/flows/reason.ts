/** What decided, from the ids in the ruleset to what people call it. */
import { originText } from "../calc/decision.ts";
import type { Origin } from "../rules/origin.ts";
import type { FlowVerdict, Reason } from "./flow.ts";

export function reasonOf(origin: Origin): Reason {
  return {
    text: originText(origin),
    ...("direction" in origin ? { direction: origin.direction } : {}),
    ...("tier" in origin && origin.tier !== undefined ? { tier: origin.tier } : {}),
    ...("rule" in origin && "name" in origin
      ? { policy: origin.name, rule: `${origin.direction}[${origin.rule}]` }
      : {}),
    ...("namespace" in origin && origin.namespace !== undefined ? { namespace: origin.namespace } : {}),
  };
}

const VERDICTS: Readonly<Record<string, FlowVerdict>> = {
  deny: "deny",
  log: "log",
  "staged-allow": "would-allow",
  "staged-deny": "would-deny",
  "staged-pass": "would-pass",
};

/** Reads a log prefix of ours, `manx VERB ID `; undefined for anybody else's. */
export function parseLogPrefix(prefix: string): { readonly verdict: FlowVerdict; readonly id: string } | undefined {
  const [, verb = "", id = ""] = /^manx ([a-z-]+) (\S+) ?$/.exec(prefix) ?? [];
  const verdict = VERDICTS[verb];
  return verdict === undefined || !Object.hasOwn(VERDICTS, verb) ? undefined : { verdict, id };
}
