/**
 * Makes the kernel what a HostState says. The firewall comes first and nothing else happens without it: an interface whose rules are
 * not in force is an unknown one, and those are dropped. After it, what others stand on: settings, links, addresses, neighbours,
 * routes. A part that fails does not keep the others from being made right.
 */
import type { HostState, LinkState, RouteState, ServiceRoute } from "../core/calc/host-state.ts";
import { Reconciler, type Target } from "../core/reconcile/reconciler.ts";
import type { Ruleset } from "../core/rules/ir.ts";
import { messageOf } from "../drivers/error.ts";
import type { Health } from "./health.ts";

export interface Firewall {
  /** @returns how many kernel objects were written; 0: all was as it should be. */
  apply(desired: Ruleset, signal: AbortSignal): Promise<number>;
  resync(): void;
}

export interface DataplaneTargets {
  readonly firewall: Firewall;
  readonly sysctls: Target<string, string>;
  readonly links: Target<string, LinkState>;
  readonly gatewayAddresses: Target<string, true>;
  readonly neighbours: Target<string, { readonly mac: string }>;
  readonly proxies: Target<string, null>;
  readonly routes: Target<string, RouteState>;
  readonly services: Target<string, ServiceRoute>;
}

export type Stage = keyof DataplaneTargets;

export interface Outcome {
  /** Writes by stage; all zero when nothing was wrong. */
  readonly writes: Readonly<Record<Stage, number>>;
  readonly failures: ReadonlyMap<Stage, unknown>;
}

export class Dataplane {
  readonly #firewall: Firewall;
  readonly #sysctls: Reconciler<string, string>;
  readonly #links: Reconciler<string, LinkState>;
  readonly #gatewayAddresses: Reconciler<string, true>;
  readonly #neighbours: Reconciler<string, { readonly mac: string }>;
  readonly #proxies: Reconciler<string, null>;
  readonly #routes: Reconciler<string, RouteState>;
  readonly #services: Reconciler<string, ServiceRoute>;
  /** What was made so last. */
  #served: HostState["services"] = new Map();

  constructor(targets: DataplaneTargets) {
    this.#firewall = targets.firewall;
    this.#sysctls = new Reconciler(targets.sysctls);
    this.#links = new Reconciler(targets.links);
    this.#gatewayAddresses = new Reconciler(targets.gatewayAddresses);
    this.#neighbours = new Reconciler(targets.neighbours);
    this.#proxies = new Reconciler(targets.proxies);
    this.#routes = new Reconciler(targets.routes);
    this.#services = new Reconciler(targets.services);
  }

  /** The next apply reads back what the kernel has. `stage` absent: everything. */
  resync(stage?: Stage): void {
    const all: Record<Stage, { resync(): void }> = {
      firewall: this.#firewall,
      sysctls: this.#sysctls,
      links: this.#links,
      gatewayAddresses: this.#gatewayAddresses,
      neighbours: this.#neighbours,
      proxies: this.#proxies,
      routes: this.#routes,
      services: this.#services,
    };
    for (const [name, part] of Object.entries(all)) if (stage === undefined || stage === name) part.resync();
    if (stage === "routes") this.#services.resync(); // news of routes does not tell which
  }

  async apply(state: HostState, signal: AbortSignal): Promise<Outcome> {
    const writes = {
      firewall: 0,
      sysctls: 0,
      links: 0,
      gatewayAddresses: 0,
      neighbours: 0,
      routes: 0,
      services: 0,
      proxies: 0,
    };
    const failures = new Map<Stage, unknown>();
    const attempt = async (stage: Stage, work: () => Promise<number>): Promise<void> => {
      try {
        writes[stage] = await work();
      } catch (error) {
        signal.throwIfAborted();
        failures.set(stage, error);
      }
    };
    await attempt("firewall", () => this.#firewall.apply(state.ruleset, signal));
    if (failures.size > 0) return { writes, failures };
    // Before its interface goes: the kernel would tell BIRD nothing of a route that goes with it.
    const less = reduced(this.#served, state.services);
    if (less !== undefined) await attempt("services", () => step(this.#services, less, signal));
    await attempt("links", () => step(this.#links, state.links, signal));
    await attempt("sysctls", () => step(this.#sysctls, state.sysctls, signal));
    const gateways = new Map([...state.gatewayAddresses].map((address) => [address, true as const]));
    await attempt("gatewayAddresses", () => step(this.#gatewayAddresses, gateways, signal));
    await attempt("neighbours", () => step(this.#neighbours, state.neighbours, signal));
    await attempt("routes", () => step(this.#routes, state.routes, signal));
    const before = writes.services;
    await attempt("services", async () => before + (await step(this.#services, state.services, signal)));
    this.#served = state.services;
    // Nobody is told to send packets here before they can be forwarded.
    await attempt("proxies", () => step(this.#proxies, state.proxies, signal));
    return { writes, failures };
  }
}

/** What is left of the services when only removals have been made; undefined: there is nothing to remove. */
function reduced(before: HostState["services"], after: HostState["services"]): HostState["services"] | undefined {
  let changed = false;
  const out = new Map<string, ServiceRoute>();
  for (const [key, route] of before) {
    const wanted = after.get(key);
    const hops = route.hops.filter((hop) => wanted?.hops.some((one) => one.interface === hop.interface) === true);
    if (hops.length > 0) out.set(key, { ...route, hops, announced: route.announced && wanted?.announced === true });
    changed ||= hops.length < route.hops.length;
  }
  return changed ? out : undefined;
}

async function step<V>(
  reconciler: Reconciler<string, V>,
  desired: ReadonlyMap<string, V>,
  signal: AbortSignal,
): Promise<number> {
  const { upserts, deletes } = await reconciler.step(desired, signal);
  return upserts.size + deletes.size;
}

/** Says of each part whether it could be made right. */
export function reportOutcome(health: Pick<Health, "set">, { failures }: Outcome): void {
  const why = (...stages: (keyof Outcome["writes"])[]): string | undefined => {
    const found = stages.flatMap((stage) => (failures.has(stage) ? [messageOf(failures.get(stage))] : []));
    return found.length === 0 ? undefined : found.join("; ");
  };
  health.set("firewall-not-applied", why("firewall"));
  health.set("interfaces-not-applied", why("links", "gatewayAddresses", "neighbours", "routes", "services", "proxies"));
  health.set("settings-not-applied", why("sysctls"));
}
