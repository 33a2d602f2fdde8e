/** Joining over real TLS on loopback: who is let in, who is not, and that the secret goes to nobody else. */
import assert from "node:assert/strict";
import { createPublicKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, createServer as createTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { Node } from "../../core/model/resources.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { formatJoinLine, JOIN_NAME, type JoinLine, parseJoinLine } from "../../install/cluster/join-line.ts";
import { askToJoin } from "../../install/cluster/pinned.ts";
import { Authority } from "../../install/pki/authority.ts";
import { newKeyPair } from "../../install/pki/certificate.ts";
import type { Logger } from "../log.ts";
import { JoinService } from "./service.ts";

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const quiet = { info: () => {}, warn: () => {} } as unknown as Logger;
const spki = (): string => newKeyPair().publicKey.export({ type: "spki", format: "pem" });
const signal = new AbortController().signal;

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createTcp().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const h9: Node = {
  apiVersion: "projectcalico.org/v3",
  kind: "Node",
  metadata: { name: "h9" },
  spec: { addresses: [{ address: "10.0.0.9" }] },
};

async function cluster() {
  const folder = mkdtempSync(join(tmpdir(), "manx-join-"));
  folders.push(folder);
  const store = new MemoryStore();
  const service = new JoinService({
    store,
    nodes: () => [h9],
    addresses: () => ["127.0.0.1"],
    access: async () => ({ endpoints: ["https://10.0.0.1:2379"], own: true }),
    log: quiet,
    folder,
    port: await freePort(),
  });
  return { folder, store, service, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

function ask(line: JoinLine, more: Partial<Parameters<typeof askToJoin>[1]> = {}) {
  const now = new Date().toISOString();
  return askToJoin(line, { host: "h2", publicKey: spki(), addresses: ["10.0.0.2"], now, version: "1", ...more });
}

describe("join", () => {
  it("lets one host in, with a certificate for its own key that the CA signed", async () => {
    await using made = await cluster();
    const { line, token } = await made.service.create({ ttl: 600, etcd: false }, signal);
    const publicKey = spki();
    const { answer } = await ask(parseJoinLine(line), { publicKey });
    const certificate = new X509Certificate(answer.certificate);
    const ca = new X509Certificate(answer.ca);
    assert.ok(certificate.verify(ca.publicKey) && certificate.checkIssued(ca));
    assert.match(certificate.subject, /CN=h2/);
    assert.equal(
      certificate.publicKey.export({ type: "spki", format: "pem" }),
      createPublicKey(publicKey).export({ type: "spki", format: "pem" }),
    );
    assert.equal(answer.authorityKey, undefined, "the CA's key is only for members of etcd");
    assert.deepEqual(answer.store, { endpoints: ["https://10.0.0.1:2379"], own: true });
    const again = await ask(parseJoinLine(line), { publicKey });
    assert.ok(again.answer.certificate, "the same host may ask again, if the answer got lost");
    await assert.rejects(ask(parseJoinLine(line), { host: "h3" }), {
      code: "denied",
      message: /was used by host "h2"/,
    });
    await assert.rejects(ask(parseJoinLine(line)), /was used/, "the same name with another key is somebody else");
    assert.equal((await made.service.list(signal)).find(({ id }) => id === token.id)?.usedBy?.host, "h2");
    const kept = (await made.store.list("")).entries.map(({ value }) => value).join();
    assert.ok(!kept.includes(parseJoinLine(line).secret), "the store does not know the secret");
  });

  it("lets exactly one of many in who come at once", async () => {
    await using made = await cluster();
    const { line } = await made.service.create({ ttl: 600, etcd: false }, signal);
    const tries = Array.from({ length: 8 }, (_, i) =>
      ask(parseJoinLine(line), { host: `n${i}`, addresses: [`10.0.1.${i}`] }),
    );
    const settled = await Promise.allSettled(tries);
    assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 1);
  });

  it("refuses what the host can mend, and its token stays good", async () => {
    await using made = await cluster();
    const line = parseJoinLine((await made.service.create({ ttl: 600, etcd: false }, signal)).line);
    const late = new Date(Date.now() - 3_600_000).toISOString();
    await assert.rejects(ask(line, { now: late }), { code: "denied", message: /clock is 3600 s behind/ });
    await assert.rejects(ask(line, { now: "soon" }), /no.*time/);
    await assert.rejects(ask(line, { host: "h9" }), /there is a host "h9" already/);
    await assert.rejects(ask(line, { addresses: ["10.0.0.9"] }), /host "h9" has the address 10\.0\.0\.9/);
    await assert.rejects(ask(line, { addresses: [] }), /no address/);
    await assert.rejects(ask(line, { host: "../x" }), /no host name/);
    await assert.rejects(ask(line, { publicKey: "x" }), /not an ECDSA key/);
    await ask(line);
  });

  it("refuses a token that is wrong, removed, expired or for another host", async () => {
    await using made = await cluster();
    const { service } = made;
    const open = await service.create({ ttl: 600, etcd: false }, signal);
    const line = parseJoinLine(open.line);
    await assert.rejects(ask({ ...line, secret: "AAAAAAAAAAAAAAAAAAAAAA" }), /not known here/);
    await assert.rejects(ask({ ...line, id: "00000000" }), /not known here/);
    const bound = await service.create({ ttl: 600, host: "h9", etcd: true }, signal);
    await assert.rejects(ask(parseJoinLine(bound.line)), /is for host "h9"/);
    const back = await ask(parseJoinLine(bound.line), { host: "h9", addresses: ["10.0.0.9"] });
    assert.match(back.answer.authorityKey ?? "", /BEGIN PRIVATE KEY/);
    const short = await service.create({ ttl: -1, etcd: false }, signal);
    await assert.rejects(ask(parseJoinLine(short.line)), /expired at/);
    await service.remove(open.token.id, signal);
    await assert.rejects(ask(line), { code: "unavailable", message: /nobody listens there/ }, "no token, no door");
  });

  it("tells the secret to nobody who is not of the pinned CA", async () => {
    await using made = await cluster();
    const line = parseJoinLine((await made.service.create({ ttl: 600, etcd: false }, signal)).line);
    const folder = mkdtempSync(join(tmpdir(), "manx-join-"));
    folders.push(folder);
    const other = await Authority.ensure(folder);
    const { certificate, key } = other.issue("join", ["server"], [JOIN_NAME]);
    let heard = 0;
    const real = (await Authority.open(made.folder)).certificate;
    // It shows the right CA beside its own chain, and cannot use it.
    const impostor = createServer({ cert: certificate + real, key }, () => heard++).on("tlsClientError", () => {});
    await new Promise<void>((resolve) => impostor.listen(0, "127.0.0.1", () => resolve()));
    const endpoints = [`127.0.0.1:${(impostor.address() as AddressInfo).port}`];
    await assert.rejects(ask({ ...line, endpoints }));
    await assert.rejects(ask({ ...line, endpoints, fingerprint: "0".repeat(64) }), {
      code: "denied",
      message: /not of the cluster/,
    });
    assert.equal(heard, 0);
    impostor.closeAllConnections();
    await new Promise((resolve) => impostor.close(resolve));
  });

  it("a certificate of a host does not let hosts in", async () => {
    await using made = await cluster();
    const line = parseJoinLine((await made.service.create({ ttl: 600, etcd: false }, signal)).line);
    const authority = await Authority.open(made.folder);
    for (const { certificate, key } of [
      authority.issue("h2", ["client"]),
      authority.issue("etcd h2", ["server", "client"], ["h2"]),
    ]) {
      let heard = 0;
      const impostor = createServer({ cert: certificate + authority.certificate, key }, () => heard++).on(
        "tlsClientError",
        () => {},
      );
      await new Promise<void>((resolve) => impostor.listen(0, "127.0.0.1", () => resolve()));
      await assert.rejects(ask({ ...line, endpoints: [`127.0.0.1:${(impostor.address() as AddressInfo).port}`] }));
      assert.equal(heard, 0);
      impostor.closeAllConnections();
      await new Promise((resolve) => impostor.close(resolve));
    }
  });

  it("reads a line as it was printed, and no other text", () => {
    const line: JoinLine = { endpoints: ["[fd00::1]:7420"], fingerprint: "ab".repeat(32), id: "1", secret: "s" };
    assert.deepEqual(parseJoinLine(` ${formatJoinLine(line)}\n`), line);
    const pack = (value: unknown): string => `manx1.${Buffer.from(JSON.stringify(value)).toString("base64url")}`;
    const wrong = [
      "",
      "manx1",
      "manx1.",
      "manx2.e30",
      "manx1.e30",
      pack([]),
      pack([[], "", "", ""]),
      pack([["a"], "xx", "", ""]),
      pack(null),
    ];
    for (const text of [...wrong, formatJoinLine(line).slice(0, -8), "$(id)", "manx1.W1s.x"])
      assert.throws(() => parseJoinLine(text), { code: "invalid", message: /not a line of manx token create/ }, text);
  });
});
