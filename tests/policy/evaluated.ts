/** The second judge: the compiled ruleset, run in user space. */

import type { HostState } from "../../src/core/calc/host-state.ts";
import type { Snapshot } from "../../src/core/calc/snapshot.ts";
import { stateRouting } from "../../src/core/calc/state-routing.ts";
import { type Evaluation, evaluate } from "../../src/core/rules/evaluate.ts";
import type { Packet } from "../../src/core/rules/packet.ts";
import type { Fate, Flow } from "./oracle.ts";
import { interfaceTo } from "./world.ts";

/** A flow's first packet, from the veth of the endpoint with its source, from the host, or from outside. */
export function run(snapshot: Snapshot, state: HostState, flow: Flow, hostAddresses: readonly string[]): Evaluation {
  const sender = snapshot.endpoints.find(
    (one) => one.host === snapshot.host && one.local?.joined === true && one.addresses.includes(flow.source),
  );
  const packet: Packet = {
    ...flow,
    family: flow.source.includes(":") ? 6 : 4,
    mac: sender?.local?.mac ?? "02:00:00:00:00:01",
  };
  const iif = hostAddresses.includes(flow.source) ? undefined : (sender?.local?.interface ?? interfaceTo(flow.source));
  return evaluate(state.ruleset, packet, iif, stateRouting(state, { hostAddresses, uplink: "eth0", interfaceTo }));
}

export function fate({ outcome }: Evaluation): Fate {
  return outcome === "drop" ? "deny" : "allow";
}
