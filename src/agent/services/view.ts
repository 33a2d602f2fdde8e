/** Service addresses as the API shows them. */
import type { ServicesAgentView } from "../../api/agent.ts";
import { ApiError } from "../../api/error.ts";
import type { ServiceMemberView, ServiceView } from "../../api/schema/service.ts";
import { ADDRESS_LABEL } from "../../core/calc/services.ts";
import type { Endpoint, ServiceMember, Snapshot } from "../../core/calc/snapshot.ts";
import { checkText } from "../../core/model/service.ts";
import type { Problem } from "../../core/problem.ts";
import type { Agent } from "../agent.ts";

export function servicesView(agent: Agent): ServicesAgentView {
  return {
    list: () => {
      const snapshot = agent.takeSnapshot();
      return Promise.resolve(serviceViews(snapshot, agent.hostState()?.services ?? new Map(), agent.serviceProblems()));
    },
    drain: async ({ container, back = false }, signal) => {
      const none = (): never => {
        throw new ApiError("not-found", `Cannot find the container "${container}" on this host's Manx networks`, {
          remedy: "manx ls shows the hosts of containers; a container is taken out on its own host.",
        });
      };
      if (back) {
        const changed = agent.services.undrain(container) ?? none();
        return { container, addresses: [], changed };
      }
      const report = await agent.services.drain(container, undefined, signal ?? agent.signal);
      return { ...(report ?? none()), changed: true };
    },
  };
}

type Routes = ReadonlyMap<string, { readonly announced: boolean }>;

/** By name; those of labels after the Services. */
export function serviceViews(snapshot: Snapshot, routes: Routes, problems: readonly Problem[]): ServiceView[] {
  const announced = (addresses: readonly string[]): string[] =>
    addresses.filter((address) => {
      const key = address.includes(":") ? `6 ${address}/128` : `4 ${address}/32`;
      return routes.get(key)?.announced === true;
    });
  const own = snapshot.serviceMembers ?? [];
  const resources = (snapshot.services ?? []).map(({ metadata: { name }, spec }): ServiceView => {
    const key = `service ${name}`;
    return {
      name,
      from: "Service",
      addresses: [...spec.addresses],
      selector: spec.selector,
      check: checkText(spec.check),
      drain: spec.drain,
      announced: announced(spec.addresses),
      members: membersOf(snapshot, own, key, spec.addresses),
      problems: problems.flatMap(({ path, message }) => (path === key ? [message] : [])),
    };
  });
  const known = new Set(resources.flatMap(({ addresses }) => addresses));
  const labelled = new Set(
    snapshot.endpoints
      .filter(({ labels }) => labels.has(ADDRESS_LABEL))
      .flatMap(({ serviceAddresses = [] }) => serviceAddresses)
      .filter((address) => !known.has(address)),
  );
  const made = [...labelled].sort().map((address): ServiceView => {
    const key = `label ${address}`;
    const [first] = own.filter(({ service }) => service === key);
    return {
      name: address,
      from: "label",
      addresses: [address],
      check: first === undefined ? "" : checkText(first.check),
      drain: first?.drain ?? 0,
      announced: announced([address]),
      members: membersOf(snapshot, own, key, [address]),
      problems: problems.flatMap(({ path, message }) => (path === key ? [message] : [])),
    };
  });
  return [...resources.toSorted((a, b) => (a.name < b.name ? -1 : 1)), ...made];
}

function membersOf(
  { endpoints, host }: Snapshot,
  own: readonly ServiceMember[],
  service: string,
  addresses: readonly string[],
): ServiceMemberView[] {
  const there = endpoints.filter((one) =>
    one.host === host
      ? own.some((member) => member.service === service && member.endpoint === one.id)
      : (one.serviceAddresses ?? []).some((address) => addresses.includes(address)),
  );
  return there
    .map((one) => ({
      container: one.container === "" ? one.id.slice(0, 12) : one.container,
      network: one.network,
      host: one.host,
      state: stateOf(one, own, service, host),
    }))
    .sort((a, b) => (`${a.host} ${a.container}` < `${b.host} ${b.container}` ? -1 : 1));
}

function stateOf(
  { id, host: where }: Endpoint,
  own: readonly ServiceMember[],
  service: string,
  host: string,
): ServiceMemberView["state"] {
  if (where !== host) return "elsewhere";
  return own.find((member) => member.service === service && member.endpoint === id)?.state ?? "down";
}
