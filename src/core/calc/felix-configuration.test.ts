import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FelixConfiguration } from "../model/resources.ts";
import { DEFAULT_FAILSAFE } from "../rules/failsafe.ts";
import { type FelixSetting, withFelixConfiguration } from "./felix-configuration.ts";
import type { Settings } from "./snapshot.ts";

const felix = (name: string, spec: FelixConfiguration["spec"]): FelixConfiguration => ({
  apiVersion: "projectcalico.org/v3",
  kind: "FelixConfiguration",
  metadata: { name },
  spec,
});
const SETTINGS: Settings = { endpointToHost: "restricted", guardForwarding: [4, 6] };
const settings = (all: readonly FelixConfiguration[], ...given: FelixSetting[]) =>
  withFelixConfiguration(SETTINGS, new Set(given), all, "h1");
const ssh = { protocol: "TCP", port: 22, net: "10.0.0.1/8" } as const;
const dns = { protocol: "UDP", port: 53 } as const;

describe("what FelixConfigurations say about a host", () => {
  it("is nothing where there is none for it", () => {
    assert.equal(settings([]), SETTINGS);
    assert.equal(settings([felix("node.h2", { defaultEndpointToHostAction: "Drop" })]), SETTINGS);
  });

  it("is what becomes of containers' packets to their host", () => {
    const of = (action: "Drop" | "Accept" | "Return") =>
      settings([felix("default", { defaultEndpointToHostAction: action })]).endpointToHost;
    assert.deepEqual([of("Drop"), of("Accept"), of("Return")], ["deny", "allow", "allow"]);
    assert.equal(settings([felix("default", {})]).endpointToHost, "restricted");
  });

  it("is ports that no policy closes: those that are said, none, or those that are always open", () => {
    assert.deepEqual(settings([felix("default", { failsafeInboundHostPorts: [ssh, dns] })]).failsafe, {
      inbound: [
        { protocol: "tcp", port: 22, net: "10.0.0.0/8" },
        { protocol: "udp", port: 53 },
      ],
      outbound: DEFAULT_FAILSAFE.outbound,
    });
    assert.deepEqual(settings([felix("default", { failsafeOutboundHostPorts: [] })]).failsafe, {
      inbound: DEFAULT_FAILSAFE.inbound,
      outbound: [],
    });
  });

  it("is field by field the host's own before all hosts', and what the agent was given before both", () => {
    const all = [
      felix("default", { defaultEndpointToHostAction: "Drop", failsafeInboundHostPorts: [ssh] }),
      felix("node.h1", { failsafeInboundHostPorts: [dns] }),
    ];
    const { endpointToHost, failsafe } = settings(all);
    assert.deepEqual([endpointToHost, failsafe?.inbound], ["deny", [{ protocol: "udp", port: 53 }]]);
    assert.equal(settings(all, "endpointToHost").endpointToHost, "restricted");
    assert.equal(settings(all, "inbound").failsafe?.inbound, DEFAULT_FAILSAFE.inbound);
  });
});
