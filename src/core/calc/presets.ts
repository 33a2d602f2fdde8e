/**
 * One-line commands as policies: `manx allow web db 5432/tcp`, `manx deny web db`, `manx isolate db`, `manx egress sandbox internet`.
 *
 * They live in a tier of their own, before the default one and with the default action Pass: an `allow` opens just what it names
 * and closes nothing, and whatever no preset names is decided where it was decided before. Within the tier the explicit
 * comes before the general: deny, allow, egress, isolate.
 */
import type { GlobalNetworkPolicy, PolicyRule, PolicyType, Tier } from "../model/resources.ts";
import type { Problem, Result } from "../problem.ts";
import {
  allowRules,
  egressRules,
  hash,
  isEgressWord,
  isName,
  namedSelector,
  namesIn,
  parsePorts,
  peers,
} from "./policy-words.ts";

export const PRESET_TIER: Tier = {
  apiVersion: "projectcalico.org/v3",
  kind: "Tier",
  metadata: { name: "presets" },
  spec: { order: 900_000, defaultAction: "Pass" },
};

export type Preset =
  | { readonly verb: "allow" | "deny"; readonly from: string; readonly to: string; readonly ports?: string }
  | { readonly verb: "isolate"; readonly name: string }
  | { readonly verb: "egress"; readonly name: string; readonly to: string };

const ORDER = { deny: 100, allow: 200, egress: 300, isolate: 400 } as const;

/** The tier and the policies that say so. Problems' paths are the words of the command. */
export function presetResources(preset: Preset): Result<readonly (Tier | GlobalNetworkPolicy)[]> {
  switch (preset.verb) {
    case "allow":
    case "deny":
      return between(preset);
    case "isolate":
      return named(preset.name, (name) => [
        policy("isolate", [name], namedSelector(name), {
          Ingress: [{ action: "Deny" }],
          Egress: [{ action: "Deny" }],
        }),
      ]);
    case "egress": {
      const rules = egressRules(preset.to, "to");
      if (!rules.ok) return rules;
      return named(preset.name, (name) => [
        policy("egress", [name], namedSelector(name), { Egress: [...rules.value, { action: "Deny" }] }),
      ]);
    }
  }
}

/** The words that mean a container or compose service by its name. */
export function presetNames(preset: Preset): readonly string[] {
  if (preset.verb === "isolate") return [preset.name];
  if (preset.verb === "egress") return [preset.name, ...namesIn(preset.to).filter((word) => !isEgressWord(word))];
  return [...namesIn(preset.from), ...namesIn(preset.to)];
}

function between(preset: Extract<Preset, { verb: "allow" | "deny" }>): Result<readonly (Tier | GlobalNetworkPolicy)[]> {
  const { verb, from, to } = preset;
  const source = peers(from, "from");
  const target = peers(to, "to");
  const ports = preset.ports === undefined ? undefined : parsePorts(preset.ports, "ports");
  const problems = [source, target, ports].flatMap((result) => (result?.ok === false ? result.problems : []));
  if (!source.ok || !target.ok || ports?.ok === false) return { ok: false, problems };
  const act = (rules: readonly PolicyRule[]): PolicyRule[] =>
    rules.map((rule) => ({ ...rule, action: verb === "allow" ? ("Allow" as const) : ("Deny" as const) }));
  const label = ports === undefined ? [] : [ports.value.map((p) => `${p.protocol}-${p.ports.join("-")}`).join("-")];
  return {
    ok: true,
    value: [
      PRESET_TIER,
      // Both ends decide: the sender's egress and the receiver's ingress.
      policy(verb, [from, "to", to, ...label, "in"], target.value, {
        Ingress: act(allowRules(ports?.value, { source: { selector: source.value } })),
      }),
      policy(verb, [from, "to", to, ...label, "out"], source.value, {
        Egress: act(allowRules(ports?.value, { destination: { selector: target.value } })),
      }),
    ],
  };
}

function named(
  name: string,
  make: (name: string) => GlobalNetworkPolicy[],
): Result<readonly (Tier | GlobalNetworkPolicy)[]> {
  const problem: Problem = { path: "name", message: `"${name}" is not the name of a container or compose service` };
  return isName(name) ? { ok: true, value: [PRESET_TIER, ...make(name)] } : { ok: false, problems: [problem] };
}

function policy(
  verb: keyof typeof ORDER,
  words: readonly string[],
  selector: string,
  rules: { readonly [type in PolicyType]?: readonly PolicyRule[] },
): GlobalNetworkPolicy {
  const { Ingress, Egress } = rules;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name: resourceName([verb, ...words]), annotations: { "manx/made-from": `manx ${verb}` } },
    spec: {
      tier: PRESET_TIER.metadata.name,
      order: ORDER[verb],
      selector,
      types: [
        ...(Ingress === undefined ? [] : (["Ingress"] as const)),
        ...(Egress === undefined ? [] : (["Egress"] as const)),
      ],
      ...(Ingress === undefined ? {} : { ingress: Ingress }),
      ...(Egress === undefined ? {} : { egress: Egress }),
    },
  };
}

/** A DNS subdomain (RFC 1123) made of the words. Words that are no names are told apart by a short hash of them. */
function resourceName(words: readonly string[]): string {
  const text = words.join("-").toLowerCase();
  const plain = text.replaceAll(/[^a-z0-9-]+/g, "-").replaceAll(/^-+|-+$/g, "");
  return plain === text && plain.length <= 120 ? plain : `${plain.slice(0, 100)}-${hash(text)}`;
}
