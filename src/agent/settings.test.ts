import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentOptions } from "./options.ts";
import { hostSettings } from "./settings.ts";

const IPV4 = "net/ipv4/ip_forward";
const IPV6 = "net/ipv6/conf/all/forwarding";

/** What is guarded at the first start of an agent, and after a restart, when all is forwarded. */
function guarded(before: Readonly<Record<string, string>>, originals: Readonly<Record<string, string>> = {}) {
  const kept = new Map<string, string>();
  const state = {
    meta: (key: string) => kept.get(key),
    setMeta: (key: string, value: string) => void kept.set(key, value),
  };
  const given = { get: (path: string) => originals[path] };
  const at = (sysctls: Readonly<Record<string, string>>) =>
    hostSettings(agentOptions({}), state, given, (path) => sysctls[path])([]).guardForwarding;
  return [at(before), at({ [IPV4]: "1", [IPV6]: "1" })];
}

describe("forwarding that Manx switched on", () => {
  for (const [name, before, families] of [
    ["on a host that forwarded nothing", { [IPV4]: "0", [IPV6]: "0" }, [4, 6]],
    ["where Docker forwards IPv4 alone", { [IPV4]: "1", [IPV6]: "0" }, [6]],
    ["on a router", { [IPV4]: "1", [IPV6]: "1" }, []],
    ["without IPv6", { [IPV4]: "1" }, [6]],
  ] as const)
    it(`is guarded ${name}, after a restart too`, () => assert.deepEqual(guarded(before), [families, families]));

  it("is guarded where an agent before this one switched it on", () =>
    assert.deepEqual(guarded({ [IPV4]: "1", [IPV6]: "1" }, { [IPV6]: "0" })[0], [6]));
});
