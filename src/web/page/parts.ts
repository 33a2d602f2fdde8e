/** Pieces that several pages share. */
import { computed, type Signal, useSignal } from "@preact/signals";
import { type ComponentChildren, h, type JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { FlowView } from "../../api/client.ts";
import { Refusal } from "./api.ts";
import { network, partyId, query, verdicts } from "./filter.ts";
import { partyName, portOf } from "./flow-book.ts";
import { endpoints, networks, silent } from "./session.ts";
import { ago, number, plain } from "./text.ts";

export const VERDICTS: Readonly<Record<FlowView["verdict"], string>> = {
  allow: "allowed",
  deny: "dropped",
  log: "logged",
  "would-allow": "would allow",
  "would-deny": "would drop",
  "would-pass": "would pass",
};

export function Verdict({ verdict }: { readonly verdict: string }): JSX.Element {
  const text = VERDICTS[verdict as FlowView["verdict"]] ?? verdict;
  return h("span", { class: `verdict ${verdict}` }, text);
}

export function PageHead({
  title,
  note,
  children,
}: {
  readonly title: string;
  readonly note?: string;
  readonly children?: ComponentChildren;
}): JSX.Element {
  return h(
    "header",
    { class: "head" },
    h("h1", {}, title),
    note === undefined ? null : h("p", { class: "note" }, note),
    children,
  );
}

export function Find({ placeholder }: { readonly placeholder: string }): JSX.Element {
  return h("input", {
    type: "search",
    class: "find",
    placeholder,
    "aria-label": placeholder,
    title: "name, address, network:NAME, host:NAME, verdict:deny, KEY=VALUE (key /)",
    value: query.value,
    onInput: (event: Event) => (query.value = (event.currentTarget as HTMLInputElement).value),
  });
}

export function NetworkChoice(): JSX.Element {
  return h(
    "select",
    {
      "aria-label": "Network",
      value: network.value,
      onChange: (event: Event) => (network.value = (event.currentTarget as HTMLSelectElement).value),
    },
    h("option", { value: "" }, "All networks"),
    networks.value.map(({ name }) => h("option", { key: name, value: name }, plain(name))),
  );
}

const CHIPS = ["allow", "deny", "would-deny", "log"] as const;

export function VerdictChoice(): JSX.Element {
  const toggle = (verdict: FlowView["verdict"]): void => {
    const next = new Set(verdicts.value);
    if (!next.delete(verdict)) next.add(verdict);
    verdicts.value = next;
  };
  return h(
    "div",
    { class: "chips", role: "group", "aria-label": "Verdicts" },
    CHIPS.map((verdict) =>
      h(
        "button",
        {
          key: verdict,
          type: "button",
          class: `chip ${verdict}`,
          "aria-pressed": verdicts.value.has(verdict),
          onClick: () => toggle(verdict),
        },
        h("i", {}),
        VERDICTS[verdict],
      ),
    ),
  );
}

export function Problem({ error }: { readonly error: unknown }): JSX.Element | null {
  if (error === undefined) return null;
  const [message, remedy, problems] =
    error instanceof Refusal
      ? [error.message, error.remedy, error.problems]
      : [error instanceof Error ? error.message : "Something went wrong in this page", undefined, []];
  return h(
    "div",
    { class: "problem-box", role: "alert" },
    h("p", {}, plain(message)),
    problems.length === 0
      ? null
      : h(
          "ul",
          {},
          problems.map((one) => h("li", {}, plain(`${one.path}: ${one.message}`))),
        ),
    remedy === undefined ? null : h("p", { class: "remedy" }, plain(remedy)),
  );
}

export interface Loaded<T> {
  readonly value?: T;
  readonly error?: unknown;
}

/** Asks when shown, and again whenever one of `again` changes; keeps the old answer meanwhile. */
export function useLoaded<T>(ask: () => Promise<T>, again: readonly unknown[]): Signal<Loaded<T>> {
  const state = useSignal<Loaded<T>>({});
  useEffect(() => {
    let gone = false;
    ask().then(
      (value) => !gone && (state.value = { value }),
      (error: unknown) => !gone && (state.value = { error }),
    );
    return () => {
      gone = true;
    };
  }, again);
  return state;
}

/** What decided, or that nothing did. */
export function reasonText({ reasons, verdict }: FlowView): string {
  if (reasons.length > 0) return reasons.map(({ text }) => text).join("; ");
  return verdict === "allow" ? "no rule stands in the way" : "no rule matched";
}

/** Hosts whose flows are not among those shown. */
export function Unseen(): JSX.Element | null {
  if (silent.value.length === 0) return null;
  const names = silent.value.slice(0, 3).map(plain).join(", ");
  const more = silent.value.length > 3 ? ` and ${silent.value.length - 3} more` : "";
  return h("span", { class: "unseen-hosts" }, `without flows seen by ${names}${more}: no answer`);
}

const present = computed(() => new Set(endpoints.value.map(partyId)));

/** An end by its name; what is there no more is marked. */
function end(party: FlowView["source"]): (string | JSX.Element)[] {
  const isGone = party.kind === "endpoint" && !present.value.has(partyId(party));
  return isGone ? [plain(partyName(party)), h("small", {}, " (gone)")] : [plain(partyName(party))];
}

export function FlowRow({ flow }: { readonly flow: FlowView }): JSX.Element {
  return h(
    "div",
    { class: "row flow" },
    h(Verdict, { verdict: flow.verdict }),
    h("span", { class: "who" }, end(flow.source), h("b", { "aria-label": "to" }, " → "), end(flow.destination)),
    h("span", { class: "port" }, plain(portOf(flow))),
    h("span", { class: "why", title: plain(reasonText(flow)) }, plain(reasonText(flow))),
    h("span", { class: "count" }, `${number(flow.count)}×`),
    h("span", { class: "when" }, ago(flow.last)),
  );
}
