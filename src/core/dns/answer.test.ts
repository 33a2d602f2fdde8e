import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as packet from "dns-packet";
import fc from "fast-check";
import type { Endpoint } from "../calc/snapshot.ts";
import { decide, reverseAddress } from "./answer.ts";
import { answersQuestion, encodeReply, parseQuery, type Query } from "./message.ts";
import { NameBook } from "./name-book.ts";

const HOST = "h1";

interface Row {
  readonly container: string;
  readonly network: string;
  readonly host?: string;
  readonly addresses: readonly string[];
  readonly aliases?: readonly string[];
}

function endpoint({ container, network, host = HOST, addresses, aliases = [] }: Row): Endpoint {
  return {
    id: `${host}/${container}/${network}/${addresses.join()}`,
    host,
    namespace: "default",
    container,
    network,
    aliases,
    addresses,
    labels: new Map(),
    profiles: [network],
    ports: [],
    published: [],
  };
}

function bookOf(...rows: readonly Row[]): NameBook {
  const book = new NameBook();
  book.take({ host: HOST, endpoints: rows.map(endpoint) });
  return book;
}

function ask(name: string, type: string, options: Partial<packet.Packet> = {}): Query {
  const message = packet.encode({
    id: 7,
    type: "query",
    flags: packet.RECURSION_DESIRED,
    questions: [{ name, type: type as packet.RecordType, class: "IN" }],
    ...options,
  });
  const parsed = parseQuery(new Uint8Array(message));
  assert.ok(parsed.kind === "query");
  return parsed.query;
}

/** `web A from 10.0.0.1`: what it is told, in words. */
function told(book: NameBook, name: string, type: string, from: string, turn = 0): string {
  const query = ask(name, type);
  const decision = decide(query, book.networksOf(from) ?? [], book, turn);
  if (decision.kind === "forward") return "forward";
  const { rcode, answers } = packet.decode(
    Buffer.from(encodeReply(query, decision.rcode, decision.records)),
  ) as packet.DecodedPacket & { readonly rcode: string };
  const words = (answers ?? []).map((answer) => {
    assert.equal(answer.name.toLowerCase(), name.toLowerCase());
    return `${answer.type} ${"data" in answer && typeof answer.data === "string" ? answer.data : "?"}`;
  });
  return [rcode, ...words].join(" ");
}

const book = bookOf(
  { container: "web", network: "apps", addresses: ["10.65.0.1", "fd00::1"], aliases: ["www", "Shop.Example"] },
  { container: "web", network: "front", addresses: ["10.65.0.2"] },
  { container: "db", network: "apps", host: "h2", addresses: ["10.65.1.1"], aliases: ["www"] },
  { container: "edge", network: "front", host: "h2", addresses: ["10.65.1.2", "fd00::2"] },
  { container: "spy", network: "other", addresses: ["10.65.0.9"] },
);

