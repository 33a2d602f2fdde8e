/**
 * Whose endpoint is it? Docker's calls name no container. While it joins, the engine's list of the network has its name, and the
 * list of containers has the rest. Policy stands on the answer, so it is asked for each time and never guessed from what was.
 */
import type { ContainerRecord, EndpointRecord } from "../../agent/records.ts";
import type { EngineContainer, EngineNetwork } from "../../drivers/docker/values.ts";
import type { PluginContext } from "./context.ts";
import { extraAddresses } from "./endpoint-options.ts";

export interface Identity {
  readonly container?: ContainerRecord;
  readonly networkName?: string;
}

/** Milliseconds for both questions together: the engine waits for us meanwhile. */
const LIMIT = 2000;

/** Empty where the engine does not answer: the endpoint then has its network's isolation but no labels, until events bring them. */
export async function identify(
  context: PluginContext,
  endpoint: Pick<EndpointRecord, "id" | "networkId">,
  signal: AbortSignal,
): Promise<Identity> {
  const limited = AbortSignal.any([signal, AbortSignal.timeout(LIMIT)]);
  let networkName: string | undefined;
  try {
    const network = await context.engine.network(endpoint.networkId, limited, endpoint.id);
    networkName = network.name;
    const name = nameIn(network, endpoint.id);
    const container = name === undefined ? undefined : await findContainer(context, name, limited);
    if (container !== undefined) return { networkName, container: containerRecord(container) };
  } catch (error) {
    context.log("warn", "Docker did not tell whose endpoint it is; its labels come later", {
      endpoint: endpoint.id,
      why: error instanceof Error ? error.message : String(error),
    });
  }
  return networkName === undefined ? {} : { networkName };
}

/** The container that has this name now. */
async function findContainer(
  { engine, index }: PluginContext,
  name: string,
  signal: AbortSignal,
): Promise<EngineContainer | undefined> {
  const id = index.idOf(name);
  const [hinted] = id === undefined ? [] : await engine.containers({ ids: [id] }, signal);
  if (hinted?.name === name) return hinted;
  return (await engine.containers({ names: [name] }, signal))[0];
}

/** Name of the container that has the endpoint, as the engine lists it; undefined if it does not. */
export function nameIn(network: EngineNetwork, endpointId: string): string | undefined {
  return namesIn(network).get(endpointId);
}

/** The same for all endpoints that have one, by endpoint ID. */
export function namesIn({ endpoints }: EngineNetwork): ReadonlyMap<string, string> {
  return new Map(
    endpoints.flatMap(({ container, endpointId, name }) => {
      // While it joins, the engine has no ID for the container.
      const id = container.startsWith("ep-") ? container.slice("ep-".length) : endpointId;
      return name === "" ? [] : [[id, name] as const];
    }),
  );
}

export function containerRecord(container: EngineContainer): ContainerRecord {
  const label = (name: string): string | undefined =>
    Object.hasOwn(container.labels, name) && container.labels[name] !== "" ? container.labels[name] : undefined;
  const project = label("com.docker.compose.project");
  const service = label("com.docker.compose.service");
  return {
    id: container.id,
    name: container.name,
    ...(container.image !== "" && { image: container.image }),
    labels: container.labels,
    ...(project !== undefined && { composeProject: project }),
    ...(service !== undefined && { composeService: service }),
  };
}

function sameContainer(a: ContainerRecord | undefined, b: ContainerRecord | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const key = ({ id, name, image, labels }: ContainerRecord): string =>
    JSON.stringify([id, name, image, Object.entries(labels).sort(([x], [y]) => (x < y ? -1 : 1))]);
  return key(a) === key(b);
}

/** Keeps who it is, and its addresses for whoever comes back under this name. */
export function keepIdentity(
  { state, addresses }: PluginContext,
  endpointId: string,
  { container, networkName }: Identity,
): void {
  state.change(() => {
    const endpoint = state.endpoints.get(endpointId);
    const network = endpoint === undefined ? undefined : state.networks.get(endpoint.networkId);
    if (endpoint === undefined || network === undefined) return;
    if (networkName !== undefined && networkName !== "" && network.name !== networkName)
      state.putNetwork({ ...network, name: networkName });
    if (container === undefined) return;
    if (!sameContainer(endpoint.container, container)) state.putEndpoint({ ...endpoint, container });
    if (!network.spec.sticky) return;
    const extra = extraAddresses(endpoint);
    const own = endpoint.addresses.filter((held) => !extra.includes(held));
    for (const held of own) addresses.remember(network.id, container.name, held);
  });
}
