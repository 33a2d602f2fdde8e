import assert from "node:assert/strict";
import { it } from "node:test";
import { InterfaceReturn, type InterfaceReturnOptions } from "./interface-return.ts";

/** The other end of the endpoint's pair waits in the host's namespace; `age`: of the endpoint, in milliseconds. */
function look(age: number, joined = true): string[] {
  const id = "a".repeat(64);
  const said: string[] = [];
  const endpoint = { id, networkId: "n", joined, sandbox: "/nowhere", addresses: ["10.65.0.2"] };
  const options = {
    state: {
      endpoints: new Map([[id, { ...endpoint, createdAt: new Date(Date.now() - age).toISOString() }]]),
      networks: new Map(),
    },
    kernel: {
      rtnetlink: { links: () => [{ name: `mxp${id.slice(0, 11)}` }], link: () => ({ index: 7 }) },
      moveLink: () => said.push("moved"),
    },
    log: { info: () => said.push("returned"), warn: () => said.push("tried") },
    onReturned: () => {},
  };
  new InterfaceReturn(options as unknown as InterfaceReturnOptions).look();
  return said;
}

it("an interface that Docker may be about to take is left alone", () => {
  assert.deepEqual(look(1000), []);
  assert.deepEqual(look(3_600_000, false), []);
  assert.deepEqual(look(3_600_000), ["tried"], "into a namespace that is not there");
});
