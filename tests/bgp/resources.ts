/** Resources in few words. */
import type { BGPConfiguration, BGPFilter, BGPPeer, IPPool, Node } from "../../src/core/model/resources.ts";

const API = { apiVersion: "projectcalico.org/v3" } as const;

export function node(
  name: string,
  bgp: NonNullable<Node["spec"]["bgp"]>,
  labels: Readonly<Record<string, string>> = {},
): Node {
  return { ...API, kind: "Node", metadata: { name, labels }, spec: { bgp } };
}

export function peer(
  name: string,
  spec: Partial<BGPPeer["spec"]>,
  annotations: Readonly<Record<string, string>> = {},
): BGPPeer {
  return { ...API, kind: "BGPPeer", metadata: { name, annotations }, spec: { sourceAddress: "UseNodeIP", ...spec } };
}

export function configuration(
  spec: BGPConfiguration["spec"],
  annotations: Readonly<Record<string, string>> = {},
  name = "default",
): BGPConfiguration {
  return { ...API, kind: "BGPConfiguration", metadata: { name, annotations }, spec };
}

export function filter(name: string, spec: BGPFilter["spec"]): BGPFilter {
  return { ...API, kind: "BGPFilter", metadata: { name }, spec };
}

export function pool(cidr: string, more: Partial<IPPool["spec"]> = {}): IPPool {
  return {
    ...API,
    kind: "IPPool",
    metadata: { name: cidr.replaceAll(/[^0-9a-f]/g, "-") },
    spec: {
      cidr,
      blockSize: cidr.includes(":") ? 122 : 26,
      nodeSelector: "all()",
      allowedUses: ["Workload"],
      assignmentMode: "Automatic",
      ...more,
    },
  };
}
