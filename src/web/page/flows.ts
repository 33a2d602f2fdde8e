/** All flows as a list. */
import { h, type JSX } from "preact";
import { filter } from "./filter.ts";
import { flowKey } from "./flow-book.ts";
import { graph } from "./map/graph.ts";
import { Find, FlowRow, NetworkChoice, PageHead, Unseen, VerdictChoice } from "./parts.ts";
import { flows } from "./session.ts";
import { plural } from "./text.ts";
import { VirtualList } from "./virtual-list.ts";

export function FlowsPage(): JSX.Element {
  const shown = graph.value.flows;
  return h(
    "section",
    { class: "list-page" },
    h(
      PageHead,
      {
        title: "Flows",
        note: filter.value.isEmpty ? plural(flows.size, "flow") : `${shown.length} of ${plural(flows.size, "flow")}`,
      },
      h(
        "div",
        { class: "tools" },
        h(Find, { placeholder: "Find in flows" }),
        h(NetworkChoice, {}),
        h(VerdictChoice, {}),
        h(Unseen, {}),
      ),
    ),
    shown.length === 0
      ? h(
          "p",
          { class: "empty" },
          flows.size === 0
            ? "Nothing has been seen yet. A connection shows up here as soon as there is one."
            : "Nothing matches.",
        )
      : h(VirtualList<(typeof shown)[number]>, {
          rows: shown,
          label: "Flows",
          keyOf: flowKey,
          row: (flow) => h(FlowRow, { flow }),
        }),
  );
}
