/** Netlink sockets against the kernel: requests, dumps, batches, events, in namespaces of the test's own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, readdirSync, readlinkSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { AF_NETLINK, SOCK_RAW, sendto, socket } from "../../src/drivers/syscall/libc.ts";
import { Attributes, MessageWriter } from "../../src/drivers/syscall/netlink-message.ts";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from "../../src/drivers/syscall/netlink-socket.ts";
import { inNetworkNamespace } from "../../src/drivers/syscall/netns.ts";
import { Namespace } from "../netlink/namespace.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const IFLA_IFNAME = 3;
const RTNLGRP_LINK = 1;
const RTNLGRP_IPV4_IFADDR = 5;
const LO = 1;
const NEVER = new AbortController().signal;

const getLinks = (): Uint8Array => new MessageWriter().begin(RTM_GETLINK, 0).raw(new Uint8Array(16)).end().finish();

/** Adds 10.x.y.z/32 to lo. */
function addAddress(w: MessageWriter, number: number): MessageWriter {
  const address = new Uint8Array([10, number >> 16, (number >> 8) & 255, number & 255]);
  w.begin(RTM_NEWADDR, 0x600).raw(new Uint8Array([2, 32, 0, 0, LO, 0, 0, 0]));
  return w.bytes(2, address).bytes(1, address).end();
}

function names(from: NetlinkSocket): string[] {
  const attributes = new Attributes(64);
  return from.dump(getLinks(), "list links").map(({ body }) => attributes.read(body, 16).string(IFLA_IFNAME) ?? "");
}

const descriptors = (): number => readdirSync("/proc/self/fd").length;
const home = (): string => readlinkSync("/proc/thread-self/ns/net");

void describe("a netlink socket", () => {
  void it("stays in the namespace that it was opened in, and the process in its own", () => {
    using netns = new Namespace();
    netns.ip("link add inside type veth peer name other");
    const before = home();
    using there = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    using here = NetlinkSocket.open(NETLINK_ROUTE);
    assert.ok(names(there).includes("inside"));
    assert.ok(!names(here).includes("inside"));
    assert.equal(home(), before);
  });
  void it("is not opened where there is no namespace, and leaves nothing open", () => {
    const before = [descriptors(), home()];
    for (const [netns, code] of [
      ["/run/netns/no-such-namespace", "not-found"],
      ["/proc/self/ns/mnt", "invalid"],
      ["/etc/hostname", "invalid"],
    ] as const)
      assert.throws(() => NetlinkSocket.open(NETLINK_ROUTE, { netns }), { name: "DriverError", code }, netns);
    assert.throws(() => NetlinkSocket.open(99), { name: "DriverError" });
    assert.throws(() => NetlinkSocket.open(NETLINK_ROUTE, { groups: [4_000_000] }), { name: "DriverError" });
    assert.deepEqual([descriptors(), home()], before);
  });
  void it("says what the kernel said about a request", () => {
    using netns = new Namespace();
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const tooLong = new MessageWriter().begin(RTM_NEWLINK, 0).raw(new Uint8Array(16));
    tooLong.string(IFLA_IFNAME, "more-than-fifteen-bytes").end();
    assert.throws(() => route.request(tooLong.finish(), 'rename "x"'), {
      code: "invalid",
      message: /^Cannot rename "x": ERANGE, .*policy validation at byte 32/,
    });
    const first = addAddress(new MessageWriter(), 1).finish();
    assert.deepEqual(route.request(first, "add the address"), []);
    assert.throws(() => route.request(addAddress(new MessageWriter(), 1).finish(), "add"), { code: "exists" });
  });
  void it("tries each of many messages, whatever became of those before", () => {
    using netns = new Namespace();
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const w = new MessageWriter(64);
    for (let i = 0; i < 1000; i++) addAddress(w, i % 7 === 0 ? 0xffffff : i);
    const { failures } = route.batch(w.finish(), "add addresses");
    const expected = Array.from({ length: 1000 }, (_, i) => i).filter((i) => i % 7 === 0 && i > 0);
    assert.deepEqual(
      failures.map(({ index, error }) => [index, error.errno]),
      expected.map((index) => [index, "EEXIST"]),
    );
  });
  void it("sends a transaction larger than the kernel's default buffer", () => {
    using netns = new Namespace();
    using nfnetlink = NetlinkSocket.open(NETLINK_NETFILTER, { netns: netns.path });
    const w = new MessageWriter().begin(0x10, 0).nfgen(0, 10).end();
    for (let i = 0; i < 6000; i++) w.begin(0xa00, 0x400).nfgen(1).string(1, `t${i}`.padEnd(120, "x")).end();
    w.begin(0x11, 0).nfgen(0, 10).end();
    assert.ok(w.length > 800_000);
    assert.deepEqual(nfnetlink.transaction(w.finish(), "make tables").failures, []);
    assert.equal(nfnetlink.dump(new MessageWriter().begin(0xa01, 0).nfgen(1).end().finish(), "list").length, 6000);
  });
  void it("names the message that makes a transaction fail, and nothing of it is done", async () => {
    using netns = new Namespace();
    using nfnetlink = NetlinkSocket.open(NETLINK_NETFILTER, { netns: netns.path });
    const w = new MessageWriter().begin(0x10, 0).nfgen(0, 10).end();
    w.begin(0xa00, 0x400).nfgen(1).string(1, "good").end();
    w.begin(0xa02, 0).nfgen(1).string(1, "missing").end();
    w.begin(0x11, 0).nfgen(0, 10).end();
    const { failures } = await nfnetlink.transactionAsync(w.finish(), "make tables");
    assert.deepEqual(
      failures.map(({ index, error }) => [index, error.errno]),
      [[2, "ENOENT"]],
    );
    assert.deepEqual(nfnetlink.dump(new MessageWriter().begin(0xa01, 0).nfgen(1).end().finish(), "list"), []);
  });
  void it("does one thing at a time", async () => {
    using netns = new Namespace();
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const slow = route.requestAsync(addAddress(new MessageWriter(), 1).finish(), "add an address");
    assert.throws(() => names(route), /in use/);
    assert.throws(() => route.close(), /in use/);
    await slow;
    assert.ok(names(route).includes("lo"));
    route.close();
    route.close();
    assert.throws(() => names(route), /closed/);
  });
  void it("forgets a dump that its reader left", async () => {
    using netns = new Namespace();
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const w = new MessageWriter();
    for (let i = 0; i < 3000; i++) addAddress(w, i);
    route.batch(w.finish(), "add addresses");
    const list = new MessageWriter().begin(22, 0).raw(new Uint8Array(8)).end().finish();
    const bad = (): never => {
      throw new Error("enough");
    };
    await assert.rejects(route.dumpSlowly(list, "list addresses", bad), /enough/);
    assert.equal((await route.dumpSlowly(list, "list", () => 1)).length, 3000);
  });
});

