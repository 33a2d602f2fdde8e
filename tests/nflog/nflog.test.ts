/** Packets that the kernel logs, from namespaces of the test's own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { KernelRtnetlink } from "../../src/drivers/netlink/kernel-rtnetlink.ts";
import { type LogEvent, type LoggedPacket, listen, type NflogOptions } from "../../src/drivers/nflog/nflog.ts";
import { parseHead } from "../../src/drivers/nflog/packet-head.ts";
import { collect as collectFrom } from "../netlink/collect.ts";
import { Namespace } from "../netlink/namespace.ts";

const GROUP = 5;

const SENDER = `
  const [to, count] = process.argv.slice(1);
  const socket = require("node:dgram").createSocket(to.includes(":") ? "udp6" : "udp4");
  let left = Number(count);
  const next = () => (left-- > 0 ? socket.send("x", 9, to, next) : socket.close());
  socket.bind(4000, next);
`;

/** A container and its host, whose rules drop and log what is forwarded or comes in. */
class Drops implements Disposable {
  readonly host = new Namespace();
  readonly container = new Namespace();

  constructor() {
    const { host, container } = this;
    host.ip(`link add manxweb type veth peer name eth0 address 02:00:00:00:00:01 netns ${container.name}`);
    for (const [netns, link, n] of [
      [host, "manxweb", 1],
      [container, "eth0", 2],
    ] as const) {
      netns.ip(`addr add 10.65.0.${n}/24 dev ${link}`);
      netns.ip(`addr add fd65::${n}/64 dev ${link} nodad`);
      netns.ip(`link set ${link} up`);
    }
    const rule = `log prefix "manx deny p1.i0 " group ${GROUP} snaplen 128 drop`;
    host.run("nft", `table inet t { chain i { type filter hook input priority 0; udp dport 9 ${rule}; }; }`);
  }

  options(more: Partial<NflogOptions> = {}): NflogOptions {
    return { netns: this.host.path, group: GROUP, ...more };
  }

  /** Sends so many packets from the container to the discard port, as fast as it can; blocks until they are sent. */
  send(count: number, to: string): void {
    this.container.run(process.execPath, "-e", SENDER, to, String(count));
  }

  [Symbol.dispose](): void {
    this.host[Symbol.dispose]();
    this.container[Symbol.dispose]();
  }
}

const chosenLogger = (netns: Namespace): string => netns.run("cat", "/proc/sys/net/netfilter/nf_log/2");

/** What comes while the work is done, and afterwards until it is enough. */
const collect = (
  options: NflogOptions,
  work: (seen: readonly LogEvent[]) => Promise<void> | void,
  isEnough: (seen: readonly LogEvent[]) => boolean,
): Promise<LogEvent[]> => collectFrom((signal) => listen(options, signal), work, isEnough);

const packetsOf = (events: readonly LogEvent[]): LoggedPacket[] =>
  events.flatMap((event) => (event.kind === "packet" ? [event] : []));
const has =
  (count: number) =>
  (seen: readonly LogEvent[]): boolean =>
    packetsOf(seen).length >= count;

void describe("packets that the kernel logs", () => {
  void it("come with the rule's text, where they came in, and who is in them", async () => {
    using drops = new Drops();
    const events = await collect(drops.options(), () => drops.send(1, "10.65.0.1"), has(1));
    const [packet] = packetsOf(events);
    assert.ok(packet);
    using rtnetlink = new KernelRtnetlink(drops.host.path);
    assert.equal(packet.prefix, "manx deny p1.i0 ");
    assert.deepEqual([packet.inIndex, packet.outIndex], [rtnetlink.link("manxweb")?.index, undefined]);
    assert.deepEqual([packet.etherType, packet.sourceMac], [0x0800, "02:00:00:00:00:01"]);
    const ports = { sourcePort: 4000, destinationPort: 9 };
    assert.deepEqual(parseHead(packet.etherType, packet.payload), {
      source: "10.65.0.2",
      destination: "10.65.0.1",
      protocol: 17,
      ...ports,
    });
  });
  void it("come for IPv6 too", async () => {
    using drops = new Drops();
    const events = await collect(drops.options(), () => drops.send(1, "fd65::1"), has(1));
    const [packet] = packetsOf(events);
    assert.ok(packet);
    assert.equal(parseHead(packet.etherType, packet.payload)?.source, "fd65::2");
  });
  void it("are all there while the buffer holds them", async () => {
    using drops = new Drops();
    const events = await collect(drops.options(), () => drops.send(3_000, "10.65.0.1"), has(3_000));
    assert.equal(packetsOf(events).length, 3_000);
    assert.ok(events.every(({ kind }) => kind === "packet"));
  });
  void it("are counted where they are lost", async () => {
    using drops = new Drops();
    const lostOf = (events: readonly LogEvent[]): number =>
      events.reduce((sum, event) => sum + (event.kind === "lost" ? event.count : 0), 0);
    let sent = 2_000;
    const events = await collect(
      drops.options({ receiveBuffer: 8_192, bundle: 1 }),
      async (seen) => {
        drops.send(sent, "10.65.0.1");
        // The next packet that finds room tells how many did not.
        for (; lostOf(seen) === 0 && sent < 2_100; sent++) {
          await sleep(50);
          drops.send(1, "10.65.0.1");
        }
      },
      (seen) => packetsOf(seen).length + lostOf(seen) >= sent,
    );
    assert.ok(lostOf(events) > 0);
    assert.equal(packetsOf(events).length + lostOf(events), sent);
  });
  void it("are read no faster than asked for", async () => {
    using drops = new Drops();
    let begun = 0;
    const send = (): void => {
      drops.send(3_000, "10.65.0.1"); // nothing is read meanwhile
      begun = performance.now();
    };
    await collect(drops.options({ maxPerSecond: 1_000, bundle: 1 }), send, has(1_500));
    // What is dealt out at once is left aside; a busy machine only takes longer.
    assert.ok(performance.now() - begun > 1_300);
  });
  void it("leave the logger that others have chosen", async () => {
    using drops = new Drops();
    const before = chosenLogger(drops.host);
    await collect(drops.options(), () => drops.send(1, "10.65.0.1"), has(1));
    assert.equal(chosenLogger(drops.host), before);
    assert.notEqual(before.trim(), "NONE"); // else this shows nothing
  });
  void it("have one listener: the next one is told", () => {
    using drops = new Drops();
    const abort = new AbortController();
    listen(drops.options(), abort.signal);
    assert.throws(() => listen(drops.options(), abort.signal), { code: "busy", message: /another process/ });
    abort.abort();
    const again = new AbortController();
    listen(drops.options(), again.signal);
    again.abort();
  });
  void it("of a group that is none are refused", () => {
    using drops = new Drops();
    const { signal } = new AbortController();
    for (const group of [-1, 65_536, 1.5, Number.NaN])
      assert.throws(() => listen(drops.options({ group }), signal), { code: "invalid" });
  });
});
