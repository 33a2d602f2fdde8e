/** Whether all is well, and what to do where not. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { api } from "./api.ts";
import { PageHead, Problem, useLoaded } from "./parts.ts";
import { nodes, status } from "./session.ts";
import { ago, plain, plural } from "./text.ts";

const MARK: Readonly<Record<string, string>> = {
  ok: "good",
  off: "off",
  degraded: "warn",
  failed: "bad",
  warning: "warn",
  unknown: "off",
};

export function Health(): JSX.Element {
  const state = status.value;
  const again = useSignal(0);
  const doctor = useLoaded(api.doctor, [again.value]).value;
  return h(
    "section",
    { class: "detail" },
    h(PageHead, {
      title: "Health",
      ...(state !== undefined && {
        note: `${plain(state.host)}, manx ${plain(state.version)}, since ${ago(state.startedAt)}`,
      }),
    }),
    h(
      "div",
      { class: "cards" },
      h(
        "article",
        { class: "card wide" },
        h("h2", {}, "Parts"),
        h(
          "ul",
          { class: "parts" },
          (state?.components ?? []).map((one) =>
            h(
              "li",
              { key: one.name },
              h("i", { class: `dot ${MARK[one.state] ?? "off"}`, title: one.state }),
              h("b", {}, one.name),
              h("span", {}, plain(one.summary)),
              h("small", {}, plain([one.why, one.remedy].filter((text) => text !== undefined).join(" "))),
            ),
          ),
        ),
      ),
      h(
        "article",
        { class: "card wide" },
        h("h2", {}, "Doctor ", h("button", { type: "button", onClick: () => again.value++ }, "Look again")),
        h(Problem, { error: doctor.error }),
        doctor.value === undefined && doctor.error === undefined
          ? h("p", { class: "note", role: "status" }, "Looking at the host…")
          : null,
        h(
          "ul",
          { class: "parts" },
          (doctor.value?.checks ?? []).map((one) =>
            h(
              "li",
              { key: one.id },
              h("i", { class: `dot ${MARK[one.state] ?? "off"}`, title: one.state }),
              h("b", {}, plain(one.title)),
              h("span", {}, plain(one.found)),
              h("small", {}, plain(one.remedy ?? "")),
            ),
          ),
        ),
      ),
      h(
        "article",
        { class: "card" },
        h("h2", {}, "Hosts"),
        h(
          "ul",
          { class: "hosts" },
          nodes.value.map((node) =>
            h(
              "li",
              { key: node.name },
              h("i", { class: `dot ${node.state === "alive" ? "good" : "bad"}`, title: node.state }),
              h("b", {}, plain(node.name)),
              " ",
              h(
                "small",
                {},
                plain(`${node.state}, ${plural(node.endpoints, "endpoint")}, ${node.addresses.join(", ")}`),
              ),
            ),
          ),
        ),
      ),
      h(
        "article",
        { class: "card" },
        h("h2", {}, "Ports of this host that no policy can close"),
        h("p", { class: "mono" }, `in: ${state?.failsafe.inbound.join(", ") || "none"}`),
        h("p", { class: "mono" }, `out: ${state?.failsafe.outbound.join(", ") || "none"}`),
      ),
    ),
  );
}
