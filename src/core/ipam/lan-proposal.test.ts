import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { address } from "../net/address.ts";
import { cidr, covers, formatCidr } from "../net/cidr.ts";
import { lanCandidates } from "./lan-proposal.ts";

const candidates = (network: string, known: string[] = [], pools: string[] = []): string[] =>
  lanCandidates(cidr(network), known.map(address), pools.map(cidr)).map(formatCidr);

void describe("what is proposed of a LAN's subnet", () => {
  void it("is from the upper end on, neither the first nor the last part of it", () => {
    assert.deepEqual(candidates("192.168.7.0/24").slice(0, 2), ["192.168.7.192/27", "192.168.7.160/27"]);
    assert.deepEqual(candidates("192.168.7.0/24").at(-1), "192.168.7.32/27");
  });
  void it("keeps clear of addresses that are known and of pools", () => {
    assert.equal(candidates("192.168.7.0/24", ["192.168.7.200"])[0], "192.168.7.160/27");
    assert.equal(candidates("192.168.7.0/24", ["192.168.7.200"], ["192.168.7.160/27"])[0], "192.168.7.128/27");
  });
  void it("is smaller where the subnet is, and nothing where it is too small", () => {
    assert.equal(candidates("192.168.7.0/26")[0], "192.168.7.32/28");
    assert.deepEqual(candidates("192.168.7.0/29"), []);
    for (let length = 8; length <= 28; length++)
      for (const part of candidates(`10.0.0.0/${length}`)) assert.ok(covers(cidr(`10.0.0.0/${length}`), cidr(part)));
  });
  void it("is one part of an IPv6 /64 that no machine makes addresses in", () => {
    assert.deepEqual(candidates("2001:db8:7::/64"), ["2001:db8:7:0:6d61:6e78::/112"]);
    assert.deepEqual(candidates("2001:db8:7::/64", ["2001:db8:7:0:6d61:6e78:0:5"]), []);
  });
});
