/** What Docker does not tell a driver but tells everybody who listens: names, renames, starts, and that something went. */
import type { EndpointRecord } from "../../agent/records.ts";
import type { EngineEvent } from "../../drivers/docker/events.ts";
import type { EngineNetwork } from "../../drivers/docker/values.ts";
import type { PluginContext } from "./context.ts";
import { containerRecord, keepIdentity, namesIn } from "./identity.ts";

export interface FollowHooks {
  /** Events come again after a gap, or for the first time: time to reconcile. Also says that the engine answers. */
  readonly onResync: () => void;
  /** The engine went away or does not answer. */
  readonly onLost: (why: string) => void;
  /** Something went without the calls that should have told so: reconcile before long. */
  readonly onDoubt: () => void;
  /** The endpoint's container starts, or was connected: `Inside.wake`. */
  readonly onStart: (endpointId: string) => void;
  /** Anything happened to a container. */
  readonly onContainer?: (event: Extract<EngineEvent, { kind: "container" }>) => void;
  /** The engine has a network more or less. */
  readonly onNetwork?: () => void;
}

/** Follows the engine until the signal aborts. Never throws: what fails is logged, and `reconcile` comes by later. */
export async function followEngine(context: PluginContext, hooks: FollowHooks, signal: AbortSignal): Promise<void> {
  for await (const event of context.engine.events(signal)) {
    try {
      await take(context, hooks, event, signal);
    } catch (error) {
      if (signal.aborted) return;
      const why = error instanceof Error ? error.message : String(error);
      context.log("warn", "an event of Docker could not be followed", { event, why });
    }
  }
}

async function take(
  context: PluginContext,
  hooks: FollowHooks,
  event: EngineEvent,
  signal: AbortSignal,
): Promise<void> {
  switch (event.kind) {
    case "resync":
      hooks.onResync();
      return context.index.reset(await context.engine.containers({}, signal));
    case "lost":
      context.index.lose();
      return hooks.onLost(event.why);
    case "container":
      return takeContainer(context, hooks, event, signal);
    case "network":
      return takeNetwork(context, hooks, event, signal);
  }
}

async function takeContainer(
  context: PluginContext,
  hooks: FollowHooks,
  event: Extract<EngineEvent, { kind: "container" }>,
  signal: AbortSignal,
): Promise<void> {
  context.index.take(event);
  hooks.onContainer?.(event);
  switch (event.action) {
    case "rename":
      return refreshContainer(context, event.id, event.name, signal);
    case "start":
      await refreshUnknown(context, signal);
      for (const endpoint of endpointsOf(context, event.id)) hooks.onStart(endpoint.id);
      return;
    case "destroy":
      if (endpointsOf(context, event.id).length > 0) hooks.onDoubt();
      return;
    default:
      return;
  }
}

async function takeNetwork(
  context: PluginContext,
  hooks: FollowHooks,
  event: Extract<EngineEvent, { kind: "network" }>,
  signal: AbortSignal,
): Promise<void> {
  const network = context.state.networks.get(event.id);
  if (event.action === "create" || event.action === "destroy") hooks.onNetwork?.();
  if (network === undefined) return;
  switch (event.action) {
    case "create":
      if (event.name !== "" && network.name !== event.name) context.state.putNetwork({ ...network, name: event.name });
      return;
    case "destroy":
      return hooks.onDoubt();
    case "connect": {
      await refreshUnknown(context, signal);
      const here = endpointsOf(context, event.container ?? "").filter(({ networkId }) => networkId === network.id);
      for (const endpoint of here) hooks.onStart(endpoint.id);
      return;
    }
    default:
      return;
  }
}

function endpointsOf({ state }: PluginContext, containerId: string): EndpointRecord[] {
  return [...state.endpoints.values()].filter((endpoint) => endpoint.container?.id === containerId);
}

async function refreshContainer(context: PluginContext, id: string, name: string, signal: AbortSignal): Promise<void> {
  const endpoints = endpointsOf(context, id);
  if (endpoints.length === 0) return;
  const [found] = await context.engine.containers({ ids: [id] }, signal);
  if (found?.name !== name) return; // renamed once more: that event comes next
  for (const endpoint of endpoints) keepIdentity(context, endpoint.id, { container: containerRecord(found) });
}

/** Asks again about endpoints whose Join got no answer. */
async function refreshUnknown(context: PluginContext, signal: AbortSignal): Promise<void> {
  const unknown = [...context.state.endpoints.values()].filter(
    ({ joined, container }) => joined && container === undefined,
  );
  for (const networkId of new Set(unknown.map((endpoint) => endpoint.networkId)))
    await refreshIdentities(context, await context.engine.network(networkId, signal), signal);
}

/** Makes the network's endpoints carry the names that the engine lists. @returns the endpoints that were corrected */
export async function refreshIdentities(
  context: PluginContext,
  network: EngineNetwork,
  signal: AbortSignal,
): Promise<string[]> {
  const { state, engine } = context;
  const wrong = new Map<string, string>();
  const names = namesIn(network);
  for (const endpoint of state.endpoints.values()) {
    const name = endpoint.networkId === network.id ? names.get(endpoint.id) : undefined;
    if (name !== undefined && name !== endpoint.container?.name) wrong.set(endpoint.id, name);
  }
  const containers = await engine.containers({ names: [...new Set(wrong.values())] }, signal);
  const corrected: string[] = [];
  for (const [endpointId, name] of wrong) {
    const found = containers.find((container) => container.name === name);
    if (found === undefined) continue;
    keepIdentity(context, endpointId, { container: containerRecord(found), networkName: network.name });
    corrected.push(endpointId);
  }
  return corrected;
}
