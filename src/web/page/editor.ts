/** A resource as YAML: checked while one types, compared before it is applied. What was not looked at cannot be applied. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { ChangeReport, ValidateReport } from "../../api/client.ts";
import { api } from "./api.ts";
import { PageHead, Problem, Verdict } from "./parts.ts";
import { go, link, route } from "./router.ts";
import { plain } from "./text.ts";

const TEMPLATE = `apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: web
  namespace: default
spec:
  selector: manx/container == 'web'
  types: [Ingress]
  ingress:
    - action: Allow
      protocol: TCP
      destination:
        ports: [80]
`;

const PAUSE = 300;

export function Editor(): JSX.Element {
  const [kind = "", namespace = "", name = ""] = route.value.parts;
  return h(Sheet, { key: `${kind}/${namespace}/${name}`, kind, namespace, name });
}

interface Which {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

function Sheet({ kind, namespace, name }: Which): JSX.Element {
  const text = useSignal(kind === "" ? TEMPLATE : "");
  const report = useSignal<ValidateReport | undefined>(undefined);
  /** The text that was compared, and what came of it. */
  const review = useSignal<{ readonly text: string; readonly change: ChangeReport } | undefined>(undefined);
  const error = useSignal<unknown>(undefined);
  const done = useSignal("");
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (kind !== "")
      api.resourceText(kind, name, namespace).then(
        (found) => (text.value = found.text),
        (why: unknown) => (error.value = why),
      );
  }, []);
  useEffect(() => {
    const asked = text.value;
    if (asked === "") return;
    const timer = setTimeout(() => {
      api.validate(asked).then(
        (found) => text.value === asked && (report.value = found),
        (why: unknown) => (error.value = why),
      );
    }, PAUSE);
    return () => clearTimeout(timer);
  }, [text.value]);
  const isGood = report.value !== undefined && report.value.problems.length === 0 && report.value.resources.length > 0;
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    error.value = undefined;
    done.value = "";
    await work().catch((why: unknown) => (error.value = why));
  };
  /** The text as it is now, checked now: what was typed last may not have been yet. */
  const checked = async (): Promise<ValidateReport["resources"] | undefined> => {
    const found = await api.validate(text.value);
    report.value = found;
    return found.problems.length > 0 || found.resources.length === 0 ? undefined : found.resources;
  };
  const compare = (): Promise<void> =>
    attempt(async () => {
      const asked = text.value;
      const resources = await checked();
      if (resources !== undefined)
        review.value = { text: asked, change: await api.change({ mode: "apply", resources, dryRun: true }) };
    });
  const apply = (): Promise<void> =>
    attempt(async () => {
      const resources = await checked();
      if (resources === undefined) return;
      const { results } = await api.change({ mode: "apply", resources });
      review.value = undefined;
      done.value = results.map((one) => `${one.kind} ${one.name} ${one.outcome}`).join(", ");
    });
  const remove = (): Promise<void> =>
    attempt(async () => {
      if (!confirm(`Delete the ${kind} ${name}?`)) return;
      const metadata = { name, ...(namespace !== "" && { namespace }) };
      await api.change({ mode: "delete", resources: [{ apiVersion: "projectcalico.org/v3", kind, metadata }] });
      go(link("policies"));
    });
  const isReviewed = review.value?.text === text.value;
  return h(
    "section",
    { class: "edit" },
    h(PageHead, {
      title: kind === "" ? "New policy" : plain(name),
      ...(kind !== "" && { note: plain(namespace === "" ? kind : `${kind} in ${namespace}`) }),
    }),
    h(
      "div",
      { class: "bench" },
      h(Text, {
        text: text.value,
        area,
        problems: report.value?.problems ?? [],
        onText: (next) => (text.value = next),
        onCompare: () => void compare(),
      }),
      h(
        "aside",
        { class: "verdicts", "aria-label": "What it would change" },
        h(Problems, { report: report.value, area }),
        h(Problem, { error: error.value }),
        review.value !== undefined && isReviewed ? h(Review, { change: review.value.change }) : null,
        h("p", { class: "done", role: "status" }, plain(done.value)),
      ),
    ),
    h(
      "div",
      { class: "tools" },
      h(
        "button",
        { type: "button", class: isReviewed ? "" : "primary", disabled: !isGood, onClick: () => void compare() },
        "See what would change",
      ),
      h(
        "button",
        {
          type: "button",
          class: isReviewed ? "primary" : "",
          disabled: !isGood || !isReviewed,
          title: isReviewed ? "" : "First see what would change",
          onClick: () => void apply(),
        },
        "Apply",
      ),
      kind === "" ? null : h("button", { type: "button", class: "danger", onClick: () => void remove() }, "Delete"),
      h("a", { class: "button", href: link("policies") }, "Back"),
    ),
  );
}

