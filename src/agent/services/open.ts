/**
 * Service addresses as a part of the agent: who is a member and well, that each has the address inside, and how one is taken out before
 * it ends.
 *
 *     Docker's events, checks  ->  health  ->  snapshot  ->  routes  ->  BIRD
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { HostState } from "../../core/calc/host-state.ts";
import { addressesByEndpoint, type Membership, type Resolved } from "../../core/calc/services.ts";
import type { ServiceMember } from "../../core/calc/snapshot.ts";
import { formatProblem } from "../../core/problem.ts";
import { parseRoutes } from "../../drivers/bird/routes.ts";
import { check } from "../../drivers/check/check.ts";
import type { EngineClient } from "../../drivers/docker/engine.ts";
import type { EngineEvent } from "../../drivers/docker/events.ts";
import { ROUTE_PROTOCOL } from "../../drivers/netlink/ownership.ts";
import { sourceTable } from "../../plugin/docker/inside.ts";
import type { Bgp } from "../bgp/open.ts";
import type { Health } from "../health.ts";
import type { Kernel } from "../kernel.ts";
import type { LocalState } from "../local-state.ts";
import type { Logger } from "../log.ts";
import type { EndpointRecord } from "../records.ts";
import { ServiceHealth, SURVIVED } from "./health.ts";
import { ServiceInside } from "./inside.ts";

export interface ServicesParts {
  readonly state: LocalState;
  readonly engine: EngineClient;
  readonly kernel: Kernel;
  readonly health: Health;
  readonly log: Logger;
  readonly wake: () => void;
}

/** Milliseconds: BIRD hears of the kernel's routes within a few. */
const BIRD_LIMIT = 2000;
const BIRD_PAUSE = 10;

interface Attached {
  readonly settle: () => Promise<void>;
  readonly state: () => HostState | undefined;
  readonly bgp: Bgp | undefined;
}

export interface DrainReport {
  readonly container: string;
  /** Service addresses that it had a part in. */
  readonly addresses: readonly string[];
}

export class Services implements Disposable {
  readonly health: ServiceHealth;
  readonly #parts: ServicesParts;
  readonly #inside: ServiceInside;
  readonly #stack = new DisposableStack();
  #members: readonly Membership[] = [];
  /** Set once the agent has its parts together. */
  #loop: Attached | undefined;

  constructor(parts: ServicesParts) {
    const { state, engine, kernel, health, wake } = parts;
    this.#parts = parts;
    this.#inside = this.#stack.use(
      new ServiceInside({
        state,
        apply: (endpoint, addresses) => kernel.serveInside(endpoint, addresses, sourceTable(state, endpoint)),
        wake,
        onTrouble: (endpoint, why) => health.set("service-address-not-set", why, endpoint),
      }),
    );
    this.health = this.#stack.use(
      new ServiceHealth({
        state,
        engine,
        wake,
        isReady: (endpoint) => this.#inside.has(endpoint),
        ask: (member, signal) => this.#ask(member, signal),
      }),
    );
  }

  attach(loop: Attached): void {
    this.#loop = loop;
  }

  /** After each step of the loop, with what the step was made from. */
  follow({ members, problems }: Resolved, states: readonly ServiceMember[]): void {
    if (members !== this.#members) {
      this.#members = members;
      this.#inside.follow(addressesByEndpoint(members));
      this.#parts.health.setAll("service-refused", problems.map(formatProblem));
    }
    this.health.follow(members);
    this.health.keep(states);
  }

  /** Nobody tells of what is changed inside containers, and an event of Docker may be lost. */
  look(): void {
    this.#inside.distrust();
    this.health.look();
  }

  onContainer(event: Extract<EngineEvent, { kind: "container" }>): void {
    this.health.take(event);
  }

  /**
   * Takes the container out of its services: when it resolves, BIRD has withdrawn what this host has nobody else for, and its peers
   * have had the service's time to act on it. At once for a container that has no service address.
   * @param stopSeconds what a stop gives the container to end by itself; undefined: it stays out until it is taken back by hand
   */
  async drain(ref: string, stopSeconds: number | undefined, signal: AbortSignal): Promise<DrainReport | undefined> {
    const records = this.#records(ref);
    const [{ container } = {}] = records;
    const id = container?.id;
    if (container === undefined || id === undefined) return undefined;
    const members = this.#members.filter(({ endpoint }) => records.some((record) => record.id === endpoint));
    const addresses = [...new Set(members.flatMap((member) => member.addresses))];
    if (members.length === 0) return { container: container.name, addresses };
    const served = members.some((member) => this.health.stateOf(member) === "up");
    this.health.drain(id, stopSeconds === undefined ? null : Date.now() + stopSeconds * 1000 + SURVIVED);
    await this.#loop?.settle();
    if (!served) return { container: container.name, addresses };
    await this.#withdrawn(addresses, signal);
    const seconds = Math.max(...members.map(({ drain }) => drain));
    this.#parts.log.info({ container: container.name, addresses, seconds }, "taken out of its services before it ends");
    await sleep(seconds * 1000, undefined, { signal });
    return { container: container.name, addresses };
  }

  /** @returns undefined: there is no such container; false: it was not taken out */
  undrain(ref: string): boolean | undefined {
    const id = this.#records(ref)[0]?.container?.id;
    return id === undefined ? undefined : this.health.undrain(id);
  }

  /** By name, ID or the beginning of an ID, as Docker's API takes them. */
  #records(ref: string): EndpointRecord[] {
    const all = [...this.#parts.state.endpoints.values()].filter(({ joined }) => joined);
    const named = all.filter(({ container }) => container?.name === ref.replace(/^\//, ""));
    if (named.length > 0) return named;
    return /^[0-9a-f]{4,64}$/.test(ref) ? all.filter(({ container }) => container?.id?.startsWith(ref) === true) : [];
  }

  /** Waits until BIRD no longer has the routes that are not announced any more. */
  async #withdrawn(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    const bird = this.#loop?.bgp?.bird;
    if (bird?.running !== true) return;
    const end = Date.now() + BIRD_LIMIT;
    for (const address of addresses) {
      const prefix = `${address}/${address.includes(":") ? 128 : 32}`;
      const key = `${address.includes(":") ? 6 : 4} ${prefix}`;
      if (this.#loop?.state()?.services.get(key)?.announced === true) continue; // others on this host have it
      while (Date.now() < end && !signal.aborted) {
        const routes = parseRoutes(await bird.ask(`show route ${prefix} all`).catch(() => []));
        if (!routes.some(({ attributes }) => attributes["Kernel.source"] === String(ROUTE_PROTOCOL))) break;
        await sleep(BIRD_PAUSE, undefined, { signal }).catch(() => {});
      }
    }
  }

  async #ask({ endpoint, check: { port = 0, path, timeout } }: Membership, signal: AbortSignal): Promise<boolean> {
    const record = this.#parts.state.endpoints.get(endpoint);
    const address = record?.joined === true ? record.addresses[0] : undefined;
    if (address === undefined) return false;
    return check({ address, port, ...(path !== undefined && { path }) }, timeout * 1000, signal);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
