/**
 * The front of the plugin: which call of libnetwork's protocol means what. Every answer is a JSON object.
 *
 *     Docker -> server.ts (bytes) -> here (message read) -> networks, endpoints, ipam (recorded) -> settle (in force) -> answer
 *
 * The handlers record; they never touch the kernel. All are repeatable, in any order, after any crash: what Docker forgets to
 * tell is found by `reconcile.ts`, what it cannot tell (names, labels) is followed by `follow.ts`.
 */
import type { PluginContext } from "./context.ts";
import { createEndpoint, deleteEndpoint, join, leave } from "./endpoints.ts";
import { PluginError } from "./errors.ts";
import { type FirstHalves, releaseAddress, releasePool, requestAddress, requestPool } from "./ipam.ts";
import { parseBody } from "./json.ts";
import { type Messages, readMessage } from "./messages.ts";
import { ADDRESS_SPACES, createNetwork, deleteNetwork } from "./networks.ts";
import { Sticky } from "./sticky.ts";

export type Answer = Readonly<Record<string, unknown>>;

/** Answers one call by its name, `NetworkDriver.Join`. @throws PluginError and what the parts throw */
export type Call = (body: string, signal: AbortSignal) => Promise<Answer>;

const NOTHING: Answer = {};

/** All calls by name. */
export function pluginCalls(context: PluginContext): ReadonlyMap<string, Call> {
  const calls = new Map<string, Call>();
  const memory = { sticky: new Sticky(context), halves: new Map() as FirstHalves };
  const { inFlight } = context;

  /** `subject`: what calls about the same thing wait for each other on. */
  const add = <K extends keyof Messages>(
    name: string,
    kind: K,
    work: (message: Messages[K], signal: AbortSignal) => Answer | Promise<Answer>,
    subject?: (message: Messages[K]) => string,
  ): void => {
    calls.set(name, async (body, signal) => {
      const message = readMessage(kind, name, parseBody(body));
      if (subject === undefined) return work(message, signal);
      return inFlight.run(subject(message), async () => work(message, signal));
    });
  };
  const networkOf = ({ NetworkID }: { readonly NetworkID: string }): string => NetworkID;
  const endpointOf = ({ EndpointID }: { readonly EndpointID: string }): string => EndpointID;

  add("Plugin.Activate", "none", () => ({ Implements: ["NetworkDriver", "IpamDriver"] }));

  add("NetworkDriver.GetCapabilities", "none", () => ({
    Scope: "local",
    ConnectivityScope: "local",
    GwAllocChecker: true,
  }));
  add("NetworkDriver.GwAllocCheck", "none", () => ({ SkipIPv4: true, SkipIPv6: true }));
  add(
    "NetworkDriver.CreateNetwork",
    "createNetwork",
    (message) => {
      createNetwork(context, message);
      return NOTHING;
    },
    networkOf,
  );
  add(
    "NetworkDriver.DeleteNetwork",
    "network",
    ({ NetworkID }) => {
      context.state.change(() => {
        deleteNetwork(context, NetworkID);
        context.networks?.removed(NetworkID);
      });
      return NOTHING;
    },
    networkOf,
  );
  add(
    "NetworkDriver.CreateEndpoint",
    "createEndpoint",
    async (message, signal) => ({ ...(await createEndpoint(context, message, signal)) }),
    endpointOf,
  );
  add(
    "NetworkDriver.Join",
    "join",
    async (message, signal) => ({ ...(await join(context, message, signal)) }),
    endpointOf,
  );
  add(
    "NetworkDriver.Leave",
    "endpoint",
    (message) => {
      leave(context, message);
      return NOTHING;
    },
    endpointOf,
  );
  add(
    "NetworkDriver.DeleteEndpoint",
    "endpoint",
    (message) => {
      deleteEndpoint(context, message);
      return NOTHING;
    },
    endpointOf,
  );
  // An error here fails the start on engines before 28, and the value is not shown anywhere: there is nothing to say.
  add("NetworkDriver.EndpointOperInfo", "none", () => ({ Value: {} }));
  // Ports are opened in Join, with everything else, so that no moment is without.
  for (const name of ["ProgramExternalConnectivity", "RevokeExternalConnectivity", "DiscoverNew", "DiscoverDelete"])
    add(`NetworkDriver.${name}`, "none", () => NOTHING);
  add("NetworkDriver.AllocateNetwork", "none", () => {
    throw new PluginError(
      "Cannot make a Manx network for swarm services: they would need the driver on the manager. " +
        "Containers of docker run and compose can use Manx on swarm nodes",
    );
  });
  add("NetworkDriver.FreeNetwork", "none", () => NOTHING);

  add("IpamDriver.GetCapabilities", "none", () => ({ RequiresMACAddress: false, RequiresRequestReplay: false }));
  add("IpamDriver.GetDefaultAddressSpaces", "none", () => ({
    LocalDefaultAddressSpace: ADDRESS_SPACES.local,
    GlobalDefaultAddressSpace: ADDRESS_SPACES.global,
  }));
  add("IpamDriver.RequestPool", "requestPool", async (message, signal) => ({
    ...(await requestPool(context, message, signal)),
  }));
  add("IpamDriver.ReleasePool", "releasePool", async ({ PoolID }, signal) => {
    await releasePool(context, PoolID, signal);
    return NOTHING;
  });
  add("IpamDriver.RequestAddress", "requestAddress", async (message, signal) => ({
    Address: await requestAddress(context, memory, message, signal),
    Data: NOTHING,
  }));
  add("IpamDriver.ReleaseAddress", "releaseAddress", (message) => {
    releaseAddress(context, message);
    return NOTHING;
  });
  return calls;
}
