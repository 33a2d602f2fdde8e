/** Where things stand: each network (or host) is a disc, its endpoints a sunflower in it; hosts below, the outside above. */
import type { MapNode } from "./graph.ts";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Disc extends Point {
  readonly name: string;
  readonly radius: number;
  readonly count: number;
  /** Of what is there no more, nothing else. */
  readonly gone: boolean;
}

export interface Layout {
  readonly places: ReadonlyMap<string, Point>;
  readonly discs: readonly Disc[];
  readonly box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };
}

const APART = 34;
const GOLDEN = Math.PI * (3 - Math.sqrt(5));
const GAP = 34;
const ASIDE = 90;

/** The same graph has the same layout, whatever was before. `ratio`: how much wider than high the picture may be. */
export function layOut(nodes: readonly MapNode[], by: "network" | "host", ratio: number): Layout {
  const groups = Map.groupBy(
    nodes.filter(({ kind }) => kind === "endpoint"),
    (node) => node[by],
  );
  const sized = [...groups]
    .map(([name, members]) => ({ name, members, radius: radiusOf(members.length) }))
    .sort((a, b) => b.radius - a.radius || (a.name < b.name ? -1 : 1));
  const places = new Map<string, Point>();
  const discs: Disc[] = [];
  let turn = 0;
  for (const [index, { name, members, radius }] of sized.entries()) {
    if (radius !== sized[index - 1]?.radius) turn = 0; // for the same radius all places before the last one are taken
    turn = freeTurn(radius, discs, ratio, turn);
    const centre = onSpiral(turn, ratio);
    const gone = members.every((one) => one.gone === true);
    discs.push({ name, radius, count: members.length, gone, ...centre });
    for (const [nth, { id }] of members.sort((a, b) => (a.label < b.label ? -1 : 1)).entries())
      places.set(id, petal(centre, nth, members.length));
  }
  const box = boxOf(discs);
  row(
    nodes.filter(({ kind }) => kind === "outside"),
    box,
    box.top - ASIDE,
    places,
  );
  row(
    nodes.filter(({ kind }) => kind === "host"),
    box,
    box.bottom + ASIDE,
    places,
  );
  return { places, discs, box: { ...box, top: box.top - ASIDE - 40, bottom: box.bottom + ASIDE + 40 } };
}

function radiusOf(count: number): number {
  return count === 1 ? 44 : APART * 0.62 * Math.sqrt(count) + 36;
}

function petal({ x, y }: Point, index: number, count: number): Point {
  if (count === 1) return { x, y };
  const distance = APART * 0.62 * Math.sqrt(index + 0.6);
  return { x: x + distance * Math.cos(index * GOLDEN), y: y + distance * Math.sin(index * GOLDEN) };
}

/** The first place on the spiral, from a turn on, where a disc has room. */
function freeTurn(radius: number, discs: readonly Disc[], ratio: number, from: number): number {
  let turn = from;
  for (;;) {
    const { x, y } = onSpiral(turn, ratio);
    if (discs.every((disc) => Math.hypot(disc.x - x, disc.y - y) >= disc.radius + radius + GAP)) return turn;
    turn += 0.35;
  }
}

function onSpiral(turn: number, ratio: number): Point {
  const distance = 9 * turn;
  return { x: distance * ratio * Math.cos(turn), y: distance * Math.sin(turn) };
}

function boxOf(discs: readonly Disc[]): Layout["box"] {
  const box = { left: -160, top: -60, right: 160, bottom: 60 };
  for (const { x, y, radius } of discs) {
    box.left = Math.min(box.left, x - radius);
    box.right = Math.max(box.right, x + radius);
    box.top = Math.min(box.top, y - radius);
    box.bottom = Math.max(box.bottom, y + radius + 24);
  }
  return box;
}

function row(nodes: readonly MapNode[], { left, right }: Layout["box"], y: number, places: Map<string, Point>): void {
  const step = Math.min(220, (right - left) / Math.max(1, nodes.length));
  const middle = (left + right) / 2;
  for (const [index, { id }] of nodes.entries())
    places.set(id, { x: middle + (index - (nodes.length - 1) / 2) * step, y });
}
