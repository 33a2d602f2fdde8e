import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DriverError } from "./error.ts";
import { findBinary, mustRun, run } from "./exec.ts";

describe("run", () => {
  it("returns output and exit status, and passes arguments as they are", async () => {
    assert.equal(await mustRun(["printf", "%s|", "a b", "$HOME", ";id"]), "a b|$HOME|;id|");
    assert.equal((await run(["false"])).code, 1);
    assert.equal(await mustRun(["cat"], { input: "in" }), "in");
  });

  it("says what a program said when it fails", async () => {
    await assert.rejects(mustRun(["ls", "/no/such"]), /Cannot run "ls \/no\/such": .*No such file/);
  });

  it("names a program that is not there", async () => {
    await assert.rejects(
      run(["no-such-program"]),
      (error) => error instanceof DriverError && error.code === "not-found",
    );
    assert.equal(findBinary("no-such-program"), undefined);
    assert.ok(findBinary("ls", "")?.endsWith("/ls"));
  });

  it("ends a program that takes too long, or that nobody waits for any more", async () => {
    const timedOut = (error: unknown): boolean => error instanceof DriverError && error.code === "timeout";
    await assert.rejects(run(["sleep", "10"], { timeoutMs: 50 }), timedOut);
    await assert.rejects(run(["sleep", "10"], { signal: AbortSignal.timeout(50) }), timedOut);
    await assert.rejects(run(["sleep", "10"], { signal: AbortSignal.abort() }), timedOut);
  });
});