interface TextProps {
  readonly text: string;
  readonly area: { current: HTMLTextAreaElement | null };
  readonly problems: ValidateReport["problems"];
  readonly onText: (text: string) => void;
  readonly onCompare: () => void;
}

function Text({ text, area, problems, onText, onCompare }: TextProps): JSX.Element {
  const gutter = useRef<HTMLDivElement>(null);
  const bad = new Set(problems.map(({ line }) => line));
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onCompare();
    }
  };
  return h(
    "div",
    { class: "code" },
    h(
      "div",
      { class: "gutter", ref: gutter, "aria-hidden": "true" },
      text.split("\n").map((_, index) => h("div", { key: index, class: bad.has(index + 1) ? "bad" : "" }, index + 1)),
    ),
    h("textarea", {
      ref: area,
      value: text,
      spellcheck: false,
      autocapitalize: "off",
      wrap: "off",
      "aria-label": "The resource as YAML",
      "aria-invalid": bad.size > 0,
      "aria-describedby": "problems",
      onInput: (event: Event) => onText((event.currentTarget as HTMLTextAreaElement).value),
      onKeyDown: onKey,
      onScroll: (event: Event) => gutter.current?.scrollTo(0, (event.currentTarget as HTMLElement).scrollTop),
    }),
  );
}

function Problems({
  report,
  area,
}: {
  readonly report: ValidateReport | undefined;
  readonly area: TextProps["area"];
}): JSX.Element {
  const jump = (line: number, column: number): void => {
    const element = area.current;
    if (element === null) return;
    const before = element.value.split("\n").slice(0, line - 1);
    const at = before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
    element.focus();
    element.setSelectionRange(at, at);
  };
  const state =
    report === undefined
      ? "…"
      : report.problems.length > 0
        ? ""
        : report.resources.length === 0
          ? "There is no resource in it."
          : "Good.";
  return h(
    "div",
    { id: "problems", role: "status" },
    h("p", { class: `note${state === "Good." ? " good" : ""}` }, state),
    h(
      "ul",
      { class: "places" },
      (report?.problems ?? []).map((one) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", onClick: () => jump(one.line, one.column) },
            h("b", {}, `${one.line}:${one.column}`),
            " ",
            plain(one.path === "" ? one.message : `${one.path}: ${one.message}`),
          ),
        ),
      ),
    ),
  );
}

function Review({ change }: { readonly change: ChangeReport }): JSX.Element {
  const verdicts = change.verdicts ?? [];
  return h(
    "div",
    { class: "review" },
    h("h2", {}, "What would change"),
    h(
      "ul",
      {},
      change.results.map((one) =>
        h("li", {}, h("b", {}, plain(`${one.kind} ${one.name}`)), ` would be ${one.outcome}`),
      ),
    ),
    verdicts.length === 0
      ? h("p", { class: "note" }, "No verdict between existing endpoints, this host and the internet changes.")
      : h(
          "ul",
          { class: "turns" },
          verdicts.map((one) =>
            h(
              "li",
              {},
              h(
                "div",
                {},
                plain(one.from),
                " → ",
                plain(one.to),
                " ",
                h("span", { class: "mono" }, plain(one.flow)),
                one.staged === true ? h("em", { class: "staged" }, "staged") : null,
              ),
              h("div", {}, h(Verdict, { verdict: one.before }), " becomes ", h(Verdict, { verdict: one.after })),
              h("small", {}, plain(one.decidedBy)),
            ),
          ),
        ),
    change.verdictsComplete === false
      ? h("p", { class: "note" }, "There are too many endpoints to ask about all of them; these are some.")
      : null,
  );
}
