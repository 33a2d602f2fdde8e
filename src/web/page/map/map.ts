/** The live map. What the canvas shows can be reached by keyboard too, and is said aloud; the Flows page has it as a list. */
import { computed, effect, signal, useSignal } from "@preact/signals";
import { h, type JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Empty } from "../endpoints.ts";
import { Find, NetworkChoice, Unseen, VerdictChoice } from "../parts.ts";
import { go, link } from "../router.ts";
import { endpoints } from "../session.ts";
import { plural } from "../text.ts";
import { theme } from "../theme.ts";
import { type Graph, graph } from "./graph.ts";
import { layOut } from "./layout.ts";
import { Panel } from "./panel.ts";
import { type Picked, Scene } from "./scene.ts";

const by = signal<"network" | "host">("network");
const ratio = signal(1.5);
const picked = signal<Picked>({});
/** Nodes by what the layout reads of them: flows alone move nothing. */
const nodesKey = computed(() => graph.value.nodes.map(({ id, label }) => `${id} ${label}`).join("\n"));
const layout = computed(() => {
  void nodesKey.value;
  return layOut(graph.peek().nodes, by.value, ratio.value);
});

export function MapPage(): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const said = useSignal("");
  useEffect(() => (canvas.current === null ? undefined : attach(canvas.current, (text) => (said.value = text))), []);
  const { nodes, edges } = graph.value;
  const count = nodes.filter(({ kind }) => kind === "endpoint").length;
  return h(
    "section",
    { class: "map" },
    h("h1", { class: "unseen" }, "Map"),
    h(
      "div",
      { class: "tools over" },
      h(Find, { placeholder: "Find by name, label, network:, host:" }),
      h(NetworkChoice, {}),
      h(
        "select",
        {
          "aria-label": "Group by",
          value: by.value,
          onChange: (event: Event) =>
            (by.value = (event.currentTarget as HTMLSelectElement).value === "host" ? "host" : "network"),
        },
        h("option", { value: "network" }, "by network"),
        h("option", { value: "host" }, "by host"),
      ),
      h(VerdictChoice, {}),
    ),
    h("canvas", {
      ref: canvas,
      tabIndex: 0,
      role: "application",
      "aria-label": `Map of ${plural(count, "endpoint")} and ${plural(edges.length, "connection")}. Arrow keys go from one to the next, Enter opens.`,
    }),
    endpoints.value.length === 0 ? h("div", { class: "over-empty" }, h(Empty, { some: false })) : null,
    h("p", { class: "unseen", role: "status", "aria-live": "polite" }, said.value),
    h("p", { class: "counts" }, `${plural(count, "endpoint")}, ${plural(edges.length, "connection")}`, h(Unseen, {})),
    h(Panel, { graph: graph.value, picked: picked.value, pick: (next) => (picked.value = next) }),
  );
}

/** Connects a scene to the canvas; answers what takes it away. */
function attach(canvas: HTMLCanvasElement, say: (text: string) => void): () => void {
  const scene = new Scene(canvas);
  const stops = [
    effect(() => scene.show(graph.value, layout.value)),
    effect(() => {
      void theme.value;
      scene.recolour();
    }),
    effect(() => {
      scene.picked = picked.value;
      const isOpen = picked.value.node !== undefined || picked.value.edge !== undefined;
      const tools = document.querySelector(".tools.over")?.clientHeight ?? 0;
      scene.keepClear({ top: tools + 14, right: isOpen && canvas.clientWidth > 800 ? 390 : 0 });
      say(describe(graph.peek(), picked.value));
      scene.redraw();
    }),
    pointer(canvas, scene),
    keyboard(canvas, scene),
  ];
  const observer = new ResizeObserver(() => {
    const { clientWidth, clientHeight } = canvas;
    ratio.value = Math.max(0.6, Math.min(2.2, Math.round((4 * clientWidth) / Math.max(1, clientHeight)) / 4));
    scene.resize();
  });
  observer.observe(canvas);
  expose(canvas, scene);
  return () => {
    for (const stop of stops) stop();
    observer.disconnect();
    scene.stop();
  };
}

/** Where things are, for whoever drives the page from outside: a canvas has nothing to ask. */
function expose(canvas: HTMLCanvasElement, scene: Scene): void {
  Object.assign(canvas, {
    manxPlace: (label: string) => {
      const node = graph.peek().nodes.find((one) => one.label === label);
      return node === undefined ? undefined : scene.onScreen(node.id);
    },
  });
}

