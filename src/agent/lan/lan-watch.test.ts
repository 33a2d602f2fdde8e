import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, pool } from "../../../tests/store/address-fixture.ts";
import { address, formatAddress } from "../../core/net/address.ts";
import { arpReply, parseArp } from "../../drivers/packet/frames.ts";
import type { LanNews } from "../../drivers/packet/lan-port.ts";
import { fewAddresses, LanWatch } from "./lan-watch.ts";

const MAC = "02:00:00:00:00:01";
const PRINTER = "02:00:00:00:00:09";
const PART = { pool: "lan", interface: "eth0", cidr: "192.168.7.64/29", network: "192.168.7.0/24" };
const LAN = { pools: [PART.cidr], parts: [PART] };

/** A LAN on which a printer has these addresses. */
function lan(...has: string[]) {
  const printer = new Set(has);
  const sent: string[] = [];
  const conflicts: (string | undefined)[] = [];
  const clock = { now: 0 };
  let news: LanNews | undefined;
  const watch = new LanWatch({
    open: (_, given) => {
      news = given;
      return {
        mac: MAC,
        listening: true,
        send: (frame) => {
          const packet = parseArp(frame);
          if (packet === undefined) return;
          sent.push(`${packet.operation} ${packet.sender} ${packet.target}`);
          if (packet.sender !== "0.0.0.0" || !printer.has(packet.target)) return;
          const answer = parseArp(arpReply(PRINTER, packet.target, MAC, "0.0.0.0"));
          if (answer !== undefined) given.onArp(answer);
        },
        [Symbol.dispose]: () => undefined,
      };
    },
    onConflict: (why) => void conflicts.push(why),
    now: () => clock.now,
    wait: () => Promise.resolve(),
  });
  const hold = (...texts: string[]): void => watch.follow(LAN, new Map(texts.map((text) => [`eth0 ${text}`, null])));
  hold();
  return {
    watch,
    printer,
    sent,
    conflicts,
    clock,
    hold,
    hear: (packet: Parameters<LanNews["onArp"]>[0]) => news?.onArp(packet),
  };
}

void describe("a host on a LAN", () => {
  void it("asks before an address is used, briefly where nobody answered before, and at length when that is long ago", async () => {
    const { watch, sent, clock } = lan("192.168.7.66");
    assert.equal(await watch.isFree(address("192.168.7.65")), true);
    assert.equal(sent.length, 3);
    assert.equal(await watch.isFree(address("192.168.7.65")), true);
    assert.equal(sent.length, 4);
    clock.now += 700_000;
    assert.equal(await watch.isFree(address("192.168.7.65")), true);
    assert.equal(sent.length, 7);
    assert.equal(await watch.isFree(address("192.168.7.66")), false);
    assert.match(watch.userOf(address("192.168.7.66")), /02:00:00:00:00:09/);
  });
  void it("passes over what others use for a while, and over the network's own addresses for ever", async () => {
    const { watch, clock } = lan("192.168.7.66");
    await watch.lookAhead(() => fewAddresses(PART.cidr));
    const free = (): string[] =>
      fewAddresses("192.168.7.64/30")
        .filter((a) => !watch.isTaken(a))
        .map(formatAddress);
    assert.deepEqual(free(), ["192.168.7.64", "192.168.7.65", "192.168.7.67"]);
    clock.now += 1_800_001;
    assert.equal(free().length, 4);
    watch.follow({ pools: [], parts: [{ ...PART, cidr: "192.168.7.248/29" }] }, new Map());
    assert.equal(await watch.isFree(address("192.168.7.255")), false);
    assert.equal(watch.isTaken(address("192.168.7.255")), true);
  });
  void it("has looked ahead, so that a container waits for one probe only", async () => {
    const { watch, sent } = lan();
    await watch.lookAhead(() => fewAddresses(PART.cidr));
    const before = sent.length;
    assert.equal(await watch.isFree(address("192.168.7.70")), true);
    assert.equal(sent.length, before + 1);
    await watch.lookAhead(() => fewAddresses(PART.cidr));
    assert.equal(sent.length, before + 1);
  });
  void it("does not give out what a machine has taken without a word since it looked", async () => {
    const { watch, printer } = lan();
    await watch.lookAhead(() => fewAddresses(PART.cidr));
    printer.add("192.168.7.70");
    assert.equal(await watch.isFree(address("192.168.7.70")), false);
    assert.equal(watch.isTaken(address("192.168.7.70")), true);
  });
  void it("announces what its containers have, and defends it", () => {
    const { hold, sent, hear, conflicts } = lan();
    hold("192.168.7.70");
    assert.deepEqual(sent, ["request 192.168.7.70 192.168.7.70"]);
    hear({ operation: "request", sender: "0.0.0.0", senderMac: PRINTER, target: "192.168.7.70" });
    assert.equal(sent.at(-1), "reply 192.168.7.70 0.0.0.0");
    hear({ operation: "request", sender: "0.0.0.0", senderMac: PRINTER, target: "192.168.7.71" });
    assert.equal(sent.length, 2);
    hear({ operation: "request", sender: "192.168.7.70", senderMac: PRINTER, target: "192.168.7.70" });
    hear({ operation: "request", sender: "192.168.7.70", senderMac: PRINTER, target: "192.168.7.70" });
    assert.equal(sent.length, 3, "at most once in ten seconds");
    assert.match(conflicts.at(-1) ?? "", /192\.168\.7\.70 .*02:00:00:00:00:09/);
    hold();
    assert.equal(conflicts.at(-1), undefined);
  });
  void it("gives containers the next address where the printer has one, and refuses that one by name", async () => {
    const { watch } = lan("192.168.7.65", "192.168.7.66");
    await using host = await Host.with([pool("lan", PART.cidr, { blockSize: 29 })], { others: watch });
    const network = await host.network("n1");
    const given: string[] = [];
    for (let i = 0; i < 6; i++) given.push(await host.addresses.request({ poolId: network }));
    assert.deepEqual(
      given.map((text) => Number(text.split(/[./]/)[3])).sort((a, b) => a - b),
      [64, 67, 68, 69, 70, 71],
    );
    await assert.rejects(host.addresses.request({ poolId: network }), { code: "exhausted" });
    await assert.rejects(host.addresses.request({ poolId: network, address: "192.168.7.65" }), {
      code: "conflict",
      message: /a machine on the LAN has it \(MAC 02:00:00:00:00:09\)/,
    });
  });
});
