import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { request } from "./transport.ts";

async function send(portions: readonly string[], socket: Socket): Promise<void> {
  for (const portion of portions) {
    socket.write(portion);
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end();
}

describe("HTTP over a unix socket", () => {
  let folder = "";
  let server: Server;
  /** What the server answers, in these portions, then ends the connection. */
  let portions: readonly string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "manx-http-"));
    server = createServer((socket) => {
      socket.on("error", () => {}).resume();
      void send(portions, socket);
    });
    await new Promise<void>((resolve) => server.listen(join(folder, "s"), resolve));
  });
  after(async () => {
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true });
  });

  async function read(...answer: readonly string[]): Promise<[number, string]> {
    portions = answer;
    const { status, body } = await request({
      socketPath: join(folder, "s"),
      method: "GET",
      path: "/",
      timeout: 20_000,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return [status, Buffer.concat(chunks).toString()];
  }
  const HEAD = "HTTP/1.1 200 OK\r\n";

  it("reads bodies with a length, in chunks, and up to the end of the connection", async () => {
    assert.deepEqual(await read(`${HEAD}Content-Length: 5\r\n\r\nhello, and more`), [200, "hello"]);
    assert.deepEqual(
      await read(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n`),
      [200, "abc0123456789"],
    );
    assert.deepEqual(await read("HTTP/1.1 404 \r\n\r\nto the end"), [404, "to the end"]);
    assert.deepEqual(await read(`${HEAD}content-length: 0\r\n\r\n`), [200, ""]);
  });

  it("refuses what is no HTTP or ends too early", async () => {
    const broken = [
      ["hello\r\n\r\n", "EPROTO"],
      ["HTTP/2 200\r\n\r\n", "EPROTO"],
      [`${HEAD}transfer-encoding: chunked\r\n\r\nxyz\r\n`, "EPROTO"],
      ["", "ECONNRESET"],
      [HEAD, "ECONNRESET"],
      [`${HEAD}content-length: 5\r\n\r\nhel`, "ECONNRESET"],
      [`${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nhel`, "ECONNRESET"],
    ] as const;
    for (const [answer, code] of broken)
      await assert.rejects(read(answer), (error: NodeJS.ErrnoException) => error.code === code, answer);
  });

  it("reads the same however the bytes are cut", async () => {
    const text = fc.string({ unit: fc.constantFrom("a", "\r", "\n", "0", ";"), maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { maxLength: 4 }),
        fc.array(fc.nat(200), { maxLength: 6 }),
        async (chunks, cuts) => {
          const body = chunks
            .filter((chunk) => chunk !== "")
            .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
          const whole = `${HEAD}transfer-encoding: chunked\r\n\r\n${body.join("")}0\r\n\r\n`;
          const places = [0, ...cuts.map((cut) => cut % whole.length).sort((a, b) => a - b), whole.length];
          const cut = places.slice(1).map((end, index) => whole.slice(places[index], end));
          assert.deepEqual(await read(...cut), [200, chunks.join("")]);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("ends with its signal", async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(request({ socketPath: join(folder, "s"), method: "GET", path: "/", signal }));
  });
});
