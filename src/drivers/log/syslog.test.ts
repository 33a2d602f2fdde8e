import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bind, MSG_DONTWAIT, recvfrom, SOCK_NONBLOCK, socket } from "../syscall/libc.ts";
import { sendToSyslog, syslogLine } from "./syslog.ts";

void describe("syslog", () => {
  void it("messages are as syslog(3) writes them", () => {
    const time = new Date(2026, 10, 7, 9, 5, 1);
    assert.equal(
      syslogLine({ severity: "warning", text: "a" }, "local0", time, 17),
      "<132>Nov  7 09:05:01 manx[17]: a",
    );
    assert.equal(syslogLine({ severity: "info", text: "a" }, "daemon", time, 1), "<30>Nov  7 09:05:01 manx[1]: a");
  });

  void it("takes what there is room for and waits for nothing", async () => {
    const folder = await mkdtemp(join(tmpdir(), "manx-syslog-"));
    const path = join(folder, "log");
    const address = new Uint8Array(110);
    address[0] = 1;
    address.set(Buffer.from(path), 2);
    const fd = socket(1, 2 | SOCK_NONBLOCK, 0);
    try {
      bind(fd, address);
      sendToSyslog(path, "local0", [{ severity: "info", text: "hello" }], new Date());
      const buffer = new Uint8Array(9000);
      const length = recvfrom(fd, buffer, MSG_DONTWAIT, new Uint8Array(110));
      assert.match(Buffer.from(buffer.subarray(0, length)).toString(), /^<134>\w+ [ \d]\d [\d:]+ manx\[\d+\]: hello$/);
      const many = Array.from({ length: 5_000 }, () => ({ severity: "info", text: "x" }) as const);
      const taken = sendToSyslog(path, "local0", many, new Date());
      assert.ok(taken > 0 && taken < many.length, `it took ${taken}`);
    } finally {
      closeSync(fd);
      await rm(folder, { recursive: true });
    }
    assert.throws(() => sendToSyslog(path, "local0", [{ severity: "info", text: "x" }], new Date()), /log: ENOENT/);
  });
});
