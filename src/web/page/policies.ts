/** All policies, and what they speak of. */
import { h, type JSX } from "preact";
import type { ResourceFrame } from "../../api/client.ts";
import { api } from "./api.ts";
import { query } from "./filter.ts";
import { Find, PageHead, Problem, useLoaded } from "./parts.ts";
import { link } from "./router.ts";
import { resourcesAt } from "./session.ts";
import { plain, plural } from "./text.ts";

const KINDS = [
  "Tier",
  "GlobalNetworkPolicy",
  "NetworkPolicy",
  "StagedGlobalNetworkPolicy",
  "StagedNetworkPolicy",
  "GlobalNetworkSet",
  "NetworkSet",
  "Profile",
  "HostEndpoint",
] as const;

interface Spec {
  readonly tier?: string;
  readonly order?: number;
  readonly selector?: string;
  readonly ingress?: readonly unknown[];
  readonly egress?: readonly unknown[];
  readonly nets?: readonly string[];
}

const specOf = (resource: ResourceFrame): Spec => resource["spec"] ?? {};

export function Policies(): JSX.Element {
  const state = useLoaded(
    async () => (await Promise.all(KINDS.map((kind) => api.resources(kind)))).flatMap(({ items }) => items),
    [resourcesAt.value],
  );
  const { value, error } = state.value;
  const words = query.value.toLowerCase();
  const shown = (value ?? []).filter(({ kind, metadata }) =>
    `${kind} ${metadata.namespace ?? ""}/${metadata.name}`.toLowerCase().includes(words),
  );
  return h(
    "section",
    { class: "list-page" },
    h(
      PageHead,
      { title: "Policies", ...(value !== undefined && { note: plural(shown.length, "resource") }) },
      h(
        "div",
        { class: "tools" },
        h(Find, { placeholder: "Find by name or kind" }),
        h("a", { class: "button primary", href: link("policy") }, "New policy"),
      ),
    ),
    h(Problem, { error }),
    shown.length === 0
      ? value === undefined
        ? null
        : h(
            "p",
            { class: "empty" },
            value.length > 0
              ? "Nothing matches."
              : "No policy yet: each network keeps to itself, and ports are open as published.",
          )
      : h("div", { class: "scroll" }, table(shown)),
  );
}

function table(resources: readonly ResourceFrame[]): JSX.Element {
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Name", "Kind", "Tier", "Order", "Selects", "Rules"].map((title) =>
          h("th", { key: title, scope: "col" }, title),
        ),
      ),
    ),
    h(
      "tbody",
      {},
      resources.map((one) => row(one)),
    ),
  );
}

function row(resource: ResourceFrame): JSX.Element {
  const { kind, metadata } = resource;
  const spec = specOf(resource);
  const rules = [
    ...(spec.ingress === undefined ? [] : [`${spec.ingress.length} in`]),
    ...(spec.egress === undefined ? [] : [`${spec.egress.length} out`]),
    ...(spec.nets === undefined ? [] : [plural(spec.nets.length, "net")]),
  ];
  const title = metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  return h(
    "tr",
    { key: `${kind} ${title}` },
    h("td", {}, h("a", { href: link("policy", kind, metadata.namespace ?? "", metadata.name) }, plain(title))),
    h("td", {}, kind.startsWith("Staged") ? [h("em", { class: "staged" }, "staged"), " ", kind.slice(6)] : kind),
    h("td", {}, plain(spec.tier ?? "")),
    h("td", {}, spec.order === undefined ? "" : String(spec.order)),
    h("td", { class: "mono" }, plain(spec.selector ?? "")),
    h("td", {}, rules.join(", ")),
  );
}
