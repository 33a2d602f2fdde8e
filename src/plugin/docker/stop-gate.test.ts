import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { StopGate, stopIn } from "./stop-gate.ts";

describe("a request that ends a container", () => {
  const cases: [string, string, ReturnType<typeof stopIn>][] = [
    ["POST", "/v1.41/containers/web/stop", { container: "web", timeout: 10 }],
    ["POST", "/v1.41/containers/web/stop?t=3", { container: "web", timeout: 3 }],
    ["POST", "/containers/web/restart?signal=SIGINT&t=0", { container: "web", timeout: 0 }],
    ["POST", "/v1.47/containers/ab%2Fc/kill", { container: "ab/c", timeout: 0 }],
    ["POST", "/v1.41/containers/web/kill?signal=TERM", { container: "web", timeout: 0 }],
    ["POST", "/v1.41/containers/web/kill?signal=SIGHUP", undefined],
    ["POST", "/v1.41/containers/web/kill?signal=10", undefined],
    ["DELETE", "/v1.41/containers/web?force=1", { container: "web", timeout: 0 }],
    ["DELETE", "/v1.41/containers/web?force=0&v=1", undefined],
    ["DELETE", "/v1.41/containers/web", undefined],
    ["POST", "/v1.41/containers/web/start", undefined],
    ["POST", "/v1.41/containers/create?name=stop", undefined],
    ["GET", "/v1.41/containers/web/stop", undefined],
    ["POST", "/v1.41/networks/web/stop", undefined],
  ];
  for (const [RequestMethod, RequestUri, expected] of cases)
    it(`${RequestMethod} ${RequestUri}: ${expected === undefined ? "no" : "yes"}`, () =>
      assert.deepEqual(stopIn(JSON.stringify({ RequestMethod, RequestUri })), expected));
});

describe("the gate", () => {
  it("answers a stop once the container is out, and allows everything, whatever happens", async () => {
    const folder = mkdtempSync(join(tmpdir(), "manx-gate-"));
    const socketPath = join(folder, "gate.sock");
    let open: () => void = () => {};
    const waits = new Promise<void>((resolve) => (open = resolve));
    await using _gate = await StopGate.start({
      socketPath,
      log: () => {},
      before: ({ container }) => (container === "bad" ? Promise.reject(new Error("no")) : waits),
    });
    const call = (path: string, body: unknown): Promise<string> =>
      new Promise((resolve, reject) => {
        const asked = request({ socketPath, path, method: "POST" }, (response) => {
          let text = "";
          response.on("data", (chunk: Buffer) => (text += chunk.toString())).on("end", () => resolve(text));
        });
        asked.on("error", reject).end(typeof body === "string" ? body : JSON.stringify(body));
      });
    const stop = (name: string) => ({ RequestMethod: "POST", RequestUri: `/v1.41/containers/${name}/stop` });
    assert.equal(await call("/Plugin.Activate", ""), '{"Implements":["authz"]}');
    const answers: string[] = [];
    const stopped = call("/AuthZPlugin.AuthZReq", stop("web")).then(() => answers.push("stop"));
    const others = [
      call("/AuthZPlugin.AuthZReq", stop("bad")),
      call("/AuthZPlugin.AuthZReq", "{"),
      call("/AuthZPlugin.AuthZRes", stop("web")),
      call("/AuthZPlugin.AuthZReq", { RequestMethod: "GET", RequestUri: "/_ping" }),
    ];
    for (const answer of await Promise.all(others))
      assert.equal((JSON.parse(answer) as { Allow: boolean }).Allow, true);
    assert.deepEqual(answers, []);
    open();
    await stopped;
    rmSync(folder, { recursive: true });
  });
});
