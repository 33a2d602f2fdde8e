/** Each match and operation as BIRD reads it; the meaning is Calico's (confd, Test_BGPFilterBIRDFuncs and its golden files). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BGPFilterRule } from "../model/resources.ts";
import { statement } from "./filter-rules.ts";

const FOUR = "55.4.0.0/16";
const SIX = "7000:1::0/64";

/** [rule, statement]; the family is that of the CIDR, else IPv4 */
const ROWS: readonly (readonly [Partial<BGPFilterRule>, string])[] = [
  [{}, "accept;"],
  [{ action: "Reject" }, "reject;"],
  [{ cidr: FOUR, matchOperator: "In" }, "if net ~ 55.4.0.0/16 then { accept; }"],
  [{ cidr: FOUR, matchOperator: "NotIn" }, "if net !~ 55.4.0.0/16 then { accept; }"],
  [{ cidr: FOUR, matchOperator: "Equal" }, "if net = 55.4.0.0/16 then { accept; }"],
  [{ cidr: FOUR, matchOperator: "NotEqual" }, "if net != 55.4.0.0/16 then { accept; }"],
  [{ cidr: SIX, matchOperator: "NotEqual" }, "if net != 7000:1::/64 then { accept; }"],
  [
    { cidr: FOUR, matchOperator: "NotIn", source: "RemotePeers", interface: "vxlan.calico", action: "Reject" },
    'if net !~ 55.4.0.0/16 && source = RTS_BGP && (defined(ifname) && ifname ~ "vxlan.calico") then { reject; }',
  ],
  [
    { cidr: FOUR, matchOperator: "NotIn", prefixLength: { min: 16, max: 24 } },
    "if net !~ [ 55.4.0.0/16{16,24} ] then { accept; }",
  ],
  [
    { cidr: "88.7.0.0/16", matchOperator: "In", prefixLength: { max: 24 } },
    "if net ~ [ 88.7.0.0/16{16,24} ] then { accept; }",
  ],
  [{ cidr: SIX, matchOperator: "In", prefixLength: { min: 96 } }, "if net ~ [ 7000:1::/64{96,128} ] then { accept; }"],
  [{ cidr: FOUR, matchOperator: "In", prefixLength: { min: 8 } }, "if net ~ [ 55.4.0.0/16{16,32} ] then { accept; }"],
  [{ cidr: FOUR, matchOperator: "In", prefixLength: { max: 8 } }, "if false then { accept; }"],
  [{ cidr: FOUR, matchOperator: "NotIn", prefixLength: { max: 8 } }, "if true then { accept; }"],
  // Equal stays equal: lengths narrow it, they never make it "inside". (Calico's BIRD compares a prefix with a set, which is never so.)
  [{ cidr: FOUR, matchOperator: "Equal", prefixLength: { max: 24 } }, "if net = 55.4.0.0/16 then { accept; }"],
  [{ cidr: FOUR, matchOperator: "NotEqual", prefixLength: { max: 24 } }, "if net != 55.4.0.0/16 then { accept; }"],
  [{ cidr: FOUR, matchOperator: "Equal", prefixLength: { min: 17, max: 24 } }, "if false then { accept; }"],
  [{ cidr: FOUR, matchOperator: "NotEqual", prefixLength: { min: 17 } }, "if true then { accept; }"],
  [{ peerType: "iBGP" }, "if is_internal then { accept; }"],
  [{ peerType: "eBGP" }, "if !is_internal then { accept; }"],
  [{ communities: { values: ["65000:100"] } }, "if (65000, 100) ~ bgp_community then { accept; }"],
  [{ communities: { values: ["65000:1:2"] } }, "if (65000, 1, 2) ~ bgp_large_community then { accept; }"],
  [{ asPathPrefix: [] }, "accept;"],
  [{ asPathPrefix: [65000] }, "if bgp_path.first = 65000 then { accept; }"],
  [{ asPathPrefix: [65000, 65001] }, "if bgp_path ~ [= 65000 65001 * =] then { accept; }"],
  [{ priority: 100 }, "if krt_metric = 100 then { accept; }"],
  [
    { operations: [{ addCommunity: { value: "65000:100" } }, { addCommunity: { value: "1:2:3" } }] },
    "bgp_community.add((65000, 100)); bgp_large_community.add((1, 2, 3)); accept;",
  ],
  [
    { operations: [{ prependASPath: { prefix: [65000, 65001] } }] },
    "bgp_path.prepend(65001); bgp_path.prepend(65000); accept;",
  ],
  [{ operations: [{ setPriority: { value: 100 } }] }, "krt_metric = 100; bgp_local_pref = 2147483647 - 100; accept;"],
];

/** What no check lets in, and a store may hold. */
const REFUSED: readonly Record<string, unknown>[] = [
  { action: "accept" },
  { action: "constructor" },
  { cidr: SIX, matchOperator: "In" },
  { cidr: "10.0.0.0/8; reject", matchOperator: "In" },
  { cidr: FOUR, matchOperator: "__proto__" },
  { cidr: FOUR, matchOperator: "In", prefixLength: { min: 16.5 } },
  { cidr: FOUR, matchOperator: "In", prefixLength: { max: "24 } ]" } },
  { source: "toString" },
  { peerType: "constructor" },
  { interface: 'eth0"' },
  { interface: "" },
  { communities: { values: ["65536:1"] } },
  { communities: { values: ["1:1)) then accept"] } },
  { asPathPrefix: ["1 * =]"] },
  { asPathPrefix: [4294967296] },
  { priority: -1 },
  { operations: [{}] },
  { operations: [{ prependASPath: { prefix: [1.5] } }] },
  { operations: [{ setPriority: { value: "1; reject" } }] },
];

describe("a rule of a BGPFilter", () => {
  for (const [rule, expected] of ROWS)
    it(`${JSON.stringify(rule)} is ${expected}`, () => {
      assert.equal(statement({ action: "Accept", ...rule }, rule.cidr?.includes(":") ? 6 : 4), expected);
    });
  for (const rule of REFUSED)
    it(`${JSON.stringify(rule)} is not written`, () => {
      assert.throws(() => statement({ action: "Accept", ...rule }, 4), RangeError);
    });
});
