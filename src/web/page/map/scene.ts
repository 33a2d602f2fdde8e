/**
 * The picture on the canvas: a camera, and everything drawn through it. It moves only while something changes: a node goes to
 * its new place, or a connection was seen just now.
 */
import { plain } from "../text.ts";
import { type Brush, bezier, type Colours, type Curve, drawHead, drawPulse, strokeEdges } from "./edges.ts";
import type { Edge, Graph, MapNode } from "./graph.ts";
import type { Layout, Point } from "./layout.ts";
import { type Parts, Still } from "./still.ts";

export interface Picked {
  readonly node?: string | undefined;
  readonly edge?: string | undefined;
}

const MOVE = 450;
const FRESH = 2_500;
/** Milliseconds that news of a flow may be on its way. */
const LATE = 10_000;
/** Dots on their way at the same time. */
const PULSES = 200;
/** Edges that can be drawn anew in each frame. More of them are a picture, of which each frame draws a part. */
const FEW = 100;
/** Edges that are thin lines: without a card that draws, a line wider than a pixel takes ten times as long. */
const MANY = 600;
/** Edges drawn in a frame, about 8 ms in software. */
const WIDE_A_FRAME = 60;
const THIN_A_FRAME = 500;
const NAMES = ["ink", "dim", "line", "disc", "disc-line", "accent", "node", "allow", "deny", "log", "would", "panel"];