function describe({ nodes, edges }: Graph, { node, edge }: Picked): string {
  const label = (id: string): string => nodes.find((one) => one.id === id)?.label ?? id;
  if (node !== undefined) {
    const mine = edges.filter(({ from, to }) => from === node || to === node);
    const found = nodes.find(({ id }) => id === node);
    return `${label(node)}${found?.network ? `, network ${found.network}` : ""}, ${plural(mine.length, "connection")}`;
  }
  const one = edges.find(({ id }) => id === edge);
  return one === undefined ? "" : `${label(one.from)} to ${label(one.to)}, ${one.verdict}`;
}

function pointer(canvas: HTMLCanvasElement, scene: Scene): () => void {
  const down = new Map<number, { x: number; y: number }>();
  let [moved, pinch] = [0, 0];
  const spread = (): number => {
    const [a, b] = [...down.values()];
    return a === undefined || b === undefined ? 0 : Math.hypot(a.x - b.x, a.y - b.y);
  };
  const on = {
    pointerdown: (event: PointerEvent) => {
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      [moved, pinch] = [down.size > 1 ? 99 : 0, spread()];
    },
    pointermove: (event: PointerEvent) => {
      const last = down.get(event.pointerId);
      if (last === undefined) {
        scene.hovered = scene.at(event.offsetX, event.offsetY);
        canvas.style.cursor = scene.hovered.node === undefined && scene.hovered.edge === undefined ? "grab" : "pointer";
        return scene.redraw();
      }
      const [dx, dy] = [event.offsetX - last.x, event.offsetY - last.y];
      down.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      moved += Math.abs(dx) + Math.abs(dy);
      if (down.size === 2) {
        const wide = spread();
        if (pinch > 0) scene.zoom(wide / pinch, { x: event.offsetX, y: event.offsetY });
        pinch = wide;
      } else if (moved > 4) scene.pan(dx, dy);
    },
    pointerup: (event: PointerEvent) => {
      if (down.delete(event.pointerId) && moved <= 4) picked.value = scene.at(event.offsetX, event.offsetY);
    },
    pointercancel: (event: PointerEvent) => void down.delete(event.pointerId),
    pointerleave: () => {
      scene.hovered = {};
      scene.redraw();
    },
    wheel: (event: WheelEvent) => {
      event.preventDefault();
      scene.zoom(Math.exp(-event.deltaY * 0.0015), { x: event.offsetX, y: event.offsetY });
    },
    dblclick: () => {
      const { node } = picked.value;
      if (graph.peek().nodes.some(({ id, endpoint }) => id === node && endpoint !== undefined))
        go(link("endpoint", node ?? ""));
    },
  };
  return listen(canvas, on as unknown as Readonly<Record<string, (event: Event) => void>>);
}

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

function keyboard(canvas: HTMLCanvasElement, scene: Scene): () => void {
  const onKey = (event: KeyboardEvent): void => {
    const arrow = ARROWS[event.key];
    if (arrow !== undefined) picked.value = { node: next(scene, arrow) };
    else if (event.key === "+" || event.key === "=") scene.zoom(1.3);
    else if (event.key === "-") scene.zoom(1 / 1.3);
    else if (event.key === "0") scene.fit();
    else if (event.key === "Enter" && picked.value.node !== undefined) {
      if (graph.peek().nodes.some(({ id, endpoint }) => id === picked.value.node && endpoint !== undefined))
        go(link("endpoint", picked.value.node));
    } else return;
    event.preventDefault();
  };
  const onEscape = (event: KeyboardEvent): void => {
    if (event.key === "Escape") picked.value = {};
  };
  addEventListener("keydown", onEscape);
  const stop = listen(canvas, { keydown: onKey as (event: Event) => void });
  return () => {
    stop();
    removeEventListener("keydown", onEscape);
  };
}

/** The nearest in the direction; what lies aside counts as farther. */
function next(scene: Scene, [dx, dy]: readonly [number, number]): string | undefined {
  const { nodes } = graph.peek();
  const current = picked.value.node;
  const here = current === undefined ? undefined : scene.place(current);
  if (here === undefined) return nodes[0]?.id;
  let [best, least] = [current, Infinity];
  for (const { id } of nodes) {
    const place = scene.place(id);
    if (place === undefined || id === current) continue;
    const [x, y] = [place.x - here.x, place.y - here.y];
    const along = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    if (along > 1 && along + 2 * aside < least) [best, least] = [id, along + 2 * aside];
  }
  return best;
}

function listen(target: HTMLElement, on: Readonly<Record<string, (event: Event) => void>>): () => void {
  for (const [name, work] of Object.entries(on)) target.addEventListener(name, work, { passive: false });
  return () => {
    for (const [name, work] of Object.entries(on)) target.removeEventListener(name, work);
  };
}
