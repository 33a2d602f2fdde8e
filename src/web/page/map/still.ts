/**
 * A picture of what takes longer to draw than a frame lasts. While the camera moves the picture moves, grows and shrinks with it; once it
 * rests, or leaves too much of the canvas empty, the picture is made anew.
 */
import type { Point } from "./layout.ts";

export interface Camera {
  readonly scale: number;
  readonly shift: Point;
}

/** Milliseconds for which the camera has to rest. */
const REST = 120;
/** Least milliseconds from one picture to the next. */
const PAUSE = 500;

export class Still {
  readonly #picture = document.createElement("canvas");
  readonly #paint = this.#picture.getContext("2d");
  #taken: { readonly camera: Camera; readonly key: readonly unknown[]; readonly at: number } | undefined;
  #camera: Camera | undefined;
  #movedAt = -Infinity;

  /**
   * `key`: whatever the picture shows. `draw` gets a context that looks through the camera.
   * @returns whether a better picture is due, so that this should be called again
   */
  show(
    onto: CanvasRenderingContext2D,
    camera: Camera,
    key: readonly unknown[],
    now: number,
    alpha: number,
    draw: (paint: CanvasRenderingContext2D) => void,
  ): boolean {
    const paint = this.#paint;
    if (paint === null) return false;
    if (this.#camera !== undefined && !isSame(this.#camera, camera)) this.#movedAt = now;
    this.#camera = camera;
    const { width, height, clientWidth } = onto.canvas;
    const dense = width / Math.max(1, clientWidth);
    const isOfSize = this.#picture.width === width && this.#picture.height === height;
    const taken = this.#taken;
    const isRight = taken !== undefined && isOfSize && isSame(taken.camera, camera) && isEqual(taken.key, key);
    const isCalm =
      now - this.#movedAt >= REST || (taken !== undefined && coverage(onto.canvas, camera, taken.camera) < 0.6);
    const isDue = taken === undefined || !isOfSize || (isCalm && now - taken.at >= PAUSE);
    if (!isRight && isDue) {
      // Setting the size empties it.
      [this.#picture.width, this.#picture.height] = [width, height];
      paint.setTransform(
        dense * camera.scale,
        0,
        0,
        dense * camera.scale,
        dense * camera.shift.x,
        dense * camera.shift.y,
      );
      draw(paint);
      this.#taken = { camera, key, at: now };
    }
    const from = this.#taken?.camera ?? camera;
    const grown = camera.scale / from.scale;
    onto.save();
    const [x, y] = [camera.shift.x - grown * from.shift.x, camera.shift.y - grown * from.shift.y];
    onto.setTransform(grown, 0, 0, grown, dense * x, dense * y);
    onto.globalAlpha = alpha;
    onto.drawImage(this.#picture, 0, 0);
    onto.restore();
    return !isRight && !isDue;
  }
}

/** The part of the canvas that a picture taken there covers here. */
function coverage({ clientWidth, clientHeight }: HTMLCanvasElement, here: Camera, there: Camera): number {
  const grown = here.scale / there.scale;
  const along = (size: number, shift: number): number =>
    Math.max(0, Math.min(size, shift + grown * size) - Math.max(0, shift)) / Math.max(1, size);
  const { x, y } = here.shift;
  return along(clientWidth, x - grown * there.shift.x) * along(clientHeight, y - grown * there.shift.y);
}

function isSame(one: Camera, other: Camera): boolean {
  return one.scale === other.scale && one.shift.x === other.shift.x && one.shift.y === other.shift.y;
}

function isEqual(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
