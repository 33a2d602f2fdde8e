/** Routes and BGP sessions. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { BgpView } from "../../api/client.ts";
import { api } from "./api.ts";
import { PageHead, Problem, useLoaded } from "./parts.ts";
import { nodes } from "./session.ts";
import { plain, plural } from "./text.ts";

const MARK = { up: "good", partly: "warn", waiting: "off", down: "bad" } as const;
const EVERY = 5_000;
/** Rows that a person looks through; the rest is for `manx bgp routes`. */
const ROWS = 500;

export function Routes(): JSX.Element {
  const tick = useSignal(0);
  useEffect(() => {
    const timer = setInterval(() => tick.value++, EVERY);
    return () => clearInterval(timer);
  }, []);
  const bgp = useLoaded(api.bgp, [tick.value]).value;
  const routes = useLoaded(api.bgpRoutes, [tick.value]).value;
  const diff = useLoaded(api.bgpDiff, [tick.value]).value;
  return h(
    "section",
    { class: "detail" },
    h(PageHead, { title: "Routes", ...(bgp.value !== undefined && { note: headline(bgp.value) }) }),
    h(Problem, { error: bgp.error }),
    h(
      "div",
      { class: "cards" },
      h("article", { class: "card wide" }, h("h2", {}, "BGP sessions"), h(Sessions, { view: bgp.value })),
      h("article", { class: "card" }, h("h2", {}, "Blocks of the hosts"), h(Blocks, {})),
      h(
        "article",
        { class: "card" },
        h("h2", {}, "Not as it should be"),
        h(Problem, { error: diff.error }),
        (diff.value ?? []).length === 0
          ? h("p", { class: "note good" }, "BGP is as the resources say.")
          : h(
              "ul",
              {},
              (diff.value ?? []).map((one) => h("li", {}, h("b", {}, plain(one.subject)), " ", plain(one.difference))),
            ),
      ),
      h(
        "article",
        { class: "card wide" },
        h("h2", {}, "Routes by BGP"),
        h(Problem, { error: routes.error }),
        h(RouteTable, { routes: routes.value?.routes ?? [] }),
        routes.value?.truncated === true || (routes.value?.routes.length ?? 0) > ROWS
          ? h("p", { class: "note" }, "There are more: manx bgp routes PEER.")
          : null,
      ),
    ),
  );
}

function headline(view: BgpView): string {
  if (view.mode === "off") return "BGP is switched off on this host";
  return `AS ${view.asNumber ?? "–"}, router ID ${view.routerId ?? "–"}, speaks for ${view.announced.join(", ") || "nothing yet"}`;
}

function Sessions({ view }: { readonly view: BgpView | undefined }): JSX.Element {
  if (view === undefined) return h("p", { class: "note" }, "…");
  if (view.sessions.length === 0)
    return h(
      "p",
      { class: "note" },
      "None: there is no other host and no router. ",
      h("code", {}, "manx bgp add 192.168.1.1 --as 65001"),
    );
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Peer", "AS", "Who", "Taken", "Refused", "Said", "State"].map((title) => h("th", { scope: "col" }, title)),
        ),
      ),
      h(
        "tbody",
        {},
        view.sessions.map((one) => {
          const sum = (pick: "accepted" | "refused" | "announced"): number =>
            one.families.reduce((total, family) => total + family[pick], 0);
          const cells = [
            one.peer,
            String(one.peerAs),
            one.peerNode ?? one.resource ?? one.kind,
            sum("accepted"),
            sum("refused"),
            sum("announced"),
          ];
          return h(
            "tr",
            { key: one.name },
            cells.map((cell) => h("td", {}, plain(String(cell)))),
            h("td", {}, h("i", { class: `dot ${MARK[one.health]}` }), plain(one.text)),
          );
        }),
      ),
    ),
    view.problems.map((problem) => h("p", { class: "note" }, plain(`Left out: ${problem}`))),
  );
}

function Blocks(): JSX.Element {
  return h(
    "ul",
    { class: "hosts" },
    nodes.value.map((node) =>
      h(
        "li",
        { key: node.name },
        h("i", { class: `dot ${node.state === "alive" ? "good" : "bad"}`, title: node.state }),
        h("b", {}, plain(node.name)),
        " ",
        h("small", {}, `${node.state}, ${plural(node.endpoints, "endpoint")}`),
        h("div", { class: "mono" }, node.blocks.map(({ cidr }) => cidr).join("  ")),
      ),
    ),
  );
}

function RouteTable({
  routes,
}: {
  readonly routes: readonly {
    prefix: string;
    session: string;
    direction: string;
    best: boolean;
    nextHops: readonly string[];
    asPath: string;
  }[];
}): JSX.Element {
  if (routes.length === 0) return h("p", { class: "note" }, "None.");
  return h(
    "div",
    { class: "scroll tall" },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Prefix", "Direction", "Session", "Next hop", "AS path"].map((title) => h("th", { scope: "col" }, title)),
        ),
      ),
      h(
        "tbody",
        {},
        routes
          .slice(0, ROWS)
          .map((one) =>
            h(
              "tr",
              {},
              h("td", { class: one.best ? "mono strong" : "mono" }, plain(one.prefix)),
              h("td", {}, one.direction),
              h("td", {}, plain(one.session)),
              h("td", { class: "mono" }, plain(one.nextHops.join(", "))),
              h("td", { class: "mono" }, plain(one.asPath)),
            ),
          ),
      ),
    ),
  );
}
