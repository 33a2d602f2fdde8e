/** What is known of what was clicked: an endpoint, a host, or who talks with whom and why. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import type { FlowView, WhyView } from "../../../api/client.ts";
import { api } from "../api.ts";
import { flowKey, partyName, portOf } from "../flow-book.ts";
import { Problem, reasonText, Verdict } from "../parts.ts";
import { link } from "../router.ts";
import { ago, number, plain } from "../text.ts";
import type { Edge, Graph, MapNode } from "./graph.ts";
import type { Picked } from "./scene.ts";

interface Props {
  readonly graph: Graph;
  readonly picked: Picked;
  readonly pick: (picked: Picked) => void;
}

/** Flows of an edge that are shown; a port scan has thousands. */
const MOST = 50;

export function Panel({ graph, picked, pick }: Props): JSX.Element | null {
  const edge = graph.edges.find(({ id }) => id === picked.edge);
  const node = graph.nodes.find(({ id }) => id === picked.node);
  if (edge === undefined && node === undefined) return null;
  return h(
    "aside",
    { class: "panel", "aria-label": "What was chosen" },
    h(
      "button",
      { type: "button", class: "close", "aria-label": "Close", title: "Close (Esc)", onClick: () => pick({}) },
      "×",
    ),
    edge !== undefined
      ? h(EdgePanel, { edge, graph, key: edge.id })
      : node !== undefined
        ? h(NodePanel, { node, graph, pick, key: node.id })
        : null,
  );
}

const labelOf = (graph: Graph, id: string): string => graph.nodes.find((node) => node.id === id)?.label ?? id;

function EdgePanel({ edge, graph }: { readonly edge: Edge; readonly graph: Graph }): JSX.Element {
  return h(
    "div",
    {},
    h("h2", {}, labelOf(graph, edge.from), " → ", labelOf(graph, edge.to)),
    h(
      "ul",
      { class: "edge-flows" },
      edge.flows.slice(0, MOST).map((flow) => h(FlowCard, { flow, key: flowKey(flow) })),
    ),
    edge.flows.length > MOST
      ? h("p", { class: "note" }, `and ${number(edge.flows.length - MOST)} more: see Flows`)
      : null,
  );
}

function FlowCard({ flow }: { readonly flow: FlowView }): JSX.Element {
  const answer = useSignal<WhyView | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  const ask = (): void => {
    error.value = undefined;
    api.why(whyName(flow.source), whyName(flow.destination), flow.protocol, flow.destinationPort).then(
      (found) => (answer.value = found),
      (why: unknown) => (error.value = why),
    );
  };
  return h(
    "li",
    { class: "flow-card" },
    h(
      "div",
      {},
      h(Verdict, { verdict: flow.verdict }),
      " ",
      h("b", {}, plain(portOf(flow))),
      h("span", { class: "when" }, `${number(flow.count)}×, ${ago(flow.last)}`),
    ),
    h("div", { class: "mono" }, plain(`${flow.source.address} → ${flow.destination.address}`)),
    flow.reasons.length === 0
      ? h("p", { class: "reason" }, reasonText(flow))
      : flow.reasons.map((reason) =>
          h(
            "p",
            { class: "reason" },
            plain(reason.text),
            reason.policy === undefined
              ? null
              : [
                  " ",
                  h("a", { href: link("policy", kindOf(reason.text), namespaceOf(reason), reason.policy) }, "open"),
                ],
          ),
        ),
    h("button", { type: "button", onClick: ask }, "Why, as of now?"),
    h(Problem, { error: error.value }),
    answer.value === undefined ? null : h(Why, { view: answer.value }),
  );
}

/** A reason's text names the kind: `tier default, NetworkPolicy shop/web: ingress[0] (Deny)`. */
function kindOf(text: string): string {
  return /\b(?:Staged)?(?:Global)?NetworkPolicy\b|\bProfile\b/.exec(text)?.[0] ?? "NetworkPolicy";
}

function namespaceOf({ text, namespace }: FlowView["reasons"][number]): string {
  return kindOf(text).includes("Global") ? "" : (namespace ?? "");
}

function whyName(party: FlowView["source"]): string {
  return party.kind === "outside"
    ? party.address
    : party.kind === "host"
      ? (party.host ?? party.address)
      : partyName(party);
}

function Why({ view }: { readonly view: WhyView }): JSX.Element {
  return h(
    "div",
    { class: "why-answer", role: "status" },
    view.paths.map((path) =>
      h(
        "div",
        {},
        h(
          "p",
          {},
          h(Verdict, { verdict: path.verdict }),
          " ",
          h("span", { class: "mono" }, plain(`${path.source} → ${path.destination} ${path.flow}`)),
        ),
        h(
          "ol",
          {},
          path.steps.map((step) =>
            h(
              "li",
              { class: step.verdict },
              h("b", {}, plain(step.place)),
              ": ",
              plain(step.text),
              step.nearest === undefined ? null : h("small", {}, plain(`nearest: ${step.nearest}`)),
            ),
          ),
        ),
        path.staged === undefined
          ? null
          : h("p", { class: "note" }, plain(`With the staged policies: ${path.staged.verdict}. ${path.staged.text}`)),
      ),
    ),
    view.remedy === undefined ? null : h("p", { class: "remedy" }, plain(view.remedy)),
  );
}

interface NodeProps {
  readonly node: MapNode;
  readonly graph: Graph;
  readonly pick: Props["pick"];
}

function NodePanel({ node, graph, pick }: NodeProps): JSX.Element {
  const { endpoint } = node;
  const mine = graph.edges.filter(({ from, to }) => from === node.id || to === node.id);
  const what =
    node.kind === "host"
      ? "host"
      : node.kind === "outside"
        ? "beyond the hosts"
        : node.gone === true
          ? plain(`was on ${node.network}; is there no more`)
          : plain(`${node.network} on ${node.host}`);
  return h(
    "div",
    {},
    h("h2", {}, node.label),
    h("p", { class: "note" }, what),
    endpoint === undefined ? null : h("p", { class: "mono" }, [...endpoint.ipv4, ...endpoint.ipv6].join("  ")),
    endpoint === undefined
      ? null
      : h(
          "div",
          { class: "labels" },
          Object.entries(endpoint.labels).map(([key, value]) => h("em", { key }, plain(`${key}=${value}`))),
        ),
    endpoint === undefined
      ? null
      : h("p", {}, h("a", { class: "button", href: link("endpoint", endpoint.id) }, "Open the endpoint")),
    h("h3", {}, mine.length === 0 ? "No flows" : "Flows"),
    h(
      "ul",
      { class: "peers" },
      mine
        .slice(0, MOST)
        .map((edge) =>
          h(
            "li",
            { key: edge.id },
            h(
              "button",
              { type: "button", onClick: () => pick({ edge: edge.id }) },
              h(Verdict, { verdict: edge.verdict }),
              edge.from === node.id ? ` to ${labelOf(graph, edge.to)}` : ` from ${labelOf(graph, edge.from)}`,
              h("span", { class: "when" }, `${number(edge.count)}×`),
            ),
          ),
        ),
    ),
  );
}
