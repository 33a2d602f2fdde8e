import assert from "node:assert/strict";
import { it } from "node:test";
import { endpointPolicies } from "./endpoint-policies.ts";
import { fakeSnapshot } from "./fake-agent.ts";

it("an endpoint's policies are in the order of tiers and of order, without those of others", () => {
  const policy = (name: string, selector: string, order: number) =>
    ({
      apiVersion: "projectcalico.org/v3",
      kind: "NetworkPolicy",
      metadata: { name, namespace: "default" },
      spec: { tier: "default", order, selector, types: ["Ingress"], ingress: [{ action: "Allow" }] },
    }) as const;
  const snapshot = fakeSnapshot({
    policies: [policy("late", "role == 'web'", 20), policy("early", "all()", 10), policy("other", "role == 'db'", 1)],
  });
  const web = snapshot.endpoints.find(({ container }) => container === "web");
  assert.ok(web !== undefined);
  const { ingress, egress } = endpointPolicies(web, snapshot);
  const named = ingress.tiers.map(({ name, end, policies }) => [name, end, policies.map((one) => one.name)]);
  assert.deepEqual(named, [["default", "Deny", ["early", "late"]]]);
  assert.deepEqual(egress.tiers, []);
  assert.deepEqual(
    ingress.profiles.map(({ kind, name, isolation }) => [kind, name, isolation]),
    [["Network", "apps", "network"]],
  );
});
