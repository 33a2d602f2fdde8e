import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PublishedPort, Snapshot } from "../core/calc/snapshot.ts";
import type { Network, PolicyRule } from "../core/model/resources.ts";
import { type FakeEndpoint, fakeEndpoint, fakeNetwork, fakePool, fakeSnapshot } from "./fake-agent.ts";
import { type PolicyInfluence, policyInfluences } from "./policy-influence.ts";
import { isPublic } from "./public-address.ts";
import { outgoing, reachability, type Surroundings } from "./reachability.ts";

const web = (given: Partial<FakeEndpoint> = {}) =>
  fakeEndpoint({ container: "web", network: "apps", addresses: ["10.65.0.2"], ...given });
const SAYS_NOTHING: PolicyInfluence = {
  name: "p",
  closes: false,
  total: false,
  passes: false,
  opens: false,
  outside: false,
};
const published: PublishedPort[] = [{ protocol: "TCP", port: 80 }];
const onHost: PublishedPort[] = [{ protocol: "TCP", port: 80, host: { address: "", port: 8080 } }];
const onLoopback: PublishedPort[] = [{ protocol: "TCP", port: 80, host: { address: "127.0.0.1", port: 8080 } }];

function around(spec: Partial<Network["spec"]> = {}, announcing = false, more: Partial<Snapshot> = {}): Surroundings {
  return { snapshot: fakeSnapshot({ networks: [fakeNetwork("apps", spec)], ...more }), announcing };
}

/** [case, endpoint, network's spec, BGP, "host / same network / other containers / LAN / internet"] */
const cases: readonly [string, Partial<FakeEndpoint>, Partial<Network["spec"]>, boolean, string][] = [
  ["a plain container is closed to all but its network", {}, {}, false, "yes / yes / no / no / no"],
  ["BGP opens nothing by itself", {}, {}, true, "yes / yes / no / no / no"],
  [
    "a published port is open to whoever has a route",
    { published },
    {},
    false,
    "yes / yes / 80/tcp / 80/tcp if routed / no",
  ],
  ["with BGP the LAN has the route", { published }, {}, true, "yes / yes / 80/tcp / 80/tcp / no"],
  [
    "a published public address is open, if the provider routes it",
    { published, addresses: ["2a01:4f8::2"] },
    {},
    false,
    "yes / yes / 80/tcp / 80/tcp if routed / 80/tcp if routed",
  ],
  [
    "a published public address that BGP announces is open",
    { published, addresses: ["10.65.0.2", "2a01:4f8::2"] },
    {},
    true,
    "yes / yes / 80/tcp / 80/tcp / 80/tcp",
  ],
  ["isolation off opens all", {}, { isolation: "off" }, false, "yes / yes / yes / if routed / no"],
  ["isolation off and BGP", {}, { isolation: "off" }, true, "yes / yes / yes / yes / no"],
  ["isolation endpoint keeps members apart", {}, { isolation: "endpoint" }, false, "yes / no / no / no / no"],
  [
    "isolation endpoint lets members in where published",
    { published },
    { isolation: "endpoint" },
    false,
    "yes / 80/tcp / 80/tcp / 80/tcp if routed / no",
  ],
  ["internal is closed even where published", { published }, { internal: true }, true, "yes / yes / no / no / no"],
  [
    "a host port needs no route",
    { published: onHost },
    { publish: "host" },
    false,
    "yes / yes / 80/tcp / host port 8080/tcp / no",
  ],
  [
    "a host port on loopback is nobody's but the host's",
    { published: onLoopback },
    { publish: "host" },
    false,
    "yes / yes / no / no / no",
  ],
  ["a stopped container is reached by nobody", { joined: false }, {}, true, "no / no / no / no / no"],
  ["no address, nobody", { addresses: [] }, {}, true, "no / no / no / no / no"],
  ["an unknown network is closed", { network: "other" }, {}, true, "no / no / no / no / no"],
];

