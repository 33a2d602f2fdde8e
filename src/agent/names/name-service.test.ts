import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import * as packet from "dns-packet";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import { DnsListener, framed } from "../../drivers/dns/listener.ts";
import { NameService } from "./name-service.ts";

const ADDRESS = "127.0.0.1";

function endpoint(container: string, network: string, address: string, host = "h1"): Endpoint {
  return {
    id: `${container}-${network}`,
    host,
    namespace: "default",
    container,
    network,
    addresses: [address],
    labels: new Map(),
    profiles: [network],
    ports: [],
    published: [],
  };
}

const question = (name: string, type: packet.RecordType = "A", id = 4711): Buffer =>
  packet.encode({ type: "query", id, flags: packet.RECURSION_DESIRED, questions: [{ name, type }] });

/** Asks from the address of a container; undefined: no answer within a second. */
async function udp(
  port: number,
  from: string,
  message: Uint8Array,
  wait = 1000,
): Promise<packet.DecodedPacket | undefined> {
  const socket = createSocket("udp4");
  try {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), wait);
      socket.once("message", (reply) => {
        clearTimeout(timer);
        resolve(packet.decode(reply));
      });
      socket.bind(0, from, () => socket.send(message, port, ADDRESS));
    });
  } finally {
    socket.close();
  }
}

function tcp(port: number, from: string, octets: Uint8Array): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connect({ host: ADDRESS, port, localAddress: from });
    const chunks: Buffer[] = [];
    socket.on("data", (data: Buffer) => {
      chunks.push(data);
      const all = Buffer.concat(chunks);
      if (all.length >= 2 && all.length >= 2 + all.readUInt16BE(0)) socket.destroy();
    });
    socket.once("error", () => {});
    socket.once("close", () => resolve(Buffer.concat(chunks)));
    socket.write(octets);
  });
}

const whole = (octets: Buffer): packet.DecodedPacket => packet.streamDecode(octets) as packet.DecodedPacket;

