/**
 * The agent's side towards Docker: the plugin socket, the engine's events, the comparison of what Docker and Manx know, and what
 * keeps other firewalls of the host from dropping what Manx lets pass.
 */
import type { EngineClient } from "../drivers/docker/engine.ts";
import { Inspector } from "../drivers/docker/inspect.ts";
import { LockProbe } from "../drivers/docker/locks.ts";
import { messageOf } from "../drivers/error.ts";
import { Forward } from "../drivers/iptables/forward.ts";
import { pluginCalls } from "../plugin/docker/calls.ts";
import { ContainerIndex } from "../plugin/docker/container-index.ts";
import { InFlight, type PluginContext } from "../plugin/docker/context.ts";
import { followEngine } from "../plugin/docker/follow.ts";
import { probePort } from "../plugin/docker/host-ports.ts";
import { Inside } from "../plugin/docker/inside.ts";
import { EngineReconcile } from "../plugin/docker/reconcile.ts";
import { PluginServer } from "../plugin/docker/server.ts";
import type { Membership } from "./cluster/membership.ts";
import { EngineWatch } from "./engine-watch.ts";
import type { Health } from "./health.ts";
import { InterfaceReturn } from "./interface-return.ts";
import type { LocalAddresses } from "./ipam/local-addresses.ts";
import type { Kernel } from "./kernel.ts";
import type { LocalState } from "./local-state.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { openAliases } from "./names/open.ts";
import type { AgentOptions } from "./options.ts";
import type { Services } from "./services/open.ts";

export interface DockerSideParts {
  readonly options: Pick<AgentOptions, "dockerSocket" | "pluginSocket">;
  readonly state: LocalState;
  readonly addresses: LocalAddresses;
  readonly engine: EngineClient;
  readonly kernel: Kernel;
  readonly membership: Membership | undefined;
  readonly services: Pick<Services, "onContainer" | "look">;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: Logger;
  /** Resolves when all that is wanted now is in force. */
  readonly settle: () => Promise<void>;
  /** Docker and we know the same containers. */
  readonly onAgreed: () => void;
  /** Takes over work that goes on in the background until the signal aborts. */
  readonly run: (work: Promise<void>) => void;
}

/** Opens the plugin socket and follows the engine until the signal aborts. */
export async function openDockerSide(parts: DockerSideParts, signal: AbortSignal) {
  const { options, state, addresses, engine, kernel, membership, services, metrics, health, log, run } = parts;
  await using undo = new AsyncDisposableStack();
  const inspector = undo.use(new Inspector({ socketPath: options.dockerSocket }));
  const locks = undo.use(new LockProbe({ socketPath: options.dockerSocket }));
  const pluginLog: PluginContext["log"] = (level, message, fields) => log[level](fields ?? {}, message);
  const inside = undo.use(new Inside({ state, log: pluginLog }, (endpoint, work) => kernel.addInside(endpoint, work)));
  const returns = new InterfaceReturn({ state, kernel, log, onReturned: inside.wake });
  const returnInterfaces = (): void =>
    void parts.settle().then(
      () => returns.look(),
      () => {}, // a condition says why, and whoever asks again comes back here
    );
  const context: PluginContext = {
    state,
    addresses,
    engine,
    locked: (ids, limit, callSignal) => locks.locked(ids, limit, callSignal),
    settle: () => parts.settle(),
    onJoined: inside.wake,
    probePort,
    log: pluginLog,
    now: () => new Date(),
    index: new ContainerIndex(),
    inFlight: new InFlight(),
    ...(membership !== undefined && { networks: membership.networks }),
  };
  const reconcile = new EngineReconcile(context, (id, callSignal) => inspector.inspect(id, callSignal));
  const aliases = undo.use(openAliases({ state, inspector, health }));
  const watch = new EngineWatch({
    reconcile: (callSignal) => reconcile.run(callSignal).finally(aliases.look),
    onReport: ({ removed, adopted, corrected, addresses: given, problems, agrees }) => {
      health.clear("reconcile-failed");
      if (agrees) parts.onAgreed();
      if (adopted.length > 0) returnInterfaces();
      if (removed.length + adopted.length + corrected.length + given.released.length > 0)
        log.info({ removed, adopted, corrected, released: given.released }, "brought into line with Docker");
      health.set("reconcile-failed", [...problems, ...given.problems][0], "problems");
    },
    onFailure: (error) => health.raise("reconcile-failed", messageOf(error)),
  });
  const forward = new Forward();
  const pass = async (which: "all" | "unheard" = "all"): Promise<void> => {
    try {
      await forward.ensure(signal, which);
      health.clear("foreign-firewall");
    } catch (error) {
      if (!signal.aborted) health.raise("foreign-firewall", messageOf(error));
    }
  };
  const server = undo.use(
    await PluginServer.start({
      socketPath: options.pluginSocket,
      calls: pluginCalls(context),
      log: context.log,
      onCall: (name, milliseconds, failed) => {
        metrics.pluginCall(name, milliseconds, failed);
        watch.busy();
      },
    }),
  );
  run(watch.follow(signal));
  run(
    followEngine(
      context,
      {
        onResync: () => {
          health.clear("engine-unreachable");
          if (membership !== undefined) void tellEngine(membership, engine, signal);
          watch.doubt();
          services.look();
          void pass();
        },
        onLost: (why) => health.raise("engine-unreachable", why),
        onDoubt: () => watch.doubt(),
        onContainer: (event) => services.onContainer(event),
        onStart: (endpointId) => {
          inside.wake(endpointId);
          aliases.look();
        },
        onNetwork: () => membership?.networks.look(),
      },
      signal,
    ),
  );
  returns.look(); // of what was deleted while no agent ran
  const stack = undo.move();
  return {
    forward,
    /** Somebody deleted a link of ours, or may have: once it is made anew, its container gets it back. */
    returnInterfaces,
    /** Where somebody has removed the socket. */
    reopenPluginSocket: () => server.listen(),
    /** The same for what was too young to tell. */
    glance: () => returns.glance(),
    /** Makes other firewalls let Manx packets pass; what keeps it from that is a condition. */
    pass,
    /** Something changed that a comparison with the engine may have to follow. */
    busy: () => watch.busy(),
    reconcile: (callSignal: AbortSignal) => reconcile.run(callSignal),
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

async function tellEngine(membership: Membership, engine: EngineClient, signal: AbortSignal): Promise<void> {
  const found = await engine.version(signal).catch(() => undefined); // the next resync asks again
  if (found !== undefined) membership.engineIs(found.version);
}
