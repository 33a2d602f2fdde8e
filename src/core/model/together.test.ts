import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseResources } from "./parse.ts";
import type { AnyResource } from "./resources.ts";
import { checkTogether, type ResourceChange, titleOf } from "./together.ts";
import { validateResource } from "./validate.ts";

const CALICO = "projectcalico.org/v3";
function make(kind: string, name: string, spec: object = {}): AnyResource {
  const result = validateResource({
    apiVersion: kind === "Network" ? "manx/v1" : CALICO,
    kind,
    metadata: { name },
    spec,
  });
  return result.ok ? result.value : assert.fail(JSON.stringify(result.problems));
}
const pool = (name: string, cidr: string, more: object = {}) => make("IPPool", name, { cidr, ...more });

/** Problems of changing `before` into `after`. */
function judge(before: readonly AnyResource[], after: readonly AnyResource[]): string[] {
  const [old, now] = [before, after].map((all) => new Map(all.map((resource) => [titleOf(resource), resource])));
  const changes: ResourceChange[] = [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])]
    .map((title) => ({ before: old?.get(title), after: now?.get(title) }))
    .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after));
  return checkTogether(after, changes).map(({ path, message }) => `${path}: ${message}`);
}

describe("checkTogether", () => {
  const a = pool("a", "10.0.0.0/16");
  const policy = make("NetworkPolicy", "web", { tier: "security" });
  const tier = make("Tier", "security");
  const rows: [sentence: string, before: AnyResource[], after: AnyResource[], problems: string[]][] = [
    ["pools side by side", [a], [a, pool("b", "10.1.0.0/16"), pool("c", "fd00::/64")], []],
    [
      "a pool inside another",
      [a],
      [a, pool("b", "10.0.4.0/24")],
      [`IPPool b: spec.cidr: 10.0.4.0/24 overlaps the pool "a" (10.0.0.0/16)`],
    ],
    [
      "a pool around another",
      [a],
      [a, pool("b", "10.0.0.0/8")],
      [`IPPool b: spec.cidr: 10.0.0.0/8 overlaps the pool "a" (10.0.0.0/16)`],
    ],
    [
      "two new pools that overlap, told once",
      [],
      [a, pool("b", "10.0.0.0/8")],
      [`IPPool a: spec.cidr: 10.0.0.0/16 overlaps the pool "b" (10.0.0.0/8)`],
    ],
    ["a pool in the place of another", [a], [pool("b", "10.0.0.0/16")], []],
    ["the same CIDR written in another way", [pool("a", "2001:db8::/64")], [pool("a", "2001:0db8:0::/64")], []],
    [
      "a pool that overlaps a disabled one",
      [pool("a", "10.0.0.0/16", { disabled: true })],
      [pool("a", "10.0.0.0/16", { disabled: true }), pool("b", "10.0.0.0/16")],
      [`IPPool b: spec.cidr: 10.0.0.0/16 overlaps the pool "a" (10.0.0.0/16)`],
    ],
    [
      "a profile that a host endpoint still names",
      [make("Profile", "p"), make("HostEndpoint", "h", { node: "n", interfaceName: "eth0", profiles: ["p"] })],
      [make("HostEndpoint", "h", { node: "n", interfaceName: "eth0", profiles: ["p"] })],
      [],
    ],
    ["another option of a pool", [a], [pool("a", "10.0.0.0/16", { disabled: true })], []],
    [
      "another CIDR of a pool",
      [a],
      [pool("a", "10.1.0.0/16")],
      ["IPPool a: spec.cidr: cannot be changed from 10.0.0.0/16: make another pool, and disable this one"],
    ],
    [
      "another block size of a pool",
      [a],
      [pool("a", "10.0.0.0/16", { blockSize: 28 })],
      ["IPPool a: spec.blockSize: cannot be changed from 26: make another pool"],
    ],
    [
      "a pool that is no longer for load balancers",
      [pool("a", "10.0.0.0/16", { allowedUses: ["LoadBalancer"] })],
      [a],
      ["IPPool a: spec.allowedUses: of a LoadBalancer pool cannot be changed"],
    ],
    ["a policy with its tier", [], [tier, policy], []],
    [
      "a policy without its tier",
      [],
      [policy],
      [
        `NetworkPolicy default/web: spec.tier: there is no tier "security": apply a Tier of that name first, or with it`,
      ],
    ],
    [
      "policies of the tiers that are always there",
      [],
      ["default", "kube-admin", "kube-baseline"].map((tier) => make("GlobalNetworkPolicy", tier, { tier })),
      [],
    ],
    [
      "a staged policy without its tier",
      [],
      [make("StagedGlobalNetworkPolicy", "x", { tier: "none" })],
      [`StagedGlobalNetworkPolicy x: spec.tier: there is no tier "none": apply a Tier of that name first, or with it`],
    ],
    ["a policy that moves to another tier", [tier, make("NetworkPolicy", "web")], [tier, policy], []],
    [
      "a policy that moves to a tier that is not there",
      [tier, policy],
      [tier, make("NetworkPolicy", "web", { tier: "gone" })],
      [`NetworkPolicy default/web: spec.tier: there is no tier "gone": apply a Tier of that name first, or with it`],
    ],
    ["a tier whose policy moves to another one meanwhile", [tier, policy], [make("NetworkPolicy", "web")], []],
    ["a tier that goes with its policies", [tier, policy], [], []],
    [
      "a tier that leaves a policy",
      [tier, policy],
      [policy],
      ["Tier security: still has the policy NetworkPolicy default/web"],
    ],
    [
      "a tier that leaves policies",
      [tier, policy, make("GlobalNetworkPolicy", "g", { tier: "security" })],
      [policy, make("GlobalNetworkPolicy", "g", { tier: "security" })],
      ["Tier security: still has 2 policies, such as NetworkPolicy default/web"],
    ],
    ["the default tier going", [make("Tier", "default")], [], ["Tier default: is always there and cannot be deleted"]],
    [
      "a network that Docker does not have",
      [],
      [make("Network", "apps", { pools: [] })],
      ["Network apps: is Docker's to make and to change: docker network create -d manx --ipam-driver manx NAME"],
    ],
    [
      "a workload endpoint that somebody made up",
      [],
      [
        make("WorkloadEndpoint", "w", {
          orchestrator: "docker",
          workload: "w",
          node: "n",
          endpoint: "e",
          ipNetworks: [],
          profiles: [],
          interfaceName: "manx0",
        }),
      ],
      ["WorkloadEndpoint default/w: is kept by Manx itself: it can be looked at, not changed"],
    ],
  ];
  for (const [sentence, before, after, problems] of rows)
    it(`${problems.length === 0 ? "lets pass" : "refuses"} ${sentence}`, () =>
      assert.deepEqual(judge(before, after), problems));
});

describe("ParsedFile.locate", () => {
  const file = parseResources(
    `apiVersion: ${CALICO}\nkind: NetworkPolicy\nmetadata: {name: web}\nspec:\n  tier: security\n  ingress:\n  - action: Allow\n    source: {selector: all()}\n`,
    "web.yaml",
  );
  for (const [path, line, column] of [
    ["spec.tier", 5, 9],
    ["spec.ingress[0].source.selector", 8, 24],
    [`metadata.labels["a.b/c"]`, 3, 1],
    ["", 1, 1],
    ["spec.nothing.at[3].all", 4, 1],
  ] as const)
    it(`finds ${path || "the resource"} of what the agent says`, () =>
      assert.deepEqual(file.locate("NetworkPolicy default/web", path), { file: "web.yaml", line, column }));
  it("knows nothing of other resources", () => assert.equal(file.locate("Tier x", "spec"), undefined));
});