describe("the name service", () => {
  let service: NameService;
  let upstream: DnsListener;
  let port = 0;
  const asked: string[] = [];
  const outcomes: unknown[] = [];

  before(async () => {
    upstream = await DnsListener.open({
      address: "127.0.0.5",
      port: 0,
      answer: async ({ message, transport }) => {
        const { id, questions } = packet.decode(Buffer.from(message));
        const [first] = questions ?? [];
        const name = first?.name ?? "";
        asked.push(`${transport} ${name}`);
        if (name === "silent.example") return undefined;
        if (name === "liar.example")
          return packet.encode({ type: "response", id: ((id ?? 0) + 1) & 0xffff, questions: [] });
        const count = name === "big.example" ? 60 : 1;
        const answers = Array.from({ length: count }, (_, n) => ({
          type: "A" as const,
          name,
          data: `192.0.2.${n + 1}`,
        }));
        return packet.encode({ type: "response", id: id ?? 0, questions: questions ?? [], answers });
      },
    });
    service = new NameService({
      address: ADDRESS,
      port: 0,
      resolvers: async () => [ADDRESS, "127.0.0.5"],
      resolverPort: upstream.port,
      isNear: (address) => address === "127.0.0.9",
      onOutcome: (error) => outcomes.push(error),
    });
    const spec = { isolation: "network", internal: true } as never;
    service.take({
      host: "h1",
      networks: [{ apiVersion: "manx/v1", kind: "Network", metadata: { name: "inner" }, spec }],
      endpoints: [
        endpoint("web", "apps", "127.0.0.2"),
        endpoint("db", "apps", "10.65.1.1", "h2"),
        endpoint("shut", "inner", "127.0.0.3"),
        endpoint("peer", "inner", "10.65.1.2", "h2"),
      ],
    });
    while (!service.isOpen) await new Promise((resolve) => setTimeout(resolve, 5));
    port = service.port ?? 0;
  });
  after(async () => {
    await service[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  const first = (reply: packet.DecodedPacket | undefined): unknown =>
    (reply?.answers?.[0] as { data?: unknown } | undefined)?.data;
  const rcode = (reply: packet.DecodedPacket | undefined): unknown => (reply as { rcode?: unknown } | undefined)?.rcode;

  it("answers a container by UDP and by TCP, as an authority", async () => {
    const reply = await udp(port, "127.0.0.2", question("db"));
    assert.equal(first(reply), "10.65.1.1");
    assert.ok(reply?.flag_aa);
    assert.equal(reply?.id, 4711);
    assert.equal(first(whole(await tcp(port, "127.0.0.2", framed(question("db"))))), "10.65.1.1");
  });

  it("passes on what is not ours, with the asker's ID and to no resolver that is itself", async () => {
    asked.length = 0;
    const reply = await udp(port, "127.0.0.2", question("www.example"));
    assert.equal(first(reply), "192.0.2.1");
    assert.equal(reply?.id, 4711);
    assert.equal(first(whole(await tcp(port, "127.0.0.2", framed(question("www.example"))))), "192.0.2.1");
    assert.deepEqual(asked, ["udp www.example", "tcp www.example"]);
  });

  it("says what no resolver answers, or answers with another question, as a failure", async () => {
    const [silent, liar] = await Promise.all(
      ["silent.example", "liar.example"].map((name) => udp(port, "127.0.0.2", question(name), 5000)),
    );
    assert.equal(rcode(silent), "SERVFAIL");
    assert.equal(rcode(liar), "SERVFAIL");
  });

  it("tells who gets too much by UDP to come by TCP", async () => {
    const reply = await udp(port, "127.0.0.2", question("big.example"));
    assert.ok(reply?.flag_tc);
    assert.equal(reply?.answers?.length, 0);
    const all = whole(await tcp(port, "127.0.0.2", framed(question("big.example"))));
    assert.equal(all.answers?.length, 60);
  });

  it("knows names of an internal network and passes nothing on for it", async () => {
    asked.length = 0;
    assert.equal(first(await udp(port, "127.0.0.3", question("peer"))), "10.65.1.2");
    assert.equal(rcode(await udp(port, "127.0.0.3", question("www.example"))), "NXDOMAIN");
    assert.deepEqual(asked, []);
  });

  it("tells a stranger nothing, and passes his questions on only if he is near", async () => {
    assert.equal(rcode(await udp(port, "127.0.0.8", question("db"))), "REFUSED");
    assert.equal(first(await udp(port, "127.0.0.9", question("db"))), "192.0.2.1");
  });

  it("survives nonsense, and takes no more than its share from one asker", async () => {
    const flood = createSocket("udp4");
    await new Promise<void>((resolve) => flood.bind(0, "127.0.0.7", resolve));
    for (let n = 0; n < 3000; n++)
      flood.send(
        Uint8Array.from({ length: n % 90 }, (_, i) => (n * 31 + i * 7) & 0xff),
        port,
        ADDRESS,
      );
    await tcp(port, "127.0.0.7", Buffer.from([0xff, 0xff, 1, 2, 3]));
    const closed = await tcp(port, "127.0.0.7", Buffer.from([0, 3, 1, 2, 3]));
    assert.equal(closed.length, 0);
    flood.close();
    assert.equal(first(await udp(port, "127.0.0.2", question("db"))), "10.65.1.1");
  });

  it("says who has the port, and nothing else breaks", async () => {
    const second: unknown[] = [];
    await using other = new NameService({
      address: ADDRESS,
      port,
      resolvers: async () => [],
      isNear: () => false,
      onOutcome: (error) => second.push(error),
    });
    other.take({ host: "h1", networks: [], endpoints: [] });
    while (second.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.match(String(second[0]), /another program has it/);
    assert.deepEqual(outcomes, [undefined]);
  });
});