describe("what a container is told", () => {
  const table: readonly [string, string, string, string, string][] = [
    ["a name on another host", "db", "A", "10.65.0.1", "NOERROR A 10.65.1.1"],
    ["its own name", "web", "AAAA", "10.65.0.1", "NOERROR AAAA fd00::1"],
    ["from its IPv6 address", "db", "A", "fd00::1", "NOERROR A 10.65.1.1"],
    ["a name on its other network", "edge", "AAAA", "10.65.0.1", "NOERROR AAAA fd00::2"],
    ["a name without such an address: no error, no answer", "db", "AAAA", "10.65.0.1", "NOERROR"],
    ["a name without such a record", "db", "MX", "10.65.0.1", "NOERROR"],
    ["whatever the letter case", "Db", "A", "10.65.0.1", "NOERROR A 10.65.1.1"],
    ["an alias with dots", "shop.example", "A", "10.65.0.1", "NOERROR A 10.65.0.1"],
    ["with the network's name behind it", "db.apps", "A", "10.65.0.1", "NOERROR A 10.65.1.1"],
    ["with another network's name behind it", "db.front", "A", "10.65.0.1", "forward"],
    ["never a name across isolation", "db", "A", "10.65.0.9", "forward"],
    ["nor with the network's name", "db.apps", "A", "10.65.0.9", "forward"],
    ["nor to who is no container", "db", "A", "192.0.2.1", "forward"],
    ["nor to a container of another host", "web", "A", "10.65.1.1", "forward"],
    ["a name of nobody", "nobody", "A", "10.65.0.1", "forward"],
    ["a name by address", "1.1.65.10.in-addr.arpa", "PTR", "10.65.0.1", "NOERROR PTR db.apps"],
    ["an address of another network", "1.1.65.10.in-addr.arpa", "PTR", "10.65.0.9", "forward"],
    ["an address under another type", "1.1.65.10.in-addr.arpa", "A", "10.65.0.1", "NOERROR"],
    [
      "a name by IPv6 address",
      "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa",
      "PTR",
      "10.65.0.2",
      "NOERROR PTR edge.front",
    ],
    ["a zone transfer", "db", "AXFR", "10.65.0.1", "REFUSED"],
    ["everything of a foreign name", "example.com", "ANY", "10.65.0.1", "NOTIMP"],
  ];
  for (const [what, name, type, from, wanted] of table)
    it(what, () => assert.equal(told(book, name, type, from), wanted));

  it("the containers of an alias, each of them first in turn", () => {
    assert.equal(told(book, "www", "A", "10.65.0.1", 0), "NOERROR A 10.65.0.1 A 10.65.1.1");
    assert.equal(told(book, "www", "A", "10.65.0.1", 1), "NOERROR A 10.65.1.1 A 10.65.0.1");
  });

  it("ANY with one small record, as RFC 8482 has it", () => {
    assert.match(told(book, "db", "ANY", "10.65.0.1"), /^NOERROR HINFO/);
  });

  it("not more than 64 addresses of one alias", () => {
    const many = Array.from({ length: 200 }, (_, n) => ({
      container: `c${n}`,
      network: "apps",
      host: "h2",
      addresses: [`10.66.0.${n}`],
      aliases: ["many"],
    }));
    const crowd = bookOf({ container: "web", network: "apps", addresses: ["10.65.0.1"] }, ...many);
    assert.equal(told(crowd, "many", "A", "10.65.0.1").split(" A ").length - 1, 64);
  });

  it("forgets what has gone, and takes a new name at once", () => {
    const changing = new NameBook();
    const asker = endpoint({ container: "web", network: "apps", addresses: ["10.65.0.1"] });
    const db = endpoint({ container: "db", network: "apps", addresses: ["10.65.0.3"], aliases: ["sql"] });
    changing.take({ host: HOST, endpoints: [asker, db] });
    assert.equal(told(changing, "sql", "A", "10.65.0.1"), "NOERROR A 10.65.0.3");
    changing.take({ host: HOST, endpoints: [asker, { ...db, container: "store", aliases: [] }] });
    assert.equal(told(changing, "sql", "A", "10.65.0.1"), "forward");
    assert.equal(told(changing, "store", "A", "10.65.0.1"), "NOERROR A 10.65.0.3");
    changing.take({ host: HOST, endpoints: [asker] });
    assert.equal(told(changing, "store", "A", "10.65.0.1"), "forward");
    changing.take({ host: HOST, endpoints: [] });
    assert.equal(changing.size, 0);
    assert.equal(changing.networksOf("10.65.0.1"), undefined);
  });
});

describe("NameBook", () => {
  it("asks a snapshot in parts for them, never for all endpoints together: making that list costs what there is", () => {
    const own = [endpoint({ container: "web", network: "apps", addresses: ["10.65.0.1"] })];
    const remote = { version: 0, get: () => undefined, keys: () => [], changedSince: () => [] };
    const book = new NameBook();
    book.take({
      host: HOST,
      parts: { own, remote },
      get endpoints(): never {
        return assert.fail("made for nobody");
      },
    });
    assert.deepEqual(book.find("apps", "web"), own);
  });
});

