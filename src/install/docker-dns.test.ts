import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { withOurDns, withoutOurDns } from "./docker-dns.ts";

const US = "169.254.1.1";
const parsed = (text: string | undefined): unknown => JSON.parse(text ?? "null");

describe("Docker's daemon.json", () => {
  it("is made where there is none, with the host's resolvers behind us", () => {
    assert.deepEqual(parsed(withOurDns(undefined, ["192.0.2.53"])), { dns: [US, "192.0.2.53"] });
  });

  it("keeps what it has, the user's resolvers and its indentation", () => {
    const text = '{\n    "mtu": 1400,\n    "dns": ["192.0.2.1"]\n}';
    const ours = withOurDns(text, ["192.0.2.53"]) ?? "";
    assert.deepEqual(parsed(ours), { mtu: 1400, dns: [US, "192.0.2.1"] });
    assert.match(ours, /^ {4}"mtu"/m);
  });

  it("is left alone where we are named already", () => {
    assert.equal(withOurDns(`{"dns": ["${US}"]}`, ["192.0.2.53"]), undefined);
  });

  for (const text of ["{", "[]", "null", '"x"', '{"dns": "192.0.2.1"}', '{"dns": [1]}', '{"a": 1, // comment\n}'])
    it(`is refused and not touched when it is ${text}`, () => {
      assert.throws(() => withOurDns(text, []), /Cannot (read|change) \/etc\/docker\/daemon\.json/);
    });

  it("is byte for byte what it was, after all", () => {
    const users = fc.dictionary(fc.string(), fc.jsonValue()).map(({ dns: _dns, ...rest }) => rest);
    fc.assert(
      fc.property(users, fc.option(fc.array(fc.ipV4(), { maxLength: 3 }), { nil: undefined }), (rest, dns) => {
        const before = JSON.stringify({ ...rest, ...(dns !== undefined && { dns: dns.filter((one) => one !== US) }) });
        const written = withOurDns(before, ["192.0.2.53"]);
        assert.ok(written !== undefined);
        assert.equal(withoutOurDns(written, { before, written, added: ["192.0.2.53"] }), before);
      }),
    );
  });

  it("loses only what we put in, where somebody has changed it since", () => {
    const now = JSON.stringify({ mtu: 1400, dns: [US, "192.0.2.53", "192.0.2.7"] });
    const left = withoutOurDns(now, { before: null, written: "another text", added: ["192.0.2.53"] });
    assert.deepEqual(parsed(left), { mtu: 1400, dns: ["192.0.2.7"] });
    assert.deepEqual(parsed(withoutOurDns(JSON.stringify({ dns: [US] }), undefined)), {});
  });

  it("was not there before, and is not there again", () => {
    const written = withOurDns(undefined, []) ?? "";
    assert.equal(withoutOurDns(written, { before: null, written, added: [] }), undefined);
  });
});
