/** Counters of links, as the kernel tells them. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { Namespace } from "./namespace.ts";

it("counters of links tell what passed, from both ends, and of the kind that is asked for alone", () => {
  using here = new Namespace();
  using there = new Namespace();
  here.ip(`link add v0 type veth peer name v1 netns ${there.name}`);
  here.ip("link add d0 type bridge");
  here.ip("address add 10.99.0.1/24 dev v0");
  there.ip("address add 10.99.0.2/24 dev v1");
  here.ip("link set v0 up");
  there.ip("link set v1 up");
  using rtnetlink = new KernelRtnetlink(here.path);
  using other = new KernelRtnetlink(there.path);
  const before = rtnetlink.linkCounters("veth").find(({ name }) => name === "v0");
  here.run("ping", "-c", "3", "-i", "0.01", "-s", "1000", "-W", "5", "10.99.0.2");
  const [now, ...rest] = rtnetlink.linkCounters("veth");
  assert.deepEqual(rest, []);
  assert.ok(before !== undefined && now !== undefined);
  // Three packets of 1,000 bytes, and what the two say of themselves.
  assert.ok(now.sent.bytes - before.sent.bytes >= 3 * 1042);
  assert.ok(now.received.packets - before.received.packets >= 3);
  const [peer] = other.linkCounters("veth");
  assert.ok(peer !== undefined && peer.received.bytes >= 3 * 1042);
});
