/** Two texts line by line, as `diff -u` shows them, for `manx diff`. */

interface Line {
  readonly sign: " " | "-" | "+";
  readonly text: string;
}

/** Unified hunks without file names; "" if the texts are equal. */
export function lineDiff(before: string, after: string, context = 3): string {
  const lines = edits(split(before), split(after));
  const near = lines.map((_, index) =>
    lines.slice(Math.max(0, index - context), index + context + 1).some(({ sign }) => sign !== " "),
  );
  const out: string[] = [];
  let [old, now] = [1, 1];
  for (let index = 0; index < lines.length; ) {
    const end = near[index] ? endOf(near, index) : index + 1;
    const hunk = lines.slice(index, end);
    const count = (sign: "-" | "+") => hunk.filter((line) => line.sign === " " || line.sign === sign).length;
    if (near[index]) {
      out.push(`@@ -${start(old, count("-"))} +${start(now, count("+"))} @@`);
      for (const { sign, text } of hunk) out.push(sign + text);
    }
    old += count("-");
    now += count("+");
    index = end;
  }
  return out.length === 0 ? "" : `${out.join("\n")}\n`;
}

function split(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}

function endOf(near: readonly boolean[], from: number): number {
  let end = from;
  while (end < near.length && near[end]) end++;
  return end;
}

/** A side of a hunk that has no lines names the line before it. */
function start(line: number, count: number): string {
  return count === 1 ? `${line}` : `${count === 0 ? line - 1 : line},${count}`;
}

/** Texts that differ in more lines have little in common: they are shown one after the other. */
const MAX_EDITS = 1000;

/** The shortest list of kept, removed and added lines (Myers, "An O(ND) difference algorithm and its variations", 1986). */
function edits(a: readonly string[], b: readonly string[]): Line[] {
  const trail: Map<number, number>[] = [];
  let best = new Map([[1, 0]]);
  for (let depth = 0; depth <= Math.min(a.length + b.length, MAX_EDITS); depth++) {
    trail.push(best);
    const next = new Map(best);
    for (let k = -depth; k <= depth; k += 2) {
      let x = goesDown(best, k, depth) ? at(best, k + 1) : at(best, k - 1) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return backtrack(a, b, trail);
    }
    best = next;
  }
  return [...a.map((text) => ({ sign: "-" as const, text })), ...b.map((text) => ({ sign: "+" as const, text }))];
}

function at(best: ReadonlyMap<number, number>, k: number): number {
  return best.get(k) ?? -1;
}

function goesDown(best: ReadonlyMap<number, number>, k: number, depth: number): boolean {
  return k === -depth || (k !== depth && at(best, k - 1) < at(best, k + 1));
}

function backtrack(a: readonly string[], b: readonly string[], trail: readonly ReadonlyMap<number, number>[]): Line[] {
  const out: Line[] = [];
  let [x, y] = [a.length, b.length];
  for (let depth = trail.length - 1; depth >= 0; depth--) {
    const best = trail[depth] ?? new Map<number, number>();
    const k = x - y;
    const before = goesDown(best, k, depth) ? k + 1 : k - 1;
    const [oldX, oldY] = [at(best, before), at(best, before) - before];
    while (x > oldX && y > oldY && x > 0 && y > 0) {
      out.push({ sign: " ", text: a[--x] ?? "" });
      y--;
    }
    if (depth === 0) break;
    out.push(x === oldX ? { sign: "+", text: b[--y] ?? "" } : { sign: "-", text: a[--x] ?? "" });
  }
  return out.reverse();
}
