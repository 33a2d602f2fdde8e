import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatListenAddress, isLoopback, isOurHost } from "./address.ts";
import { Gate } from "./gate.ts";
import { isSession, makeSession, newToken, SESSION_LENGTH } from "./sessions.ts";

const TOKEN = newToken();
const ORIGIN = "http://127.0.0.1:7441";

function gate(
  now = () => 0,
): (method: string, path: string, headers?: Record<string, string>, body?: string) => Promise<Response> {
  const made = new Gate({
    api: { fetch: (request) => new Response(`api ${request.method} ${new URL(request.url).pathname}`) },
    page: { answer: (path) => Promise.resolve(path === "/" ? new Response("page") : undefined) },
    token: () => Promise.resolve(TOKEN),
    names: ["h1"],
    secure: false,
    now,
  });
  return (method, path, headers = {}, body) =>
    made.answer(
      new Request(ORIGIN + path, {
        method,
        headers: { host: "127.0.0.1:7441", ...headers },
        ...(body !== undefined && { body }),
      }),
      "192.0.2.1",
    );
}

const cookie = (now = 0): Record<string, string> => ({ cookie: `other=1; manx-7441=${makeSession(TOKEN, now)}` });

describe("gate", () => {
  it("serves the page to everybody, and the API to who is logged in", async () => {
    const ask = gate();
    assert.equal(await (await ask("GET", "/")).text(), "page");
    for (const path of ["/v1/status", "/openapi.json", "/v1/flows/follow"]) {
      assert.equal((await ask("GET", path)).status, 401, path);
      assert.equal((await ask("GET", path, cookie())).status, 200, path);
      assert.equal((await ask("GET", path, { authorization: `Bearer ${TOKEN}` })).status, 200, path);
    }
  });

  it("sells a cookie for the token, and none for anything else", async () => {
    const ask = gate();
    const response = await ask("POST", "/login", { origin: ORIGIN }, `${TOKEN}\n`);
    assert.match(
      response.headers.get("set-cookie") ?? "",
      /^manx-7441=[\w.-]+; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    const session = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    assert.equal((await ask("GET", "/v1/status", { cookie: session })).status, 200);
    for (const wrong of ["", "x", TOKEN.slice(1), `${TOKEN}x`, "x".repeat(5000)])
      assert.equal((await ask("POST", "/login", { origin: ORIGIN }, wrong)).status, 401, wrong.slice(0, 50));
  });

  it("turns away names that are not this host's, before anything else", async () => {
    const ask = gate();
    for (const host of ["evil.example", "evil.example:7441", "127.0.0.1.evil.example", "h1.evil", "", "a b"])
      assert.equal((await ask("GET", "/v1/status", { ...cookie(), host })).status, 421, host);
    assert.equal((await ask("GET", "/", { host: "h1:7441" })).status, 200);
  });

  it("turns away what pages of others send, also with a cookie", async () => {
    const ask = gate();
    const status = async (method: string, headers: Record<string, string>): Promise<number> =>
      (await ask(method, "/v1/change", { ...cookie(), ...headers })).status;
    assert.equal(await status("POST", { origin: ORIGIN }), 200);
    assert.equal(await status("POST", {}), 403);
    assert.equal(await status("POST", { origin: "http://evil.example" }), 403);
    assert.equal(await status("POST", { origin: "null" }), 403);
    assert.equal(await status("POST", { origin: "http://127.0.0.1:8080" }), 403);
    assert.equal(await status("GET", { "sec-fetch-site": "cross-site" }), 403);
    assert.equal(await status("GET", { "sec-fetch-site": "same-site" }), 403);
  });

  it("bounds how often one address may be wrong, and forgets after a minute", async () => {
    let now = 0;
    const ask = gate(() => now);
    const login = async (token: string): Promise<number> => (await ask("POST", "/login", {}, token)).status;
    for (let i = 0; i < 10; i++) assert.equal(await login("wrong"), 401);
    assert.equal(await login("wrong"), 429);
    assert.equal(await login(TOKEN), 429);
    assert.equal((await ask("GET", "/v1/status", { authorization: "Bearer wrong" })).status, 429);
    assert.equal((await ask("GET", "/v1/status", cookie())).status, 200);
    now = 60_000;
    assert.equal(await login(TOKEN), 204);
  });

  it("gives every answer a strict content security policy", async () => {
    for (const path of ["/", "/v1/status", "/nothing"]) {
      const { headers } = await gate()("GET", path);
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self'/);
      assert.equal(headers.get("x-frame-options"), "DENY");
    }
  });
});

describe("session", () => {
  it("ends in time, and is worth nothing with another token or another end", () => {
    const session = makeSession(TOKEN, 1_000);
    assert.ok(isSession(session, TOKEN, 1_000));
    assert.ok(!isSession(session, TOKEN, 1_000 + SESSION_LENGTH));
    assert.ok(!isSession(session, newToken(), 1_000));
    assert.ok(!isSession(session.replace(/^\d+/, "9999999999999"), TOKEN, 1_000));
    for (const text of ["", ".", "..", "1.a.b", `${session}x`]) assert.ok(!isSession(text, TOKEN, 0), text);
  });
});

describe("listen address", () => {
  it("is loopback or not, and is told from names of others", () => {
    assert.equal(formatListenAddress({ address: "::1", port: 1 }), "[::1]:1");
    const loopback = ["127.0.0.9", "::1", "0.0.0.0", "::"].map((address) => isLoopback({ address, port: 1 }));
    assert.deepEqual(loopback, [true, true, false, false]);
    assert.ok(isOurHost("[fd00::1]:7441", []) && !isOurHost("[evil]:1", []));
  });
});
