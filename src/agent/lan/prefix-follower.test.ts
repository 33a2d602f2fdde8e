import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { makePool } from "../../core/ipam/pools.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { cidr } from "../../core/net/cidr.ts";
import { leftBehind, successions } from "./prefix-follower.ts";

const OLD = "2001:db8:7::/64";
const NEW = "2001:db8:8::/64";

function pool(name: string, range: string, more: Partial<IPPool["spec"]> = {}, annotations = {}): IPPool {
  const made = makePool(name, cidr(range), { natOutgoing: false, ...more });
  return {
    ...made,
    metadata: { name, annotations: { "manx/lan": "eth0", "manx/lan-follow": "true", ...annotations } },
  };
}

const LAN6 = pool("lan6", "2001:db8:7:0:6d61:6e78::/112");
const eth0 = (networks: string[], fading: string[] = []) => [{ name: "eth0", addresses: [], networks, fading }];
const next = (pools: IPPool[], interfaces: ReturnType<typeof eth0>) =>
  successions(pools, interfaces).map(({ before, after }) => [before, after.metadata.name, after.spec.cidr]);

void describe("an IPv6 LAN pool", () => {
  void it("moves to the prefix that has taken the place of its own, under the same name", () => {
    assert.deepEqual(next([LAN6], eth0([NEW])), [["lan6", "lan6-2001-db8-8", "2001:db8:8:0:6d61:6e78::/112"]]);
    const [moved] = successions([LAN6], eth0([NEW]));
    assert.equal(moved?.after.metadata.annotations?.["manx/lan-name"], "lan6");
  });
  void it("moves as soon as its prefix is on its way out, and on from there by the first name", () => {
    assert.deepEqual(next([LAN6], eth0([OLD, NEW], [OLD]))[0]?.[2], "2001:db8:8:0:6d61:6e78::/112");
    const second = pool("lan6-2001-db8-8", "2001:db8:8:0:6d61:6e78::/112", {}, { "manx/lan-name": "lan6" });
    assert.equal(next([second], eth0(["2001:db8:9::/64"]))[0]?.[1], "lan6-2001-db8-9");
  });
  void it("stays while its prefix lasts, while there is no other, and never leaves public addresses for private ones", () => {
    assert.deepEqual(next([LAN6], eth0([NEW, OLD])), []);
    assert.deepEqual(next([LAN6], eth0(["192.168.7.0/24"])), []);
    assert.deepEqual(next([LAN6], eth0(["fd00:7::/64"])), []);
    assert.deepEqual(
      next([pool("fixed", "2001:db8:7::6d61:0/112", {}, { "manx/lan-follow": "false" })], eth0([NEW])),
      [],
    );
    assert.deepEqual(next([pool("old", "2001:db8:7::6d61:0/112", { disabled: true })], eth0([NEW])), []);
  });
  void it("that is left behind goes when the prefix is off the LAN", () => {
    const left = pool("lan6", "2001:db8:7:0:6d61:6e78::/112", { disabled: true });
    assert.deepEqual(leftBehind([left, LAN6], eth0([OLD, NEW], [OLD])), []);
    assert.deepEqual(leftBehind([left, LAN6], eth0([NEW])), ["lan6"]);
  });
});
