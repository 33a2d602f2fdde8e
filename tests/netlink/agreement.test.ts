/** The fake namespace and the kernel, given the same random changes, must refuse the same ones and end up the same. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeRtnetlink } from "../../src/drivers/netlink/fake-rtnetlink.ts";
import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { ROUTE_PROTOCOL } from "../../src/drivers/netlink/ownership.ts";
import type { Change, Rtnetlink } from "../../src/drivers/netlink/rtnetlink.ts";
import { Namespace } from "./namespace.ts";

const PAIRS = ["manxa", "manxb"] as const;
/** lo, the two host sides, and one that is not there. */
const index = fc.constantFrom(1, 3, 5, 77);
const link = fc.constantFrom(3, 5, 77);
const address = fc.constantFrom("10.0.0.1", "10.0.0.2", "192.0.2.1", "fd00::1", "fd00::2", "fe80::1", "fe80::2");
const mac = fc.constantFrom("02:00:00:00:00:0a", "02:00:00:00:00:0b");
const prefixOf = (text: string): string => `${text}/${text.startsWith("fe80") ? 64 : text.includes(":") ? 128 : 32}`;
const prefix = address.map(prefixOf);
const destination = fc.constantFrom("10.65.0.1/32", "10.65.0.0/26", "fd65::1/128", "fd65::/64", "10.65.0.9/24");
const protocol = fc.constantFrom(ROUTE_PROTOCOL, 4);

const route = fc
  .record(
    {
      destination,
      type: fc.constantFrom("unicast" as const, "unicast" as const, "blackhole" as const),
      protocol,
      index: fc.constantFrom(3, 5, 77),
      source: address,
      metric: fc.constantFrom(7, 1024),
    },
    { requiredKeys: ["destination", "type", "protocol"] },
  )
  .filter(({ destination, source }) => source === undefined || source.includes(":") === destination.includes(":"))
  // What Manx makes: a blackhole has no more than its destination.
  .map(({ index, source, ...rest }) => ({
    ...rest,
    ...(rest.type === "blackhole" || index === undefined ? {} : { index }),
    ...(rest.type === "blackhole" || source === undefined ? {} : { source }),
  }));

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant("set-link" as const), index: link, up: fc.boolean() }),
  fc.record({
    kind: fc.constant("set-link" as const),
    index: link,
    mtu: fc.constantFrom(1280, 1400, 1500, 60, 99_999),
  }),
  fc.record({ kind: fc.constant("set-link" as const), index: link, mac }),
  fc.record({ kind: fc.constant("set-link" as const), index: link, group: fc.nat(3) }),
  fc.record({ kind: fc.constant("add-address" as const), index, address: prefix, scope: fc.constant("link" as const) }),
  fc.record({ kind: fc.constant("delete-address" as const), index, address: prefix }),
  fc.record({ kind: fc.constantFrom("add-route" as const, "replace-route" as const), route }),
  fc.record({ kind: fc.constant("delete-route" as const), destination, protocol, metric: fc.constantFrom(0, 7, 1024) }),
  fc.record({ kind: fc.constant("set-neighbour" as const), index: link, address, mac }),
  fc.record({ kind: fc.constant("delete-neighbour" as const), index: link, address }),
);

/** Both links up, as Manx makes them. */
function prepare(rtnetlink: Rtnetlink): void {
  for (const [i, name] of PAIRS.entries()) {
    const parts = { mac: "ee:ee:ee:ee:ee:ee", peerMac: `02:00:00:00:00:0${i + 1}`, mtu: 1500, group: 1 };
    rtnetlink.addPair({ name, peer: `mxp${i}`, ...parts });
    const made = rtnetlink.link(name)?.index ?? 0;
    assert.deepEqual(made, 3 + 2 * i);
    const peer = made - 1;
    const refusals = rtnetlink.apply([
      { kind: "set-link", index: made, generatesAddress: false },
      { kind: "set-link", index: peer, generatesAddress: false },
      { kind: "set-link", index: made, up: true },
      { kind: "set-link", index: peer, up: true },
    ]);
    assert.deepEqual(refusals, []);
  }
}

/** What concerns Manx of a namespace, as sorted text. */
function state(rtnetlink: Rtnetlink): string[] {
  const out: string[] = [];
  for (const { name, index, up, mtu, mac, group } of rtnetlink.links("veth"))
    out.push(["link", name, index, up, mtu, mac, group].join(" "));
  for (const { index, address, scope } of rtnetlink.addresses())
    if (index !== 1 || !(address.startsWith("127.") || address === "::1/128"))
      out.push(["address", index, address, scope].join(" "));
  for (const family of [4, 6] as const)
    for (const route of rtnetlink.routes({ family }))
      if (route.protocol === ROUTE_PROTOCOL || route.protocol === 4) {
        const { destination, type, protocol, index, source, metric } = route;
        out.push(["route", destination, type, protocol, index, source, metric].join(" "));
      }
  for (const { index, address, mac, permanent } of rtnetlink.neighbours())
    if (permanent) out.push(["neighbour", index, address, mac].join(" "));
  return out.sort();
}

void describe("the fake namespace", () => {
  void it("agrees with the kernel on any changes", { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 5, maxLength: 25 }), (changes) => {
        using netns = new Namespace();
        using kernel = new KernelRtnetlink(netns.path);
        const fake = new FakeRtnetlink();
        kernel.apply([{ kind: "set-link", index: 1, up: true }]);
        prepare(kernel);
        prepare(fake);
        for (const [i, one] of changes.entries()) {
          const said = [fake, kernel].map((each) => each.apply([one])[0]?.error.errno);
          assert.equal(said[0], said[1], `change ${i}: ${JSON.stringify(one)}`);
          assert.deepEqual(state(fake), state(kernel), `after change ${i}: ${JSON.stringify(one)}`);
        }
      }),
      { numRuns: 60, endOnFailure: false, interruptAfterTimeLimit: 60_000 },
    );
  });
});
