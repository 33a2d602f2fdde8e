/** How a connection is drawn: a curve in the colour of its verdict, an end that says whether it got in, a dot when it was just seen. */
import type { Edge } from "./graph.ts";
import type { Point } from "./layout.ts";

export interface Colours {
  readonly [name: string]: string;
}

/** From, by way of, to. */
export type Curve = readonly [Point, Point, Point];

export interface Brush {
  readonly paint: CanvasRenderingContext2D;
  /** Undefined where an end of the edge has no place. */
  readonly curve: (edge: Edge) => Curve | undefined;
  readonly colours: Colours;
  readonly scale: number;
  /** One of the screen's pixels. */
  readonly pixel: number;
}

export function strokeEdges(
  brush: Brush,
  edges: readonly Edge[],
  { alpha, wider = 0, thin = false }: { readonly alpha: number; readonly wider?: number; readonly thin?: boolean },
): void {
  const { paint, colours, scale, pixel } = brush;
  // One path a colour and width: thousands of edges are a few strokes.
  const strokes = new Map<string, { path: Path2D; edge: Edge; width: number }>();
  for (const edge of edges) {
    const curve = brush.curve(edge);
    if (curve === undefined) continue;
    const width = thin ? 0 : Math.round((Math.min(3, 1 + Math.log10(1 + edge.count) * 0.7) + wider) * 2) / 2;
    const key = `${edge.verdict} ${width}`;
    const stroke = strokes.get(key) ?? { path: new Path2D(), edge, width };
    strokes.set(key, stroke);
    const [a, c, b] = curve;
    stroke.path.moveTo(a.x, a.y);
    stroke.path.quadraticCurveTo(c.x, c.y, b.x, b.y);
  }
  paint.globalAlpha = alpha;
  for (const { path, edge, width } of strokes.values()) {
    paint.strokeStyle = colours[colourOf(edge.verdict)] ?? "";
    paint.lineWidth = thin ? pixel : width / Math.max(0.5, Math.min(1.4, scale));
    paint.setLineDash(edge.verdict.startsWith("would") ? [6, 5] : []);
    paint.stroke(path);
  }
  paint.setLineDash([]);
  paint.globalAlpha = 1;
}

/** A dot on its way; one that is dropped gets half way. `age`: 0 just now, 1 over; `life`: milliseconds that is. */
export function drawPulse(brush: Brush, edge: Edge, age: number, life: number): void {
  const { paint, colours } = brush;
  const curve = brush.curve(edge);
  if (curve === undefined) return;
  const stops = edge.verdict === "deny" ? 0.62 : 1;
  const { x, y } = bezier(...curve, (((age * life) / 800) % 1) * stops);
  paint.globalAlpha = 1 - age;
  paint.fillStyle = colours[colourOf(edge.verdict)] ?? "";
  paint.beginPath();
  paint.arc(x, y, 4, 0, 2 * Math.PI);
  paint.fill();
  paint.globalAlpha = 1;
}

/** An arrow for who is let in, a cross for who is not. */
export function drawHead(brush: Brush, edge: Edge): void {
  const { paint, colours } = brush;
  const curve = brush.curve(edge);
  if (curve === undefined) return;
  const [a, , b] = curve;
  const length = Math.max(1, Math.hypot(b.x - a.x, b.y - a.y));
  const tip = bezier(...curve, Math.max(0.5, 1 - 13 / length));
  const back = bezier(...curve, Math.max(0.4, 1 - 21 / length));
  paint.save();
  paint.strokeStyle = paint.fillStyle = colours[colourOf(edge.verdict)] ?? "";
  paint.lineWidth = 2;
  paint.translate(tip.x, tip.y);
  paint.rotate(Math.atan2(tip.y - back.y, tip.x - back.x));
  paint.beginPath();
  if (edge.verdict === "deny") {
    paint.moveTo(-8, -4);
    paint.lineTo(0, 4);
    paint.moveTo(-8, 4);
    paint.lineTo(0, -4);
    paint.stroke();
  } else {
    paint.moveTo(0, 0);
    paint.lineTo(-8, -4);
    paint.lineTo(-8, 4);
    paint.fill();
  }
  paint.restore();
}

function colourOf(verdict: Edge["verdict"]): string {
  if (verdict === "allow" || verdict === "deny" || verdict === "log") return verdict;
  return verdict === "would-deny" ? "would" : "allow";
}

export function bezier(a: Point, c: Point, b: Point, t: number): Point {
  const u = 1 - t;
  return { x: u * u * a.x + 2 * u * t * c.x + t * t * b.x, y: u * u * a.y + 2 * u * t * c.y + t * t * b.y };
}