describe("reachability", () => {
  for (const [name, endpoint, spec, bgp, expected] of cases)
    it(name, () => {
      const { host, sameNetwork, otherContainers, lan, internet } = reachability(web(endpoint), around(spec, bgp));
      const all = [host, sameNetwork, otherContainers, lan, internet];
      assert.equal(all.map(({ brief }) => brief).join(" / "), expected);
      for (const reach of all) assert.notEqual(reach.why, "");
    });

  it("knows that the LAN reaches an address of its own subnet without a route", () => {
    const pool = {
      ...fakePool("lan", "192.168.7.64/27"),
      metadata: { name: "lan", annotations: { "manx/lan": "eth0" } },
    };
    const eth0 = { name: "eth0", addresses: ["192.168.7.2"], networks: ["192.168.7.0/24"] };
    const near = around({}, false, { pools: [pool], hostInterfaces: [eth0] });
    const endpoint = web({ published, addresses: ["192.168.7.70"] });
    assert.equal(reachability(endpoint, near).lan.brief, "80/tcp");
    assert.equal(reachability(web({ addresses: ["192.168.7.70"] }), near).lan.brief, "no");
    const away = around({}, false, { pools: [pool], hostInterfaces: [{ ...eth0, networks: [] }] });
    assert.equal(reachability(endpoint, away).lan.brief, "80/tcp if routed");
    assert.match(reachability(endpoint, near).internet.why, /router would have to forward a port to 192\.168\.7\.70$/);
    assert.equal(outgoing(endpoint, near).why, "from 192.168.7.70, as any machine of the LAN");
    assert.equal(outgoing(endpoint, away).brief, "if routed");
  });

  it("knows that a public prefix of the LAN's needs no route at the provider either", () => {
    const pool = {
      ...fakePool("lan6", "2a00:1:2:3:6d61:6e78::/112"),
      metadata: { name: "lan6", annotations: { "manx/lan": "eth0" } },
    };
    const eth0 = { name: "eth0", addresses: ["2a00:1:2:3::2"], networks: ["2a00:1:2:3::/64"] };
    const near = around({}, false, { pools: [pool], hostInterfaces: [eth0] });
    const endpoint = web({ published, addresses: ["2a00:1:2:3:6d61:6e78::7"] });
    assert.equal(reachability(endpoint, near).internet.brief, "80/tcp");
    assert.equal(reachability(endpoint, around()).internet.brief, "80/tcp if routed");
  });

  it("names the command that would open a closed container", () => {
    const closed = reachability(web(), around());
    assert.equal(closed.otherContainers.change, "manx allow OTHER web PORT");
    assert.equal(closed.lan.change, "docker run -p PORT --network apps ...");
    assert.equal(reachability(web({ joined: false }), around()).host.change, "docker start web");
    assert.equal(reachability(web(), around({ publish: "off" })).lan.change, undefined);
  });

  it("names the route that the LAN lacks: the pool on a single host, the block where there are more", () => {
    const single = reachability(web({ published }), around());
    assert.equal(single.lan.change, "ip route add 10.65.0.0/16 via 192.168.7.10");
    const nodes = fakeSnapshot().nodes.flatMap((node) => [node, { ...node, metadata: { name: "h2" } }]);
    const several = reachability(web({ published }), around({}, false, { nodes }));
    assert.equal(several.lan.change, "ip route add 10.65.0.0/26 via 192.168.7.10");
    const remote = reachability(web({ published, host: "h2", addresses: ["fd65::9"] }), around({}, false, { nodes }));
    assert.equal(remote.lan.change, "ip -6 route add fd65::9 via ADDRESS-OF-h2");
  });

  it("leaves the answer to policies that can close", () => {
    const closing = (name: string) => ({ ...SAYS_NOTHING, name, closes: true });
    const policies = ["a", "b", "c", "d"].map(closing);
    const reach = reachability(web(), { ...around(), ingressPolicies: () => policies });
    assert.equal(reach.sameNetwork.brief, "policy");
    assert.equal(reach.sameNetwork.why, "policies a, b, c and 1 more decide; manx why SOURCE web PORT tells how");
    assert.equal(reach.sameNetwork.change, "manx allow OTHER web PORT");
    assert.equal(reach.lan.change, undefined);
    assert.equal(reach.host.brief, "yes");
  });

  it("says no from where policies that decide about everything let nobody in", () => {
    const briefs = (...policies: Partial<PolicyInfluence>[]) => {
      const all = policies.map((policy) => ({ ...SAYS_NOTHING, closes: true, total: true, ...policy }));
      const reach = reachability(web({ published }), { ...around(), ingressPolicies: () => all });
      return [reach.host, reach.sameNetwork, reach.otherContainers, reach.lan, reach.internet].map(
        ({ brief }) => brief,
      );
    };
    assert.deepEqual(briefs({}), ["yes", "no", "no", "no", "no"]);
    assert.deepEqual(briefs({}, { opens: true }), ["yes", "policy", "policy", "no", "no"]);
    assert.deepEqual(briefs({}, { opens: true, outside: true }), ["yes", "policy", "policy", "policy", "policy"]);
    assert.deepEqual(briefs({ passes: true }), ["yes", "policy", "policy", "policy", "policy"]);
    const reach = reachability(web(), {
      ...around(),
      ingressPolicies: () => [{ ...SAYS_NOTHING, name: "shut", closes: true, total: true }],
    });
    assert.equal(reach.sameNetwork.why, "policy shut lets nobody in from there");
    assert.equal(reach.sameNetwork.change, "manx allow OTHER web PORT");
  });

  it("keeps what is open where policies only open more", () => {
    const briefs = (outside: boolean) => {
      const policies = [{ ...SAYS_NOTHING, name: "a", opens: true, outside }];
      const { sameNetwork, otherContainers, lan } = reachability(web(), {
        ...around(),
        ingressPolicies: () => policies,
      });
      return [sameNetwork.brief, otherContainers.brief, lan.brief];
    };
    assert.deepEqual(briefs(false), ["yes", "policy", "no"]);
    assert.deepEqual(briefs(true), ["yes", "policy", "policy"]);
  });

  it("finds the policies that select an endpoint, by its labels, its profiles' and its namespace's", () => {
    const policy = (name: string, selector: string, types: ("Ingress" | "Egress")[] = ["Ingress"]) => ({
      apiVersion: "projectcalico.org/v3" as const,
      kind: "GlobalNetworkPolicy" as const,
      metadata: { name },
      spec: { tier: "default", selector, types },
    });
    const all = policy("of-host-endpoints", "all()");
    const untracked = { ...all, spec: { ...all.spec, doNotTrack: true, applyOnForward: true } };
    const snapshot = fakeSnapshot({
      policies: [
        policy("by-label", 'role == "web"'),
        policy("by-profile", 'net == "apps"'),
        policy("by-namespace", 'projectcalico.org/namespace == "default"'),
        policy("other", 'role == "db"'),
        policy("outwards", "all()", ["Egress"]),
        untracked,
      ],
      profiles: [
        {
          apiVersion: "projectcalico.org/v3",
          kind: "Profile",
          metadata: { name: "apps" },
          spec: { labelsToApply: { net: "apps" } },
        },
      ],
    });
    const found = policyInfluences(snapshot, "ingress")(web({ labels: { role: "web" } }));
    assert.deepEqual(
      found.map(({ name }) => name),
      ["by-label", "by-profile", "by-namespace"],
    );
    assert.ok(found.every(({ closes }) => closes));
  });

  it("tells policies that only open, and for whom, from those that close", () => {
    const tier = {
      apiVersion: "projectcalico.org/v3",
      kind: "Tier",
      metadata: { name: "presets" },
      spec: { defaultAction: "Pass" },
    } as const;
    const influence = (tierName: string, rule: PolicyRule, networkSets: Snapshot["networkSets"] = []) => {
      const policy = {
        apiVersion: "projectcalico.org/v3",
        kind: "GlobalNetworkPolicy",
        metadata: { name: "p" },
        spec: { tier: tierName, selector: "all()", types: ["Ingress"], ingress: [rule] },
      } as const;
      const [found] = policyInfluences(
        fakeSnapshot({ tiers: [tier], policies: [policy], networkSets }),
        "ingress",
      )(web());
      return [found?.closes, found?.outside, found?.total];
    };
    const selector = { source: { selector: "has(a)" } };
    const set = {
      apiVersion: "projectcalico.org/v3",
      kind: "GlobalNetworkSet",
      metadata: { name: "s" },
      spec: {},
    } as const;
    assert.deepEqual(influence("presets", { action: "Allow", ...selector }), [false, false, false]);
    assert.deepEqual(influence("presets", { action: "Allow", ...selector }, [set]), [false, true, false]);
    assert.deepEqual(influence("presets", { action: "Allow" }), [false, true, false]);
    assert.deepEqual(influence("presets", { action: "Deny", ...selector }), [true, false, false]);
    assert.deepEqual(influence("presets", { action: "Deny" }), [true, false, true]);
    assert.deepEqual(influence("default", { action: "Allow", ...selector }), [true, false, true]);
  });

  it("says whether a container gets out", () => {
    assert.equal(outgoing(web(), around()).brief, "yes");
    assert.equal(outgoing(web(), around({ internal: true })).brief, "no");
    const pools = [fakePool("p", "10.65.0.0/16")];
    const routed = outgoing(web(), around({}, false, { pools }));
    assert.equal(routed.brief, "if routed");
    assert.equal(routed.change, "manx pool set p --nat-outgoing on");
    assert.equal(outgoing(web({ addresses: ["2a01:4f8::2"] }), around({}, false, { pools })).brief, "yes");
  });

  it("says whether policies let a container out", () => {
    const out = (...egress: PolicyRule[]) => {
      const policy = {
        apiVersion: "projectcalico.org/v3",
        kind: "GlobalNetworkPolicy",
        metadata: { name: "p" },
        spec: { tier: "default", selector: "all()", types: ["Egress"], egress },
      } as const;
      const snapshot = fakeSnapshot({ policies: [policy] });
      return outgoing(web(), { ...around(), egressPolicies: policyInfluences(snapshot, "egress") });
    };
    assert.deepEqual([out().brief, out().why], ["no", "policy p lets nothing out to there"]);
    assert.equal(out({ action: "Allow", destination: { selector: "has(a)" } }).brief, "no");
    assert.equal(out({ action: "Allow", destination: { nets: ["0.0.0.0/0"] } }).brief, "policy");
    assert.equal(out({ action: "Pass" }).brief, "policy");
    const opens = [{ ...SAYS_NOTHING, name: "opens", opens: true }];
    assert.equal(outgoing(web(), { ...around(), egressPolicies: () => opens }).brief, "yes");
  });

  it("knows public addresses from private ones", () => {
    for (const text of ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2a01:4f8::2"]) assert.ok(isPublic(text), text);
    for (const text of [
      "10.0.0.1",
      "100.64.0.1",
      "172.31.0.1",
      "192.168.1.1",
      "fd65::1",
      "fe80::1",
      "2001:db8::1",
      "web",
      "",
    ])
      assert.ok(!isPublic(text), text);
  });
});
