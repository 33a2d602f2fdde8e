import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  arpAnnouncement,
  arpProbe,
  arpReply,
  neighbourAnnouncement,
  neighbourProbe,
  parseAdvertisement,
  parseArp,
} from "./frames.ts";

const MAC = "02:00:00:00:00:01";
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

void describe("frames", () => {
  void it("asks, announces and answers in ARP", () => {
    assert.equal(
      hex(arpProbe(MAC, "192.168.7.70")),
      "ffffffffffff0200000000010806000108000604000102000000000100000000000000000000c0a80746",
    );
    assert.deepEqual(parseArp(arpAnnouncement(MAC, "192.168.7.70")), {
      operation: "request",
      senderMac: MAC,
      sender: "192.168.7.70",
      target: "192.168.7.70",
    });
    const reply = arpReply(MAC, "192.168.7.70", "02:00:00:00:00:09", "0.0.0.0");
    assert.equal(hex(reply.subarray(0, 6)), "020000000009");
    assert.deepEqual(parseArp(reply), {
      operation: "reply",
      senderMac: MAC,
      sender: "192.168.7.70",
      target: "0.0.0.0",
    });
  });
  void it("reads no ARP out of what is cut off or of another kind", () => {
    const frame = arpProbe(MAC, "192.168.7.70");
    for (let length = 0; length < frame.length; length++) assert.equal(parseArp(frame.subarray(0, length)), undefined);
    for (const at of [12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
      assert.equal(parseArp(frame.with(at, 0x77)), undefined, `byte ${at}`);
    assert.equal(parseAdvertisement(new Uint8Array(24)), undefined);
  });
  void it("asks the group of an IPv6 address, from nowhere", () => {
    const frame = neighbourProbe(MAC, "2001:db8::1:70");
    assert.equal(hex(frame.subarray(0, 14)), "3333ff01007002000000000186dd");
    assert.equal(hex(frame.subarray(22, 54)), `${"00".repeat(16)}ff0200000000000000000001ff010070`);
    assert.equal(frame[21], 255);
    assert.equal(sum(frame), 0xffff);
  });
  void it("tells all nodes where an IPv6 address is, to override what they knew", () => {
    const frame = neighbourAnnouncement(MAC, "fe80::1", "2001:db8::70");
    assert.equal(hex(frame.subarray(0, 6)), "333300000001");
    assert.equal(frame[58], 0x20);
    assert.equal(sum(frame), 0xffff);
    assert.deepEqual(parseAdvertisement(frame.subarray(54)), { target: "2001:db8::70", mac: MAC });
  });
  void it("gives up at an option without length", () => {
    assert.equal(parseAdvertisement(new Uint8Array(40).with(0, 136)), undefined);
  });
});

/** With its checksum in place, a message adds up to all ones (RFC 1071). */
function sum(frame: Uint8Array): number {
  const bytes = frame.subarray(22);
  let out = bytes.length - 32 + 58;
  for (let at = 0; at < bytes.length; at += 2) out += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (out > 0xffff) out = (out & 0xffff) + (out >>> 16);
  return out;
}