describe("any world of containers", () => {
  const names = fc.constantFrom("a", "b", "a.b", "x.n1", "n1");
  const rows = fc.array(
    fc.record({
      container: names,
      network: fc.constantFrom("n1", "n2", "b", "n3"),
      host: fc.constantFrom("h1", "h2"),
      aliases: fc.array(names, { maxLength: 2 }),
    }),
    { maxLength: 12 },
  );
  const world = rows.map((all) =>
    all.map((row, n) => endpoint({ ...row, addresses: [`10.0.0.${n + 1}`, `fd00::${n + 1}`] })),
  );

  it("tells only of containers that share a network with the asker, by the names that they have there", () => {
    fc.assert(
      fc.property(world, world, names, fc.boolean(), (before, after, name, pointer) => {
        const book = new NameBook();
        book.take({ host: HOST, endpoints: before });
        book.take({ host: HOST, endpoints: after });
        for (const asker of after) {
          const from = asker.addresses[0] ?? "";
          const own =
            asker.host === HOST ? after.filter((e) => e.host === HOST && e.container === asker.container) : [];
          const networks = new Set(own.map(({ network }) => network));
          if (pointer) {
            for (const [n, other] of after.entries()) {
              const said = told(book, `${n + 1}.0.0.10.in-addr.arpa`, "PTR", from);
              const wanted = `NOERROR PTR ${other.container}.${other.network}`;
              assert.equal(said, networks.has(other.network) ? wanted : "forward");
            }
            continue;
          }
          const said = told(book, name, "A", from);
          const here = [...networks].flatMap((network) => {
            const called = (wanted: string): Endpoint[] =>
              after.filter((e) => e.network === network && [e.container, ...(e.aliases ?? [])].includes(wanted));
            const plain = called(name);
            return plain.length > 0 || !name.endsWith(`.${network}`)
              ? plain
              : called(name.slice(0, -network.length - 1));
          });
          const wanted = here.map(({ addresses }) => `A ${addresses[0]}`).toSorted();
          assert.deepEqual(
            said === "forward" ? [] : (said.match(/A \S+/g) ?? []).toSorted(),
            [...new Set(wanted)],
            `${name} from ${from}`,
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("a DNS message", () => {
  it("of any octets is refused, dropped or understood, and what is answered decodes", () => {
    const valid = fc
      .record({ name: fc.domain(), type: fc.constantFrom("A", "AAAA", "ANY", "PTR") })
      .map(({ name, type }) =>
        packet.encode({ type: "query", id: 1, questions: [{ name, type: type as packet.RecordType }] }),
      );
    const broken = fc
      .tuple(valid, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 }), fc.nat(80))
      .map(([message, changes, cut]) => {
        const copy = Uint8Array.from(message);
        for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
        return copy.subarray(0, Math.max(0, copy.length - (cut > 40 ? 0 : cut)));
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), broken), (message) => {
        const parsed = parseQuery(message);
        if (parsed.kind === "nothing") return;
        if (parsed.kind === "refusal") return void packet.decode(Buffer.from(parsed.reply));
        const { query } = parsed;
        const decision = decide(query, ["apps"], book, 0);
        const [rcode, records] = decision.kind === "reply" ? [decision.rcode, decision.records] : [2 as const, []];
        const reply = encodeReply(query, rcode, records, { most: query.size });
        assert.ok(reply.length <= query.size);
        assert.ok(answersQuestion(reply, query.id, query.question));
        packet.decode(Buffer.from(reply));
      }),
      { numRuns: 2000 },
    );
  });

  it("with a compression pointer in its question, or a loop of them, is malformed", () => {
    for (const name of [
      [0xc0, 12],
      [1, 97, 0xc0, 12],
      [0xc0, 0xff],
      [64, 97],
    ]) {
      const parsed = parseQuery(new Uint8Array([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...name, 0, 0, 1, 0, 1]));
      assert.ok(parsed.kind === "refusal");
      assert.equal((parsed.reply[3] ?? 0) & 15, 1);
    }
  });

  it("keeps the letter case of the question, whose answer is checked by it", () => {
    const query = ask("dB.aPPs", "A");
    const decoded = packet.decode(Buffer.from(encodeReply(query, 0, [])));
    assert.equal(decoded.questions?.[0]?.name, "dB.aPPs");
  });

  it("too long for UDP is cut whole and says so; EDNS makes room, within bounds", () => {
    const records = Array.from({ length: 60 }, (_, n) => ({ type: 1, ttl: 5, data: new Uint8Array([10, 0, 0, n]) }));
    const decoded = (query: Query): packet.DecodedPacket =>
      packet.decode(Buffer.from(encodeReply(query, 0, records, { most: query.size })));
    const plain = decoded(ask("many", "A"));
    assert.ok(plain.flag_tc && plain.answers?.length === 0);
    const wide = ask("many", "A", {
      additionals: [
        { type: "OPT", name: ".", udpPayloadSize: 65_000, flags: 0, options: [] } as unknown as packet.Answer,
      ],
    });
    assert.equal(wide.size, 1232);
    assert.equal(decoded(wide).answers?.length, 60);
    assert.equal(decoded(wide).additionals?.[0]?.type, "OPT");
  });

  it("of another class, opcode or with no question is not answered", () => {
    const header = (flags: number, questions: number): number[] => [0, 1, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0];
    const rcode = (...bytes: number[]): number | undefined => {
      const parsed = parseQuery(new Uint8Array(bytes));
      return parsed.kind === "refusal" ? (parsed.reply[3] ?? 0) & 15 : undefined;
    };
    assert.equal(rcode(...header(1, 1), 1, 97, 0, 0, 1, 0, 3), 5);
    assert.equal(rcode(...header(0x29, 1), 1, 97, 0, 0, 1, 0, 1), 4);
    assert.equal(rcode(...header(1, 0)), 1);
    assert.equal(parseQuery(new Uint8Array(header(0x81, 1))).kind, "nothing");
  });
});

describe("an address in a name", () => {
  for (const [name, wanted] of [
    ["4.3.2.1.in-addr.arpa", "1.2.3.4"],
    ["04.3.2.1.in-addr.arpa", undefined],
    ["256.3.2.1.in-addr.arpa", undefined],
    ["3.2.1.in-addr.arpa", undefined],
    ["1.ip6.arpa", undefined],
    ["in-addr.arpa", undefined],
  ] as const)
    it(`${name}: ${wanted ?? "none"}`, () => assert.equal(reverseAddress(name), wanted));
});
