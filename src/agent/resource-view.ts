/** Resources as the API shows and changes them. */
import { ApiError } from "../api/error.ts";
import type { ChangeReport, ChangeRequest, ResourceFrame } from "../api/schema/resource.ts";
import { isMadeFromLabels } from "../core/calc/label-policies.ts";
import type { Endpoint } from "../core/calc/snapshot.ts";
import type { Outside } from "../core/calc/verdict-changes.ts";
import { BUILT_IN } from "../core/model/built-in.ts";
import type { AnyResource, Kind, WorkloadEndpoint } from "../core/model/resources.ts";
import { validateResource } from "../core/model/validate.ts";
import { formatProblems, type Problem } from "../core/problem.ts";
import type { Agent } from "./agent.ts";
import { type Changed, ChangeRefused } from "./changes.ts";
import { verdictsOf } from "./verdicts.ts";

/** All of a kind: what is stored, with the version that a change is based on, and what is made from Docker. */
export function resources(agent: Pick<Agent, "takeSnapshot" | "cluster">, kind: Kind): readonly AnyResource[] {
  const snapshot = agent.takeSnapshot();
  const { cluster } = agent;
  switch (kind) {
    case "WorkloadEndpoint":
      return snapshot.endpoints.map(workloadEndpoint);
    case "Network":
      return snapshot.networks;
    case "Node":
      return snapshot.nodes.map((node) => versioned(cluster, node));
    case "NetworkPolicy":
      return snapshot.policies
        .filter(({ kind }) => kind === "NetworkPolicy")
        .map((policy) => versioned(cluster, policy));
    case "Profile":
    case "Tier":
      return [...builtIn(cluster, kind), ...cluster.all(kind).map((resource) => versioned(cluster, resource))];
    case "BGPConfiguration":
    case "BGPFilter":
    case "BGPPeer":
    case "FelixConfiguration":
    case "GlobalNetworkPolicy":
    case "GlobalNetworkSet":
    case "HostEndpoint":
    case "IPAMConfiguration":
    case "IPPool":
    case "IPReservation":
    case "NetworkSet":
    case "Service":
    case "StagedGlobalNetworkPolicy":
    case "StagedNetworkPolicy":
      return cluster.all(kind).map((resource) => versioned(cluster, resource));
  }
}

/** Until somebody stores it, as labels on it are. */
function builtIn(cluster: Agent["cluster"], kind: Kind): readonly AnyResource[] {
  return BUILT_IN.filter((one) => one.kind === kind && cluster.revisionOf(one) === undefined);
}

function versioned<R extends AnyResource>(cluster: Agent["cluster"], resource: R): R {
  const revision = isMadeFromLabels(resource.metadata.annotations) ? undefined : cluster.revisionOf(resource);
  return revision === undefined
    ? resource
    : { ...resource, metadata: { ...resource.metadata, resourceVersion: String(revision) } };
}

function workloadEndpoint(endpoint: Endpoint): WorkloadEndpoint {
  const { id, host, namespace, container, network, addresses, labels, profiles, local } = endpoint;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "WorkloadEndpoint",
    metadata: {
      name: `${host}-docker-${container === "" ? id.slice(0, 12) : container}-${network}`.toLowerCase(),
      namespace,
      labels: Object.fromEntries(labels),
    },
    spec: {
      orchestrator: "docker",
      workload: container,
      node: host,
      endpoint: id.slice(0, 12),
      ipNetworks: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      profiles,
      interfaceName: local?.interface ?? "",
      ...(local === undefined ? {} : { mac: local.mac }),
    },
  };
}

export async function change(
  agent: Agent,
  request: ChangeRequest,
  signal: AbortSignal = agent.signal,
): Promise<ChangeReport> {
  const { mode, dryRun, confirmWithin, ignoreMissing, ignoreExisting, session, force } = request;
  const resources =
    mode === "delete"
      ? request.resources.map((frame) => frame as unknown as AnyResource)
      : checkedAll(request.resources);
  try {
    const changed = await agent.changes.make(
      {
        mode,
        resources,
        ...(dryRun === undefined ? {} : { dryRun }),
        ...(confirmWithin === undefined ? {} : { confirmWithin }),
        ...(ignoreMissing === undefined ? {} : { ignoreMissing }),
        ...(ignoreExisting === undefined ? {} : { ignoreExisting }),
        ...(session === undefined ? {} : { session }),
        ...(force === undefined ? {} : { force }),
      },
      signal,
    );
    if (dryRun !== true) {
      await agent.settle();
      return report(changed, resources);
    }
    const { verdicts, complete } = await verdictsOf(agent.takeSnapshot(), changed.resources, outsideOf(agent), signal);
    return { ...report(changed, resources), verdicts, verdictsComplete: complete };
  } catch (error) {
    throw refusal(error);
  }
}

function outsideOf({ hostNetwork: { addresses } }: Agent): Outside {
  const { ipv4, ipv6, uplink } = addresses;
  return { addresses: [ipv4, ipv6].filter((one) => one !== undefined), ...(uplink === undefined ? {} : { uplink }) };
}

function checkedAll(frames: readonly ResourceFrame[]): AnyResource[] {
  const problems: Problem[] = [];
  const out: AnyResource[] = [];
  for (const frame of frames) {
    const result = validateResource(frame);
    if (result.ok) out.push(result.value);
    else
      problems.push(
        ...result.problems.map(({ path, message }) => ({
          path: `${frame.kind} ${frame.metadata.name}: ${path}`,
          message,
        })),
      );
  }
  if (problems.length > 0) throw new ApiError("invalid", "Cannot change the resources", { problems });
  return out;
}

export function checked(resource: unknown): AnyResource {
  const result = validateResource(resource);
  if (result.ok) return result.value;
  throw new ApiError("invalid", formatProblems(result.problems), { problems: result.problems });
}

export function refusal(error: unknown): unknown {
  if (!(error instanceof ChangeRefused)) return error;
  return new ApiError(error.code, error.message, { problems: error.problems, cause: error });
}

function report({ revision, resources, confirmBefore }: Changed, asked: readonly AnyResource[]): ChangeReport {
  return {
    revision,
    results: resources.map(({ outcome, before, after }, index) => {
      const { kind, metadata } = (after ?? before ?? asked[index]) as AnyResource; // the latter of what was not there to delete
      return {
        kind,
        name: metadata.name,
        ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
        outcome,
        ...(before === undefined ? {} : { before: before as unknown as ResourceFrame }),
        ...(after === undefined ? {} : { after: after as unknown as ResourceFrame }),
      };
    }),
    ...(confirmBefore === undefined ? {} : { confirmBefore: confirmBefore.toISOString() }),
  };
}
