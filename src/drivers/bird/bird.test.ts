import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DriverError } from "../error.ts";
import { type Reply, ReplyParser, refusal } from "./control.ts";
import { withLastWords } from "./log.ts";
import { parseSessions } from "./protocols.ts";
import { parseRoutes } from "./routes.ts";

describe("answers of BIRD's control socket", () => {
  const text = "0001 BIRD 2.0.12 ready.\n1002-a  BGP\n b  BGP\n1006-  x\n+a log line\n0000 \n8002 no\n";
  const expected: Reply[] = [
    [{ code: 1, text: "BIRD 2.0.12 ready." }],
    [
      { code: 1002, text: "a  BGP" },
      { code: 1002, text: "b  BGP" },
      { code: 1006, text: "  x" },
      { code: 0, text: "" },
    ],
    [{ code: 8002, text: "no" }],
  ];
  it("are read however the bytes are cut", () => {
    for (let size = 1; size <= text.length; size++) {
      const parser = new ReplyParser();
      const got: Reply[] = [];
      for (let at = 0; at < text.length; at += size) got.push(...parser.push(text.slice(at, at + size)));
      assert.deepEqual(got, expected, `in pieces of ${size}`);
    }
  });
  it("are refused where they are no such thing", () => {
    for (const bad of ["HTTP/1.1 400\n", "\n", "12 x\n", " early\n"])
      assert.throws(() => new ReplyParser().push(bad), DriverError, JSON.stringify(bad));
  });
  it("tell a refusal from a success", () => {
    assert.deepEqual(expected.map(refusal), [undefined, undefined, "no"]);
  });
});

const line = (code: number) => (text: string) => ({ code, text });
const SESSIONS: Reply = [
  { code: 2002, text: "Name       Proto      Table      State  Since         Info" },
  { code: 1002, text: "manx_kernel4 Kernel     master4    up     2026-11-27 17:09:08  " },
  ...["  Channel ipv4", "    State:          UP"].map(line(1006)),
  { code: 1002, text: "peer-10.0.0.2 BGP        ---        up     2026-11-27 17:09:09  Established   " },
  ...[
    "  BGP state:          Established",
    "    Neighbor address: 10.0.0.2",
    "    Local capabilities",
    "      Multiprotocol",
    "        AF announced: ipv4 ipv6",
    "    Neighbor capabilities",
    "      Multiprotocol",
    "        AF announced: ipv6",
    "  Channel ipv4",
    "    State:          DOWN",
    "  Channel ipv6",
    "    State:          UP",
    "    Routes:         3 imported, 2 filtered, 1 exported, 3 preferred",
    "",
  ].map(line(1006)),
  {
    code: 1002,
    text: "peer-10.0.0.3 BGP        ---        start  2026-11-27 17:09:08  Active        Socket: Connection refused",
  },
  ...["  BGP state:          Active", "    Last error:       Socket: Connection refused"].map(line(1006)),
  { code: 0, text: "" },
];

describe("what BIRD says of", () => {
  it("sessions: state, families on offer, routes by family", () => {
    const found = parseSessions(SESSIONS);
    assert.deepEqual([...found.keys()], ["peer-10.0.0.2", "peer-10.0.0.3"]);
    assert.deepEqual(found.get("peer-10.0.0.2"), {
      state: "Established",
      since: "2026-11-27 17:09:09",
      peerFamilies: [6],
      channels: [
        { family: 4, isUp: false, accepted: 0, refused: 0, announced: 0 },
        { family: 6, isUp: true, accepted: 3, refused: 2, announced: 1 },
      ],
    });
    assert.equal(found.get("peer-10.0.0.3")?.lastError, "Socket: Connection refused");
  });
  it("the end of a session: the log's reason counts, if it is from now", () => {
    const down = {
      state: "Active",
      since: "2026-11-27 17:33:53",
      peerFamilies: [],
      channels: [],
      lastError: "Socket: x",
    };
    const log = (time: string, words: string) => `2026-11-27 ${time} <RMT> peer-10.0.0.2: ${words}\n`;
    const of = (text: string) => withLastWords(down, "peer-10.0.0.2", text).lastError;
    assert.equal(of(log("17:33:53.710", "Error: Bad peer AS: 65100")), "Error: Bad peer AS: 65100");
    assert.equal(of(log("17:33:52.710", "Error: Bad peer AS: 65100")), "Socket: x");
    assert.equal(
      of(log("17:33:54.000", "Error: Bad peer AS: 1") + log("17:33:55.000", "Started")),
      "Error: Bad peer AS: 1",
    );
    assert.equal(of(log("17:33:54.000", "Error: y").replace("10.0.0.2", "10.0.0.22")), "Socket: x");
  });
  it("routes: several ways to one prefix, next hops, attributes", () => {
    const routes = parseRoutes([
      { code: 1007, text: "Table master4:" },
      { code: 1007, text: "10.99.0.0/16         unicast [peer-10.0.0.2 17:09:09.627] * (100) [AS65001i]" },
      { code: 1007, text: "\tvia 10.0.0.2 on eth0" },
      { code: 1008, text: "\tType: BGP univ" },
      { code: 1012, text: "\tBGP.as_path: 65001" },
      {
        code: 1007,
        text: "                     unreachable [peer-10.0.0.3 17:09:09.627 from 10.0.0.3] (100) [AS65002i]",
      },
      { code: 1007, text: "" },
      { code: 0, text: "" },
    ]);
    assert.deepEqual(routes, [
      {
        prefix: "10.99.0.0/16",
        kind: "unicast",
        protocol: "peer-10.0.0.2",
        isBest: true,
        nextHops: ["via 10.0.0.2 on eth0"],
        attributes: { "BGP.as_path": "65001" },
      },
      {
        prefix: "10.99.0.0/16",
        kind: "unreachable",
        protocol: "peer-10.0.0.3",
        isBest: false,
        nextHops: [],
        attributes: {},
      },
    ]);
  });
});
