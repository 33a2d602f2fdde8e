/** A long list of rows of one height, of which only those in sight exist. */
import { useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

export const ROW = 44;
const SPARE = 8;

interface Props<T> {
  readonly rows: readonly T[];
  readonly label: string;
  readonly row: (item: T) => JSX.Element;
  readonly keyOf: (item: T) => string;
}

export function VirtualList<T>({ rows, label, row, keyOf }: Props<T>): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const top = useSignal(0);
  const height = useSignal(600);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => (height.value = element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top.value / ROW) - SPARE);
  const last = Math.min(rows.length, Math.ceil((top.value + height.value) / ROW) + SPARE);
  const shown = rows.slice(first, last);
  return h(
    "div",
    {
      class: "virtual",
      ref: box,
      role: "list",
      "aria-label": label,
      tabIndex: 0,
      onScroll: () => (top.value = Math.floor((box.current?.scrollTop ?? 0) / ROW) * ROW),
    },
    h(
      "div",
      { class: "inner", style: { height: `${rows.length * ROW}px` } },
      shown.map((item, index) =>
        h(
          "div",
          {
            key: keyOf(item),
            role: "listitem",
            class: "slot",
            "aria-setsize": rows.length,
            "aria-posinset": first + index + 1,
            style: { transform: `translateY(${(first + index) * ROW}px)`, height: `${ROW}px` },
          },
          row(item),
        ),
      ),
    ),
  );
}
