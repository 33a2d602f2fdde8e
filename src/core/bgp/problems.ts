/** What could not be taken over of a cluster's resources. The store may hold what no check has seen, of any shape. */
import type { Problem } from "../problem.ts";

export class Problems {
  /** One a resource and reason. */
  readonly #byText = new Map<string, Problem>();

  get all(): readonly Problem[] {
    return [...this.#byText.values()];
  }

  add(path: string, message: string): void {
    this.#byText.set(`${path}: ${message}`, { path, message });
  }

  /** What `read` answers, or `otherwise` where the resource is of a shape that nobody expects. */
  of<T>(path: string, read: () => T, otherwise: T): T {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
      this.add(path, "it cannot be read");
      return otherwise;
    }
  }
}
