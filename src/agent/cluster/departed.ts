/** Which addresses the containers of other hosts had that are gone there: one that starts here under its name may have them. */
import type { Endpoint } from "../../core/calc/snapshot.ts";

/** So many are remembered; the oldest go first. */
const MOST = 4096;

export class Departed {
  /** By network, then container; in the order in which they went. */
  readonly #byNetwork = new Map<string, Map<string, readonly string[]>>();
  readonly #order = new Map<string, { readonly network: string; readonly container: string }>();

  went({ network, container, addresses }: Endpoint): void {
    if (container === "") return;
    this.#forget(network, container);
    const own = this.#byNetwork.get(network) ?? new Map<string, readonly string[]>();
    this.#byNetwork.set(network, own.set(container, addresses));
    this.#order.set(keyOf(network, container), { network, container });
    const [oldest] = this.#order.size > MOST ? this.#order.values() : [];
    if (oldest !== undefined) this.#forget(oldest.network, oldest.container);
  }

  cameBack({ network, container }: Endpoint): void {
    this.#forget(network, container);
  }

  /** IPv4 before IPv6. */
  addresses(network: string, container: string): readonly string[] {
    return this.#byNetwork.get(network)?.get(container) ?? [];
  }

  /** The last to go first. */
  containers(network: string): readonly string[] {
    return [...(this.#byNetwork.get(network)?.keys() ?? [])].reverse();
  }

  #forget(network: string, container: string): void {
    if (!this.#order.delete(keyOf(network, container))) return;
    const own = this.#byNetwork.get(network);
    own?.delete(container);
    if (own?.size === 0) this.#byNetwork.delete(network);
  }
}

function keyOf(network: string, container: string): string {
  return JSON.stringify([network, container]);
}
