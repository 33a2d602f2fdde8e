/** The shell: where one is, where one can go, and whether the agent is there. */
import { type ComponentType, h, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Addresses } from "./addresses.ts";
import { Editor } from "./editor.ts";
import { EndpointPage } from "./endpoint.ts";
import { Endpoints } from "./endpoints.ts";
import { FlowsPage } from "./flows.ts";
import { Health } from "./health.ts";
import { Login } from "./login.ts";
import { MapPage } from "./map/map.ts";
import { Policies } from "./policies.ts";
import { go, link, route } from "./router.ts";
import { Routes } from "./routes.ts";
import { logout, online, session, status } from "./session.ts";
import { plain } from "./text.ts";
import { theme, toggleTheme } from "./theme.ts";

interface Page {
  readonly name: string;
  readonly title: string;
  /** After `g`. */
  readonly key: string;
  readonly icon: string;
  readonly view: ComponentType;
}

const PAGES: readonly Page[] = [
  {
    name: "map",
    title: "Map",
    key: "m",
    icon: "M12 12 12 4M12 12 20 18M12 12 4 18M12 12h.01M12 4h.01M20 18h.01M4 18h.01",
    view: MapPage,
  },
  { name: "flows", title: "Flows", key: "f", icon: "M4 7h13l-3-3M20 17H7l3 3", view: FlowsPage },
  {
    name: "endpoints",
    title: "Endpoints",
    key: "e",
    icon: "M4 5h16v5H4zM4 14h16v5H4zM7 7.5h.01M7 16.5h.01",
    view: Endpoints,
  },
  { name: "policies", title: "Policies", key: "p", icon: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6z", view: Policies },
  {
    name: "routes",
    title: "Routes",
    key: "r",
    icon: "M5 19V9a4 4 0 0 1 8 0v6a4 4 0 0 0 8 0V5M5 19h.01M21 5h.01",
    view: Routes,
  },
  {
    name: "addresses",
    title: "Addresses",
    key: "a",
    icon: "M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z",
    view: Addresses,
  },
  { name: "health", title: "Health", key: "h", icon: "M3 12h4l3-7 4 14 3-7h4", view: Health },
];

const BEHIND: Readonly<Record<string, { readonly view: ComponentType; readonly under: string }>> = {
  endpoint: { view: EndpointPage, under: "endpoints" },
  policy: { view: Editor, under: "policies" },
};

export function App(): JSX.Element {
  const state = session.value;
  if (state === "unknown") return h("div", { class: "waiting", role: "status" }, "Asking the agent…");
  return state === "out" ? h(Login, {}) : h(Shell, {});
}

function Shell(): JSX.Element {
  const { name } = route.value;
  const page = PAGES.find((one) => one.name === name);
  const behind = BEHIND[name];
  const help = useRef<HTMLDialogElement>(null);
  const main = useRef<HTMLElement>(null);
  useEffect(() => shortcuts(() => help.current?.showModal()), []);
  useEffect(() => {
    document.title = `${page?.title ?? "Manx"} · Manx`;
    main.current?.scrollTo(0, 0);
  }, [name]);
  const under = page?.name ?? behind?.under ?? "map";
  return h(
    "div",
    { class: "shell" },
    h(
      "a",
      { class: "skip", href: "#main", onClick: (event: Event) => (event.preventDefault(), main.current?.focus()) },
      "Skip to content",
    ),
    h(
      "nav",
      { "aria-label": "Pages" },
      h(
        "a",
        { class: "brand", href: link("map"), "aria-label": "Manx" },
        h("img", { src: "/app/icon.svg", alt: "", width: 28, height: 28 }),
        h("span", {}, "Manx"),
      ),
      h(
        "ul",
        {},
        PAGES.map((one) =>
          h(
            "li",
            { key: one.name },
            h(
              "a",
              {
                href: link(one.name),
                "aria-current": one.name === under ? "page" : undefined,
                title: `${one.title} (g ${one.key})`,
              },
              icon(one.icon),
              h("span", {}, one.title),
            ),
          ),
        ),
      ),
      h(Foot, { help: () => help.current?.showModal() }),
    ),
    h(
      "main",
      { id: "main", ref: main, tabIndex: -1, class: `page-${name}` },
      h(page?.view ?? behind?.view ?? MapPage, {}),
    ),
    h(Help, { dialog: help }),
    online.value
      ? null
      : h("div", { class: "away", role: "alert" }, "The agent does not answer. What is shown may be old."),
  );
}

function Foot({ help }: { readonly help: () => void }): JSX.Element {
  const state = status.value;
  const bad = state?.components.filter(({ state: one }) => one === "failed" || one === "degraded").length ?? 0;
  return h(
    "div",
    { class: "foot" },
    h(
      "a",
      { href: link("health"), class: "here" },
      h("i", { class: `dot ${bad > 0 || !online.value ? "bad" : "good"}` }),
      h("span", {}, plain(state?.host ?? "…")),
    ),
    h(
      "button",
      { type: "button", onClick: toggleTheme, title: "Light or dark (t)", "aria-label": "Light or dark" },
      icon(
        theme.value === "dark"
          ? "M12 4V2M12 22v-2M4 12H2M22 12h-2M6 6 5 5M19 19l-1-1M6 18l-1 1M19 5l-1 1M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8"
          : "M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z",
      ),
    ),
    h("button", { type: "button", onClick: help, title: "Keys (?)", "aria-label": "Keys" }, "?"),
    h(
      "button",
      { type: "button", onClick: () => void logout(), title: "Log out", "aria-label": "Log out" },
      icon("M14 4h5v16h-5M3 12h11l-4-4M14 12l-4 4"),
    ),
  );
}

export function icon(path: string): JSX.Element {
  return h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: path }));
}

function Help({ dialog }: { readonly dialog: { current: HTMLDialogElement | null } }): JSX.Element {
  const rows = [
    ...PAGES.map(({ title, key }) => [`g ${key}`, title]),
    ["/", "Find"],
    ["t", "Light or dark"],
    ["arrows", "On the map: from one endpoint to the next"],
    ["Enter", "On the map: open it"],
    ["+ − 0", "On the map: nearer, farther, all of it"],
    ["Esc", "Close"],
    ["Ctrl Enter", "In the editor: see what would change"],
  ];
  return h(
    "dialog",
    { ref: dialog, class: "help", "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h(
      "dl",
      {},
      rows.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]),
    ),
    h("button", { type: "button", onClick: () => dialog.current?.close() }, "Close"),
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Answers what takes the keys away again. */
function shortcuts(help: () => void): () => void {
  let afterG = 0;
  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const page = event.timeStamp - afterG < 1_500 ? PAGES.find(({ key }) => key === event.key) : undefined;
    afterG = event.key === "g" ? event.timeStamp : -Infinity;
    if (page !== undefined) go(link(page.name));
    else if (event.key === "?") help();
    else if (event.key === "t") toggleTheme();
    else if (event.key === "/") {
      const find = document.querySelector<HTMLInputElement>("input[type=search]");
      if (find === null) return;
      event.preventDefault();
      find.focus();
    }
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
