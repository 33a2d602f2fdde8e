/** The four kinds of policy. Their spec differs in scope (global ones have more fields) and in whether they are staged. */
import { z } from "zod";
import { order, selector, textThat } from "./fields.ts";
import { whyNotName } from "./names.ts";
import { rules } from "./rule.ts";

const common = {
  tier: textThat(whyNotName)
    .exactOptional()
    .meta({ description: "The tier it belongs to; it must exist", default: "default" }),
  order: order
    .exactOptional()
    .meta({ description: "Its place within the tier: lower comes first, none comes last, ties go by name" }),
  selector: selector
    .exactOptional()
    .meta({ description: "Labels of the endpoints it applies to; empty means all", default: "all()" }),
  types: z
    .array(z.enum(["Ingress", "Egress"]))
    .exactOptional()
    .meta({
      description:
        "The directions it closes: without it those that have rules, and Ingress if none has. An endpoint that a policy applies to in a direction may do there only what rules allow",
    }),
  ingress: rules("Rules for what comes to the endpoint, in order"),
  egress: rules("Rules for what the endpoint sends, in order"),
  performanceHints: z
    .array(z.enum(["AssumeNeededOnEveryNode"]))
    .exactOptional()
    .meta({ description: "Hints; they never change what is allowed" }),
};

const globalOnly = {
  namespaceSelector: selector
    .exactOptional()
    .meta({ description: "Only endpoints of namespaces (compose projects) with these labels" }),
  doNotTrack: z
    .boolean()
    .exactOptional()
    .meta({ description: "Host endpoints only: decide before connection tracking; needs applyOnForward" }),
  preDNAT: z
    .boolean()
    .exactOptional()
    .meta({ description: "Host endpoints only: decide before destination NAT, ingress only; needs applyOnForward" }),
  applyOnForward: z
    .boolean()
    .exactOptional()
    .meta({ description: "Host endpoints only: also for traffic that the host forwards" }),
};

const staged = {
  stagedAction: z.enum(["Set", "Delete", "Learn", "Ignore"]).exactOptional().meta({
    description:
      "Set: as if it were in force; Delete: as if the policy of that name were gone; Learn, Ignore: only kept",
    default: "Set",
  }),
};

export const NetworkPolicySpec = z.strictObject(common);
export const GlobalNetworkPolicySpec = z.strictObject({ ...common, ...globalOnly });
export const StagedNetworkPolicySpec = z.strictObject({ ...staged, ...common });
export const StagedGlobalNetworkPolicySpec = z.strictObject({ ...staged, ...common, ...globalOnly });