void describe("events of a netlink socket", () => {
  const options = (netns: Namespace) => ({ netns: netns.path, groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR] });

  void it("reach many listeners at a time, and leave nothing open", async () => {
    using netns = new Namespace();
    const before = descriptors();
    const abort = new AbortController();
    const sockets = Array.from({ length: 20 }, () => NetlinkSocket.open(NETLINK_ROUTE, options(netns)));
    const counts = sockets.map(async (each) => {
      let count = 0;
      for await (const event of each.events(abort.signal))
        count += event.kind === "messages" ? event.messages.length : 0;
      each.close();
      return count;
    });
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    for (let i = 0; i < 10; i++) {
      route.request(addAddress(new MessageWriter(), i).finish(), "add an address");
      await sleep(2);
    }
    await sleep(30);
    abort.abort();
    assert.deepEqual(await Promise.all(counts), Array<number>(20).fill(10));
    route.close();
    // The thread that waits for all of them goes a turn later.
    for (let i = 0; i < 100 && descriptors() > before; i++) await sleep(5);
    assert.equal(descriptors(), before);
  });
  void it("are told to be lost to whom reads slowly, and go on", async () => {
    using netns = new Namespace();
    using listener = NetlinkSocket.open(NETLINK_ROUTE, { ...options(netns), receiveBuffer: 2048 });
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const abort = new AbortController();
    const events = listener.events(abort.signal);
    for (let i = 0; i < 300; i++) route.request(addAddress(new MessageWriter(), i).finish(), "add an address");
    const kinds = [];
    for (let i = 0; i < 2; i++) kinds.push((await events.next()).value?.kind);
    assert.ok(kinds.includes("overrun"));
    route.request(addAddress(new MessageWriter(), 5000).finish(), "add an address");
    assert.equal((await events.next()).value?.kind, "messages");
    abort.abort();
    assert.equal((await events.next()).done, true);
  });
  void it("come from the kernel only, whoever else may write to the socket", async () => {
    using netns = new Namespace();
    using listener = NetlinkSocket.open(NETLINK_ROUTE, options(netns));
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    const forger = inNetworkNamespace(netns.path, () => socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    const to = new Uint8Array(12);
    const view = new DataView(to.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(4, listener.portId, true);
    sendto(forger, new MessageWriter().begin(RTM_NEWLINK, 0).raw(new Uint8Array(16)).end().finish(), to);
    closeSync(forger);
    route.request(addAddress(new MessageWriter(), 1).finish(), "add an address");
    for await (const event of listener.events(NEVER)) {
      assert.deepEqual(event.kind === "messages" && event.messages.map(({ type }) => type), [RTM_NEWADDR]);
      break;
    }
  });
  void it("end where the reader leaves the loop, and can be begun again", async () => {
    using netns = new Namespace();
    using listener = NetlinkSocket.open(NETLINK_ROUTE, options(netns));
    using route = NetlinkSocket.open(NETLINK_ROUTE, { netns: netns.path });
    for (let i = 0; i < 3; i++) {
      route.request(addAddress(new MessageWriter(), i).finish(), "add an address");
      for await (const event of listener.events(NEVER)) {
        assert.equal(event.kind, "messages");
        break;
      }
    }
  });
  void it("keep no process alive after the abort, and none from exiting before it", () => {
    const run = (end: string): number => {
      const began = performance.now();
      const script = `
        import { NetlinkSocket } from "${import.meta.dirname}/../../src/drivers/syscall/netlink-socket.ts";
        const socket = NetlinkSocket.open(0, { groups: [${RTNLGRP_LINK}] });
        const abort = new AbortController();
        (async () => { for await (const _ of socket.events(abort.signal)); socket.close(); })();
        setTimeout(() => { ${end} }, 50);
      `;
      execFileSync(process.execPath, ["--input-type=module", "-e", script], { timeout: 60_000 });
      return performance.now() - began;
    };
    assert.ok(run("abort.abort()") < 8_000);
    assert.ok(run("process.exit(0)") < 8_000);
  });
});
