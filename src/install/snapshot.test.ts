import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compareSnapshots, type Snapshot } from "./snapshot.ts";

const snapshot = (facts: Record<string, string>): Snapshot => ({ version: 1, takenAt: "2026-01-01T00:00:00Z", facts });

const rows: readonly [string, string, string | undefined, string | undefined, boolean, string][] = [
  ["our table", "nftables table inet manx", undefined, "table inet manx {", true, "manx"],
  [
    "our rule in Docker's table",
    "nftables table ip filter",
    "chain DOCKER-USER",
    'DOCKER-USER iifname "manx*"',
    true,
    "manx",
  ],
  ["our route", "route 10.65.0.1 table main metric 0", undefined, "dev manx0123 proto 109", true, "manx"],
  ["our gateway address", "address 169.254.1.1/32 on lo", undefined, "link", true, "manx"],
  ["Docker's bridge", "link docker0", undefined, "bridge", true, "docker"],
  ["Docker's rules", "nftables table ip nat", undefined, "chain DOCKER {", true, "docker"],
  ["forwarding while Docker runs", "sysctl net/ipv4/ip_forward", "0", "1", true, "docker"],
  ["forwarding that nobody else wants", "sysctl net/ipv4/ip_forward", "0", "1", false, "manx"],
  ["what Manx did for IPv6", "sysctl net/ipv6/conf/eth0/accept_ra", "1", "2", false, "manx"],
  [
    "a route of the administrator",
    "route 192.168.9.0/24 table main metric 0",
    undefined,
    "via 10.0.0.1",
    true,
    "somebody else",
  ],
  [
    "a unit of a package",
    "file /etc/systemd/system/multi-user.target.wants/bird.service",
    undefined,
    "x",
    false,
    "package",
  ],
  ["a setting of the administrator", "sysctl net/core/somaxconn", "128", "4096", true, "somebody else"],
];

const NOBODY = { docker: false, packages: [] };

describe("compareSnapshots", () => {
  for (const [name, what, before, after, docker, by] of rows) {
    it(`says who made it: ${name}`, () => {
      const facts = (value: string | undefined): Record<string, string> => ({
        "link eth0": "ether",
        ...(value === undefined ? {} : { [what]: value }),
      });
      const found = compareSnapshots(snapshot(facts(before)), snapshot(facts(after)), { docker, packages: ["bird2"] });
      assert.deepEqual(
        found.map((difference) => [difference.what, difference.by]),
        [[what, by]],
      );
    });
  }

  it("misses nothing of Manx's own, where an agent ran before the snapshot was taken", () => {
    const filter = (...rules: string[]) => ["table ip filter {", ...rules, "}"].join("\n");
    const before = {
      "nftables table inet manx": "table inet manx {\n}",
      "route 10.65.0.0/26 table main metric 0": "blackhole proto 109",
      "nftables table ip filter": filter('  iifname "manx*" accept', "  drop"),
    };
    const compare = (after: Record<string, string>) => compareSnapshots(snapshot(before), snapshot(after), NOBODY);
    assert.deepEqual(compare({ "nftables table ip filter": filter("  drop") }), []);
    const rest = compare({ "nftables table ip filter": filter() });
    assert.deepEqual(
      rest.map(({ what }) => what),
      ["nftables table ip filter"],
      "the host's own rule is gone",
    );
  });

  it("finds nothing in equals, and does not list the settings of an interface that came or went", () => {
    const setting = "sysctl net/ipv4/conf/docker0/rp_filter";
    const before = snapshot({ "link eth0": "x", "sysctl net/ipv4/conf/eth0/rp_filter": "0" });
    const after = snapshot({ ...before.facts, "link docker0": "y", [setting]: "0" });
    assert.deepEqual(compareSnapshots(before, before, NOBODY), []);
    assert.deepEqual(
      compareSnapshots(before, after, NOBODY).map(({ what }) => what),
      ["link docker0"],
    );
    const changed = snapshot({ ...before.facts, "sysctl net/ipv4/conf/eth0/rp_filter": "1" });
    assert.equal(compareSnapshots(before, changed, NOBODY).length, 1);
  });
});