export class Scene {
  readonly #canvas: HTMLCanvasElement;
  readonly #paint: CanvasRenderingContext2D;
  #graph: Graph = { nodes: [], edges: [], flows: [] };
  #byId: ReadonlyMap<string, MapNode> = new Map();
  #layout: Layout = { places: new Map(), discs: [], box: { left: 0, top: 0, right: 1, bottom: 1 } };
  #from: ReadonlyMap<string, Point> = new Map();
  #movedAt = -Infinity;
  #colours: Colours = {};
  #frame = 0;
  /** Whether the camera follows the whole; ends when somebody moves it. */
  #fits = true;
  readonly #still = new Still();
  /** When the newest flow was seen, RFC 3339. */
  #newest = "";
  #lastSeen = new Map<string, { last: string; at: number }>();
  /** Pixels at the edges that something covers. */
  inset = { top: 0, right: 0 };
  scale = 1;
  shift: Point = { x: 0, y: 0 };
  picked: Picked = {};
  hovered: Picked = {};

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
    const paint = canvas.getContext("2d");
    if (paint === null) throw new Error("Cannot draw: the browser gives no canvas");
    this.#paint = paint;
    this.recolour();
  }

  show(graph: Graph, layout: Layout): void {
    const now = performance.now();
    const first = this.#byId.size === 0;
    if (layout !== this.#layout) {
      this.#from = first
        ? new Map()
        : new Map([...layout.places.keys()].map((id) => [id, this.place(id) ?? { x: 0, y: 0 }]));
      this.#movedAt = first || isStill() ? -Infinity : now;
    }
    this.#note(graph.edges, now);
    this.#graph = graph;
    this.#byId = new Map(graph.nodes.map((node) => [node.id, node]));
    this.#layout = layout;
    if (this.#fits) this.fit();
    this.redraw();
  }

  /** Remembers which edges were seen just now. Those of long ago that are told only now were not. */
  #note(edges: readonly Edge[], now: number): void {
    const newest = this.#newest;
    const seen = new Map<string, { last: string; at: number }>();
    for (const { id, last } of edges) {
      if (last > this.#newest) this.#newest = last;
      const before = this.#lastSeen.get(id);
      const isNew = newest !== "" && Date.parse(last) > Date.parse(newest) - LATE;
      seen.set(id, before?.last === last ? before : { last, at: isNew ? now : -Infinity });
    }
    this.#lastSeen = seen;
  }

  recolour(): void {
    const style = getComputedStyle(document.documentElement);
    this.#colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--map-${name}`).trim()]));
    this.redraw();
  }

  resize(): void {
    const { clientWidth, clientHeight } = this.#canvas;
    const dense = Math.min(2, devicePixelRatio);
    this.#canvas.width = Math.max(1, Math.round(clientWidth * dense));
    this.#canvas.height = Math.max(1, Math.round(clientHeight * dense));
    if (this.#fits) this.fit();
    this.redraw();
  }

  /** Keeps clear of what covers the canvas. */
  keepClear(inset: { readonly top: number; readonly right: number }): void {
    if (inset.top === this.inset.top && inset.right === this.inset.right) return;
    this.inset = inset;
    if (this.#fits) this.fit();
  }

  fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const { left, top, right, bottom } = this.#layout.box;
    const [wide, high] = [Math.max(80, width - this.inset.right), Math.max(80, height - this.inset.top)];
    this.scale = Math.max(0.05, Math.min(1.5, (wide - 32) / (right - left), (high - 32) / (bottom - top)));
    const x = wide / 2 - ((left + right) / 2) * this.scale;
    this.shift = { x, y: this.inset.top + high / 2 - ((top + bottom) / 2) * this.scale };
    this.#fits = true;
    this.redraw();
  }

  zoom(factor: number, at: Point = { x: this.#canvas.clientWidth / 2, y: this.#canvas.clientHeight / 2 }): void {
    const next = Math.max(0.05, Math.min(6, this.scale * factor));
    const by = next / this.scale;
    this.shift = { x: at.x - (at.x - this.shift.x) * by, y: at.y - (at.y - this.shift.y) * by };
    this.scale = next;
    this.#fits = false;
    this.redraw();
  }

  pan(x: number, y: number): void {
    this.shift = { x: this.shift.x + x, y: this.shift.y + y };
    this.#fits = false;
    this.redraw();
  }

  /** Where the node is now, also on its way. */
  place(id: string): Point | undefined {
    const to = this.#layout.places.get(id);
    const from = this.#from.get(id);
    const done = (performance.now() - this.#movedAt) / MOVE;
    if (to === undefined || from === undefined || done >= 1) return to;
    const eased = 1 - (1 - done) ** 3;
    return { x: from.x + (to.x - from.x) * eased, y: from.y + (to.y - from.y) * eased };
  }

  /** On the page, for who wants to click there. */
  onScreen(id: string): Point | undefined {
    const place = this.place(id);
    return place === undefined
      ? undefined
      : { x: place.x * this.scale + this.shift.x, y: place.y * this.scale + this.shift.y };
  }

  at(x: number, y: number): Picked {
    const [px, py] = [(x - this.shift.x) / this.scale, (y - this.shift.y) / this.scale];
    const near = 14 / Math.min(1.5, Math.max(this.scale, 0.4));
    let [best, distance]: [string | undefined, number] = [undefined, near];
    for (const { id } of this.#graph.nodes) {
      const place = this.place(id);
      if (place === undefined) continue;
      const away = Math.hypot(place.x - px, place.y - py);
      if (away < distance) [best, distance] = [id, away];
    }
    if (best !== undefined) return { node: best };
    let [edge, gap]: [string | undefined, number] = [undefined, 7 / this.scale];
    for (const one of this.#graph.edges) {
      const away = this.#distance(one, px, py, gap);
      if (away < gap) [edge, gap] = [one.id, away];
    }
    return edge === undefined ? {} : { edge };
  }

  readonly #curve = ({ from, to }: Edge): Curve | undefined => {
    const [a, b] = [this.place(from), this.place(to)];
    if (a === undefined || b === undefined) return undefined;
    if (from === to) return [a, { x: a.x + 40, y: a.y - 40 }, b];
    return [a, { x: (a.x + b.x) / 2 - (b.y - a.y) * 0.12, y: (a.y + b.y) / 2 + (b.x - a.x) * 0.12 }, b];
  };

  #distance(edge: Edge, x: number, y: number, most: number): number {
    const curve = this.#curve(edge);
    if (curve === undefined) return Infinity;
    const [a, c, b] = curve;
    if (x < Math.min(a.x, b.x, c.x) - most || x > Math.max(a.x, b.x, c.x) + most) return Infinity;
    if (y < Math.min(a.y, b.y, c.y) - most || y > Math.max(a.y, b.y, c.y) + most) return Infinity;
    let least = Infinity;
    let last = a;
    for (let step = 1; step <= 16; step++) {
      const next = bezier(a, c, b, step / 16);
      least = Math.min(least, toSegment(x, y, last, next));
      last = next;
    }
    return least;
  }

  /** At the next frame, once. */
  redraw(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.#draw()) this.redraw();
    });
  }

  stop(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
  }

  /** Answers whether something still moves. */
  #draw(): boolean {
    const paint = this.#paint;
    const now = performance.now();
    const dense = this.#canvas.width / Math.max(1, this.#canvas.clientWidth);
    paint.setTransform(1, 0, 0, 1, 0, 0);
    paint.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    paint.setTransform(dense * this.scale, 0, 0, dense * this.scale, dense * this.shift.x, dense * this.shift.y);
    this.#drawDiscs();
    const fresh = this.#drawEdges(now);
    this.#drawDiscNames();
    this.#drawNodes();
    return fresh || now - this.#movedAt < MOVE;
  }

  #drawDiscs(): void {
    const paint = this.#paint;
    const c = this.#colours;
    for (const { x, y, radius, gone } of this.#layout.discs) {
      paint.setLineDash(gone ? [4 / this.scale, 4 / this.scale] : []);
      paint.beginPath();
      paint.arc(x, y, radius, 0, 2 * Math.PI);
      paint.fillStyle = c["disc"] ?? "";
      paint.fill();
      paint.strokeStyle = c["disc-line"] ?? "";
      paint.lineWidth = 1 / this.scale;
      paint.stroke();
    }
    paint.setLineDash([]);
  }

  /** Over the edges, which would cross them out. */
  #drawDiscNames(): void {
    const paint = this.#paint;
    const size = 13 / Math.min(1.3, Math.max(this.scale, 0.35));
    paint.textAlign = "center";
    paint.font = `600 ${size}px system-ui, sans-serif`;
    paint.lineWidth = size / 3;
    paint.strokeStyle = this.#colours["panel"] ?? "";
    paint.fillStyle = this.#colours["dim"] ?? "";
    for (const { x, y, radius, name, count, gone } of this.#layout.discs) {
      const title = name === "" ? "gone" : `${short(plain(name), 28)}${gone ? " (gone)" : ""}`;
      const text = title + (count > 1 ? `  ${count}` : "");
      paint.strokeText(text, x, y + radius + size + 2);
      paint.fillText(text, x, y + radius + size + 2);
    }
  }

  #drawEdges(now: number): boolean {
    const { edges } = this.#graph;
    const focus = this.hovered.node ?? this.picked.node;
    const picked = this.hovered.edge ?? this.picked.edge;
    const isChosen = ({ id, from, to }: Edge): boolean => id === picked || from === focus || to === focus;
    const chosen = focus === undefined && picked === undefined ? undefined : edges.filter(isChosen);
    const brush = this.#brush(this.#paint);
    if (edges.length <= FEW) strokeEdges(brush, edges, { alpha: chosen === undefined ? 0.7 : 0.12 });
    else if (now - this.#movedAt < MOVE) strokeEdges(brush, edges.slice(0, THIN_A_FRAME), { alpha: 0.25, thin: true });
    else this.#showStill(now, chosen === undefined ? 1 : 0.3);
    for (const edge of chosen ?? []) strokeEdges(brush, [edge], { alpha: 1, wider: edge.id === picked ? 2 : 0.8 });
    for (const edge of chosen ?? (edges.length <= FEW ? edges : [])) drawHead(brush, edge);
    if (isStill()) return false;
    const fresh = edges.filter(({ id }) => now - (this.#lastSeen.get(id)?.at ?? -Infinity) < FRESH).slice(0, PULSES);
    for (const edge of fresh) drawPulse(brush, edge, (now - (this.#lastSeen.get(edge.id)?.at ?? now)) / FRESH, FRESH);
    return fresh.length > 0;
  }

  #brush(paint: CanvasRenderingContext2D): Brush {
    const dense = this.#canvas.width / Math.max(1, this.#canvas.clientWidth);
    return { paint, curve: this.#curve, colours: this.#colours, scale: this.scale, pixel: 1 / (dense * this.scale) };
  }

  /** All edges, from a picture of them: they take longer than a frame. */
  #showStill(now: number, alpha: number): void {
    const camera = { scale: this.scale, shift: this.shift };
    const key = [this.#graph, this.#layout, this.#colours];
    const draw = (paint: CanvasRenderingContext2D): Parts => this.#drawAll(this.#brush(paint), this.#graph.edges);
    if (this.#still.show(this.#paint, camera, key, now, alpha, draw)) this.redraw();
  }

  *#drawAll(brush: Brush, edges: readonly Edge[]): Generator<undefined, void, undefined> {
    const thin = edges.length > MANY;
    const heads = !thin || brush.scale > 1;
    const atOnce = thin && !heads ? THIN_A_FRAME : WIDE_A_FRAME;
    for (let from = 0; from < edges.length; from += atOnce) {
      const part = edges.slice(from, from + atOnce);
      strokeEdges(brush, part, { alpha: thin ? 0.3 : 0.6, thin });
      if (heads) for (const edge of part) drawHead(brush, edge);
      yield undefined;
    }
  }

  #drawNodes(): void {
    const paint = this.#paint;
    const c = this.#colours;
    const neighbours = this.#neighbours();
    const labelled = this.scale > 0.9 || this.#graph.nodes.length <= 40;
    const ends: string[] = [];
    const picked = this.#graph.edges.find(({ id }) => id === (this.hovered.edge ?? this.picked.edge));
    if (picked !== undefined) ends.push(picked.from, picked.to);
    for (const node of this.#graph.nodes) {
      const place = this.place(node.id);
      if (place === undefined) continue;
      const isFocus = node.id === this.picked.node || node.id === this.hovered.node;
      const near = neighbours === undefined || neighbours.has(node.id) || ends.includes(node.id);
      paint.globalAlpha = near ? 1 : 0.25;
      this.#drawShape(node, place, isFocus);
      if (
        labelled ||
        isFocus ||
        node.kind !== "endpoint" ||
        ends.includes(node.id) ||
        (neighbours?.has(node.id) === true && neighbours.size < 30)
      ) {
        const size = 11.5 / Math.max(0.35, Math.min(1.15, this.scale));
        paint.font = `${isFocus ? 600 : 400} ${size}px system-ui, sans-serif`;
        paint.textAlign = "center";
        paint.lineWidth = 3 / Math.min(1, this.scale);
        paint.strokeStyle = c["panel"] ?? "";
        const [text, y] = [short(node.label, 22), place.y + (node.kind === "endpoint" ? 8 : 16) + size];
        paint.strokeText(text, place.x, y);
        paint.fillStyle = c["ink"] ?? "";
        paint.fillText(text, place.x, y);
      }
    }
    paint.globalAlpha = 1;
  }

  #drawShape(node: MapNode, { x, y }: Point, isFocus: boolean): void {
    const paint = this.#paint;
    const c = this.#colours;
    const runs = node.endpoint?.running ?? node.kind !== "endpoint";
    paint.beginPath();
    if (node.kind === "host") paint.roundRect(x - 14, y - 10, 28, 20, 5);
    else if (node.kind === "outside") paint.ellipse(x, y, 24, 13, 0, 0, 2 * Math.PI);
    else paint.arc(x, y, isFocus ? 8 : 6, 0, 2 * Math.PI);
    paint.fillStyle = runs ? (node.kind === "endpoint" ? (c["node"] ?? "") : (c["panel"] ?? "")) : (c["panel"] ?? "");
    paint.fill();
    paint.lineWidth = isFocus ? 3 : 1.6;
    paint.strokeStyle = (isFocus ? c["accent"] : node.kind === "endpoint" ? c["node"] : c["dim"]) ?? "";
    paint.stroke();
  }

  #neighbours(): ReadonlySet<string> | undefined {
    const focus = this.hovered.node ?? this.picked.node;
    if (focus === undefined || !this.#byId.has(focus)) return undefined;
    const out = new Set([focus]);
    for (const { from, to } of this.#graph.edges) {
      if (from === focus) out.add(to);
      if (to === focus) out.add(from);
    }
    return out;
  }
}

/** Names of strangers have any length. */
function short(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function isStill(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

function toSegment(x: number, y: number, a: Point, b: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const t = Math.max(0, Math.min(1, ((x - a.x) * dx + (y - a.y) * dy) / (dx * dx + dy * dy || 1)));
  return Math.hypot(x - a.x - t * dx, y - a.y - t * dy);
}
