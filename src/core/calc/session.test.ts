import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { emptySnapshot, endpoint, hostEndpoint, interfaceTo, network } from "../../../tests/policy/world.ts";
import type { GlobalNetworkPolicy } from "../model/resources.ts";
import { derive } from "./derive.ts";
import { membershipOf } from "./membership.ts";
import { concerning, cutBy, isUntouched, type Session } from "./session.ts";
import type { Snapshot } from "./snapshot.ts";

const SESSION: Session = { client: "198.51.100.7", clientPort: 50_000, server: "192.0.2.1", serverPort: 2222 };
const HEP = hostEndpoint("m", { interfaceName: "eth0" }, { role: "edge" });
const WEB = endpoint("web", { addresses: ["10.65.0.1", "fd65::1"], network: "open" });

function policy(spec: Partial<GlobalNetworkPolicy["spec"]>, name = "p"): GlobalNetworkPolicy {
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "GlobalNetworkPolicy",
    metadata: { name },
    spec: { tier: "default", selector: "role == 'edge'", types: ["Ingress"], ...spec },
  };
}
const ssh = { protocol: "TCP", destination: { ports: [2222] } };

function ask(parts: Partial<Snapshot>, session: Session = SESSION): string | undefined {
  const snapshot = emptySnapshot({ networks: [network("open", { isolation: "off" })], endpoints: [WEB], ...parts });
  const reduced = concerning(snapshot, session);
  const surroundings = { hostAddresses: ["192.0.2.1", "2001:db8::1"], uplink: "eth0", interfaceTo };
  return cutBy(derive(reduced), session, snapshot, surroundings, membershipOf(reduced));
}

type Row = readonly [sentence: string, parts: Partial<Snapshot>, by: RegExp | undefined, session?: Partial<Session>];
const ROWS: readonly Row[] = [
  ["no host endpoint, nobody cuts", {}, undefined],
  [
    "a host endpoint alone cuts",
    { hostEndpoints: [HEP] },
    /no policy applies to the ingress, and no profile allows it/,
  ],
  ["not on a failsafe port", { hostEndpoints: [HEP] }, undefined, { serverPort: 22 }],
  [
    "not where it is another interface's",
    { hostEndpoints: [HEP] },
    undefined,
    { client: "203.0.113.9", server: "203.0.113.1" },
  ],
  [
    "a rule that denies is named",
    { hostEndpoints: [HEP], policies: [policy({ ingress: [{ action: "Deny", ...ssh }] })] },
    /tier default, GlobalNetworkPolicy p: ingress\[0\] \(Deny\)/,
  ],
  [
    "a policy without a rule for it is named by its tier",
    { hostEndpoints: [HEP], policies: [policy({ ingress: [{ action: "Allow", protocol: "UDP" }] })] },
    /tier default: its policies apply to the ingress/,
  ],
  [
    "an egress that is closed does not cut: answers are known",
    { hostEndpoints: [HEP], policies: [policy({ ingress: [{ action: "Allow", ...ssh }] })] },
    undefined,
  ],
  [
    "an untracked policy that lets in and not out cuts",
    {
      hostEndpoints: [HEP],
      policies: [policy({ doNotTrack: true, applyOnForward: true, ingress: [{ action: "Allow", ...ssh }] })],
    },
    /conntrack calls the packet invalid/,
  ],
  [
    "one that lets in and out does not",
    {
      hostEndpoints: [HEP],
      policies: [
        policy({
          doNotTrack: true,
          applyOnForward: true,
          types: ["Ingress", "Egress"],
          ingress: [{ action: "Allow", ...ssh }],
          egress: [{ action: "Allow", protocol: "TCP", source: { ports: [2222] } }],
        }),
      ],
    },
    undefined,
  ],
  [
    "an untracked policy that denies the answers cuts",
    {
      hostEndpoints: [HEP],
      policies: [
        policy({ ingress: [{ action: "Allow", ...ssh }] }),
        policy({ doNotTrack: true, applyOnForward: true, types: ["Egress"], egress: [{ action: "Deny" }] }, "raw"),
      ],
    },
    /GlobalNetworkPolicy raw: egress\[0\] \(Deny\)/,
  ],
  [
    "from a container of this host its own policy counts",
    { policies: [policy({ selector: "all()", types: ["Egress"], egress: [{ action: "Deny" }] })] },
    /GlobalNetworkPolicy p: egress\[0\]/,
    { client: "10.65.0.1" },
  ],
  [
    "to a container of this host too",
    { policies: [policy({ selector: "all()", ingress: [{ action: "Deny" }] })] },
    /GlobalNetworkPolicy p: ingress\[0\]/,
    { server: "10.65.0.1" },
  ],
  [
    "from this host to itself the loopback interface is asked",
    { hostEndpoints: [hostEndpoint("all", { interfaceName: "*" })] },
    /no policy applies to the egress/,
    { client: "192.0.2.1" },
  ],
  ["IPv6", { hostEndpoints: [HEP] }, /no profile allows it/, { client: "2001:db8:1::7", server: "2001:db8::1" }],
];

describe("the session over which a change is made", () => {
  for (const [sentence, parts, by, session] of ROWS)
    it(sentence, () => {
      const found = ask(parts, { ...SESSION, ...session });
      if (by === undefined) assert.equal(found, undefined);
      else assert.match(found ?? "nobody", by);
    });
  it("is left alone where nothing of ours is on its way", () => {
    const snapshot = emptySnapshot({ endpoints: [WEB] });
    assert.equal(isUntouched(snapshot, SESSION), true);
    assert.equal(isUntouched({ ...snapshot, hostEndpoints: [HEP] }, SESSION), false);
    assert.equal(isUntouched(snapshot, { ...SESSION, client: "fd65::1" }), false);
  });
});
