import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_FAILSAFE, formatFailsafePort, parseFailsafePorts } from "./failsafe.ts";

describe("failsafe ports", () => {
  for (const text of ["tcp:22", "udp:68,tcp:179", "tcp:10.0.0.0/8:22", "tcp:[2001:db8::/32]:2222", "sctp:1"])
    it(`reads and writes ${text}`, () => {
      const parsed = parseFailsafePorts(text);
      assert.ok(parsed.ok);
      assert.equal(parsed.value.map(formatFailsafePort).join(","), text);
    });
  it("forgives case, spaces, and addresses for nets", () => {
    const parsed = parseFailsafePorts(" TCP:22 , tcp:10.1.2.3:80, tcp:2001:db8::1:443 ");
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value, [
      { protocol: "tcp", port: 22 },
      { protocol: "tcp", port: 80, net: "10.1.2.3/32" },
      { protocol: "tcp", port: 443, net: "2001:db8::1/128" },
    ]);
  });
  it("reads none as no port", () => assert.deepEqual(parseFailsafePorts("none"), { ok: true, value: [] }));
  it("reads what it writes of the defaults", () => {
    const { inbound, outbound } = DEFAULT_FAILSAFE;
    for (const ports of [inbound, outbound])
      assert.deepEqual(parseFailsafePorts(ports.map(formatFailsafePort).join(", ")), { ok: true, value: ports });
  });
  it("says all that is wrong at once", () => {
    const parsed = parseFailsafePorts("tcp:0,icmp:8,tcp:22,tcp:10.0.0.0/40:22,22,tcp:65536,,tcp:1;x");
    assert.ok(!parsed.ok);
    assert.deepEqual(
      parsed.problems.map(({ path }) => path),
      ["[0]", "[1]", "[3]", "[4]", "[5]", "[6]", "[7]"],
    );
  });
});
