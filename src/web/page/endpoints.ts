/** All endpoints as a list. */
import { h, type JSX } from "preact";
import type { EndpointView } from "../../api/client.ts";
import { filter } from "./filter.ts";
import { Find, NetworkChoice, PageHead } from "./parts.ts";
import { link } from "./router.ts";
import { endpoints, loaded } from "./session.ts";
import { plain, plural } from "./text.ts";
import { VirtualList } from "./virtual-list.ts";

export const nameOf = ({ container, id }: EndpointView): string =>
  plain(container === "" ? id.slice(0, 12) : container);

export function Endpoints(): JSX.Element {
  const all = endpoints.value;
  const shown = all.filter((endpoint) => filter.value.endpoint(endpoint));
  return h(
    "section",
    { class: "list-page" },
    h(
      PageHead,
      {
        title: "Endpoints",
        note:
          shown.length === all.length
            ? plural(all.length, "endpoint")
            : `${shown.length} of ${plural(all.length, "endpoint")}`,
      },
      h("div", { class: "tools" }, h(Find, { placeholder: "Find by name, label, address" }), h(NetworkChoice, {})),
    ),
    shown.length === 0
      ? h(Empty, { some: all.length > 0 })
      : h(VirtualList<EndpointView>, {
          rows: shown,
          label: "Endpoints",
          keyOf: ({ id }) => id,
          row: (one) => h(Row, { one }),
        }),
  );
}

export function Empty({ some }: { readonly some: boolean }): JSX.Element {
  if (!loaded.value) return h("p", { class: "empty", role: "status" }, "Asking the agent…");
  if (some) return h("p", { class: "empty" }, "Nothing matches.");
  return h(
    "div",
    { class: "empty" },
    h("p", {}, "No container is on a Manx network yet. The first one:"),
    h("pre", {}, "docker network create -d manx apps\ndocker run -d --name web --network apps nginx"),
  );
}

function Row({ one }: { readonly one: EndpointView }): JSX.Element {
  return h(
    "a",
    { class: "row endpoint", href: link("endpoint", one.id) },
    h(
      "span",
      { class: "name" },
      h("i", { class: `dot ${one.running ? "good" : "off"}`, title: one.running ? "running" : "not running" }),
      nameOf(one),
    ),
    h("span", { class: "net" }, plain(one.network)),
    h("span", { class: "host" }, plain(one.host)),
    h("span", { class: "mono" }, [...one.ipv4, ...one.ipv6].join("  ")),
    h(
      "span",
      { class: "labels" },
      ownFirst(one.labels)
        .slice(0, 3)
        .map(([key, value]) => h("em", { key }, plain(`${key}=${value}`))),
    ),
  );
}

/** What somebody wrote before what Docker, compose and Manx know of every container: there is room for three. */
function ownFirst(labels: EndpointView["labels"]): readonly (readonly [string, string])[] {
  const given = /^(manx\/|projectcalico\.org\/|com\.docker\.)/;
  const all = Object.entries(labels);
  return [...all.filter(([key]) => !given.test(key)), ...all.filter(([key]) => given.test(key))];
}
