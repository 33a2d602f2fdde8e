/** One endpoint: what it is, who can reach it, what decides about it, what went through it, what was dropped. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { EndpointPolicies, EndpointView, FlowView } from "../../api/client.ts";
import { api } from "./api.ts";
import { nameOf } from "./endpoints.ts";
import { flowKey } from "./flow-book.ts";
import { FlowRow, type Loaded, PageHead, Problem, useLoaded } from "./parts.ts";
import { link, route } from "./router.ts";
import { endpoints, flows, resourcesAt } from "./session.ts";
import { bytes, number, plain, plural } from "./text.ts";

type Direction = EndpointPolicies["ingress"];
type Stage = Direction["profiles"][number];

export function EndpointPage(): JSX.Element {
  const id = route.value.parts[0] ?? "";
  const one = endpoints.value.find((endpoint) => endpoint.id === id);
  if (one === undefined)
    return h(
      "p",
      { class: "empty" },
      "There is no such endpoint any more. ",
      h("a", { href: link("endpoints") }, "All endpoints"),
    );
  return h(Detail, { one, key: id });
}

function Detail({ one }: { readonly one: EndpointView }): JSX.Element {
  const policies = useLoaded(() => api.policies(one.id), [one.id, resourcesAt.value]);
  return h(
    "section",
    { class: "detail" },
    h(PageHead, {
      title: nameOf(one),
      note: `${plain(one.network)} on ${plain(one.host)}${one.running ? "" : ", not running"}`,
    }),
    h(
      "div",
      { class: "cards" },
      h(Facts, { one }),
      h(Reaches, { one }),
      h(Counters, { one }),
      h(
        "article",
        { class: "card wide" },
        h("h2", {}, "Policies, in the order in which they are asked"),
        h(Policies, { state: policies.value }),
      ),
      h(Drops, { one }),
    ),
  );
}

function Facts({ one }: { readonly one: EndpointView }): JSX.Element {
  const rows: readonly (readonly [string, string])[] = [
    ["Addresses", [...one.ipv4, ...one.ipv6].join("\n")],
    [
      "Published",
      one.published
        .map(
          ({ port, protocol, host }) =>
            `${port}/${protocol.toLowerCase()}${host === undefined ? "" : ` (host port ${host.port})`}`,
        )
        .join(", "),
    ],
    ["Project", one.namespace],
    ["Interface", one.interface ?? ""],
    ["MAC", one.mac ?? ""],
    ["Profiles", one.profiles.join(", ")],
  ];
  return h(
    "article",
    { class: "card" },
    h("h2", {}, "Addresses and labels"),
    h(
      "dl",
      { class: "facts" },
      rows
        .filter(([, text]) => text !== "")
        .map(([title, text]) => [
          h("dt", {}, title),
          h("dd", { class: "mono" }, plain(text).replaceAll("\ufffd", "\n")),
        ]),
    ),
    h(
      "div",
      { class: "labels" },
      Object.entries(one.labels).map(([key, value]) => h("em", { key }, plain(`${key}=${value}`))),
    ),
  );
}

function Reaches({ one }: { readonly one: EndpointView }): JSX.Element {
  const { reachability: from, outgoing } = one;
  const rows = [
    ["This host", from.host],
    [`Network ${one.network}`, from.sameNetwork],
    ["Other networks", from.otherContainers],
    ["LAN", from.lan],
    ["Internet", from.internet],
    ["To the internet", outgoing],
  ] as const;
  const mark = { yes: "good", partly: "warn", no: "off" } as const;
  return h(
    "article",
    { class: "card" },
    h("h2", {}, "Who can reach it"),
    h(
      "ul",
      { class: "reach" },
      rows.map(([source, { answer, brief, why, change }]) =>
        h(
          "li",
          { key: source, title: change === undefined ? "" : plain(`To change it: ${change}`) },
          h("i", { class: `dot ${mark[answer]}` }),
          h("b", {}, plain(source)),
          h("span", {}, plain(brief)),
          h("small", {}, plain(why)),
        ),
      ),
    ),
  );
}

function Counters({ one }: { readonly one: EndpointView }): JSX.Element {
  const tick = useSignal(0);
  useEffect(() => {
    const timer = setInterval(() => tick.value++, 2_000);
    return () => clearInterval(timer);
  }, []);
  const state = useLoaded(() => api.counters(one.id), [one.id, tick.value]);
  const { value, error } = state.value;
  const side = (title: string, traffic: { packets: number; bytes: number; dropped: number } | undefined): JSX.Element =>
    h(
      "div",
      { class: "figure" },
      h("span", {}, title),
      h("b", {}, traffic === undefined ? "–" : bytes(traffic.bytes)),
      h(
        "small",
        {},
        traffic === undefined ? "" : `${plural(traffic.packets, "packet")}, ${number(traffic.dropped)} lost`,
      ),
    );
  return h(
    "article",
    { class: "card" },
    h("h2", {}, "Counters"),
    h("div", { class: "figures" }, side("Sent", value?.sent), side("Received", value?.received)),
    h(Problem, { error }),
  );
}

function Policies({ state: { value, error } }: { readonly state: Loaded<EndpointPolicies> }): JSX.Element {
  if (value === undefined)
    return error === undefined ? h("p", { class: "note" }, "…") : h("div", {}, h(Problem, { error }));
  return h(
    "div",
    { class: "two" },
    h(Order, { title: "Ingress: what may come in", order: value.ingress }),
    h(Order, { title: "Egress: what may go out", order: value.egress }),
  );
}

function Order({ title, order }: { readonly title: string; readonly order: Direction }): JSX.Element {
  const closed = order.tiers.find(({ end }) => end === "Deny");
  return h(
    "div",
    { class: "order" },
    h("h3", {}, title),
    h(
      "ol",
      {},
      order.tiers.map(({ name, policies, end }) =>
        h(
          "li",
          { key: name, class: "tier" },
          h("span", { class: "tier-name" }, `Tier ${plain(name)}`),
          h(
            "ol",
            {},
            policies.map((one) => h(StageRow, { one })),
          ),
          h(
            "span",
            { class: `end ${end.toLowerCase()}` },
            end === "Deny" ? "what is left is dropped" : "what is left goes on",
          ),
        ),
      ),
      h(
        "li",
        { class: `tier${closed === undefined ? "" : " unreached"}` },
        h("span", { class: "tier-name" }, closed === undefined ? "Profiles" : "Profiles (never asked)"),
        h(
          "ol",
          {},
          order.profiles.map((one) => h(StageRow, { one })),
        ),
        h("span", { class: "end deny" }, "what is left is dropped"),
      ),
    ),
  );
}

function StageRow({ one }: { readonly one: Stage }): JSX.Element {
  const title = plain(one.namespace === undefined ? one.name : `${one.namespace}/${one.name}`);
  const note =
    one.kind === "Network"
      ? `isolation: ${one.isolation ?? ""}${one.internal === true ? ", internal" : ""}`
      : one.missing === true
        ? "nobody has defined it"
        : one.actions.length === 0
          ? "no rule"
          : one.actions.join(", ");
  const name =
    one.kind === "Network"
      ? h("span", {}, title)
      : h("a", { href: link("policy", one.kind, one.namespace ?? "", one.name) }, title);
  return h(
    "li",
    { class: "stage" },
    h("small", {}, one.kind),
    name,
    one.staged ? h("em", { class: "staged" }, "staged") : null,
    h("small", {}, plain(note)),
  );
}

function Drops({ one }: { readonly one: EndpointView }): JSX.Element {
  const at = flows.changed.value;
  const name = `${one.network}/${one.container}`;
  const state = useLoaded(async (): Promise<FlowView[]> => {
    const ask = { verdict: "deny,would-deny", limit: "20" };
    const [from, to] = await Promise.all([api.flows({ ...ask, from: name }), api.flows({ ...ask, to: name })]);
    return [...from.flows, ...to.flows].sort((a, b) => (a.last > b.last ? -1 : 1)).slice(0, 20);
  }, [one.id, at]);
  const { value, error } = state.value;
  return h(
    "article",
    { class: "card wide" },
    h("h2", {}, "Recent drops"),
    h(Problem, { error }),
    value?.length === 0
      ? h("p", { class: "note" }, "None.")
      : h(
          "div",
          { class: "flows" },
          (value ?? []).map((flow) => h(FlowRow, { flow, key: flowKey(flow) })),
        ),
  );
}
