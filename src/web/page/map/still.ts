/**
 * A picture of what takes longer to draw than a frame lasts. While the camera moves the picture moves, grows and shrinks with it; once it
 * rests, or leaves too much of the canvas empty, another is drawn, a part in each frame, and takes the place of the old one when it is done.
 */
import type { Point } from "./layout.ts";

export interface Camera {
  readonly scale: number;
  readonly shift: Point;
}

/** What is drawn, part by part. */
export type Parts = Iterator<unknown, unknown, undefined>;

interface Picture {
  readonly canvas: HTMLCanvasElement;
  readonly camera: Camera;
  readonly key: readonly unknown[];
}

/** Milliseconds for which the camera has to rest. */
const REST = 120;
/** Least milliseconds from one picture to the next. */
const PAUSE = 500;

export class Still {
  #shown: Picture | undefined;
  #next: { readonly picture: Picture; readonly parts: Parts } | undefined;
  #begunAt = -Infinity;
  #camera: Camera | undefined;
  #movedAt = -Infinity;

  /**
   * Draws the picture, or a part of the next one and the one there is. `key`: whatever the picture shows. `draw` gets a context that
   * looks through the camera, and draws what one frame has time for at each step.
   * @returns whether a better picture is due, so that this should be called again
   */
  show(
    onto: CanvasRenderingContext2D,
    camera: Camera,
    key: readonly unknown[],
    now: number,
    alpha: number,
    draw: (paint: CanvasRenderingContext2D) => Parts,
  ): boolean {
    if (this.#camera !== undefined && !isSame(this.#camera, camera)) this.#movedAt = now;
    this.#camera = camera;
    if (this.#next !== undefined && !fits(this.#next.picture, onto.canvas, camera)) this.#giveUp();
    const isRight = (one: Picture | undefined): boolean =>
      one !== undefined && fits(one, onto.canvas, camera) && isEqual(one.key, key);
    if (this.#next === undefined && !isRight(this.#shown) && this.#isDue(onto.canvas, camera, now)) {
      this.#next = begin(onto.canvas, camera, key, draw);
      this.#begunAt = now;
    }
    if (this.#next?.parts.next().done === true) {
      this.#shown = this.#next.picture;
      this.#next = undefined;
    }
    const picture = this.#shown ?? this.#next?.picture;
    if (picture !== undefined) paste(onto, picture, camera, alpha);
    return this.#next !== undefined || !isRight(this.#shown);
  }

  /** The camera has moved on. The very first picture is better half done than not at all. */
  #giveUp(): void {
    this.#shown ??= this.#next?.picture;
    this.#next = undefined;
  }

  #isDue(canvas: HTMLCanvasElement, camera: Camera, now: number): boolean {
    const shown = this.#shown;
    if (shown === undefined || !isOfSize(shown, canvas)) return true;
    const isCalm = now - this.#movedAt >= REST || coverage(canvas, camera, shown.camera) < 0.6;
    return isCalm && now - this.#begunAt >= PAUSE;
  }
}

function begin(
  { width, height, clientWidth }: HTMLCanvasElement,
  camera: Camera,
  key: readonly unknown[],
  draw: (paint: CanvasRenderingContext2D) => Parts,
): { readonly picture: Picture; readonly parts: Parts } | undefined {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const paint = canvas.getContext("2d");
  if (paint === null) return undefined;
  const dense = width / Math.max(1, clientWidth);
  const { scale, shift } = camera;
  paint.setTransform(dense * scale, 0, 0, dense * scale, dense * shift.x, dense * shift.y);
  return { picture: { canvas, camera, key }, parts: draw(paint) };
}

function paste(onto: CanvasRenderingContext2D, { canvas, camera: from }: Picture, camera: Camera, alpha: number): void {
  const dense = onto.canvas.width / Math.max(1, onto.canvas.clientWidth);
  const grown = camera.scale / from.scale;
  const [x, y] = [camera.shift.x - grown * from.shift.x, camera.shift.y - grown * from.shift.y];
  onto.save();
  onto.setTransform(grown, 0, 0, grown, dense * x, dense * y);
  onto.globalAlpha = alpha;
  onto.drawImage(canvas, 0, 0);
  onto.restore();
}

/** The part of the canvas that a picture taken there covers here. */
function coverage({ clientWidth, clientHeight }: HTMLCanvasElement, here: Camera, there: Camera): number {
  const grown = here.scale / there.scale;
  const along = (size: number, shift: number): number =>
    Math.max(0, Math.min(size, shift + grown * size) - Math.max(0, shift)) / Math.max(1, size);
  const { x, y } = here.shift;
  return along(clientWidth, x - grown * there.shift.x) * along(clientHeight, y - grown * there.shift.y);
}

function fits(picture: Picture, canvas: HTMLCanvasElement, camera: Camera): boolean {
  return isOfSize(picture, canvas) && isSame(picture.camera, camera);
}

function isOfSize({ canvas: { width, height } }: Picture, canvas: HTMLCanvasElement): boolean {
  return width === canvas.width && height === canvas.height;
}

function isSame(one: Camera, other: Camera): boolean {
  return one.scale === other.scale && one.shift.x === other.shift.x && one.shift.y === other.shift.y;
}

function isEqual(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
