import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "./config-text.ts";
import { agentOptions } from "./options.ts";

const HOST = { MANX_HOST: "H1" };

describe("options that a FelixConfiguration may not change", () => {
  it("are those that somebody gave", () => {
    const given = (env: Record<string, string>, text = "") => [
      ...agentOptions({ ...HOST, ...env }, parseConfig(text, "x").config).given,
    ];
    assert.deepEqual(given({ MANX_FAILSAFE_IN: " " }), []);
    assert.deepEqual(given({ MANX_FAILSAFE_IN: "none", MANX_FAILSAFE_OUT: "udp:53" }), ["inbound", "outbound"]);
    assert.deepEqual(given({ MANX_ENDPOINT_TO_HOST: "restricted" }), ["endpointToHost"]);
    assert.deepEqual(given({}, "endpointToHost: deny"), ["endpointToHost"]);
  });
});

describe("options of the dashboard", () => {
  it("listens on loopback, elsewhere, or not at all", () => {
    const of = (env: Record<string, string>, text = "") =>
      agentOptions({ ...HOST, ...env }, parseConfig(text, "x").config).ui;
    assert.deepEqual(of({}), { address: { address: "127.0.0.1", port: 7441 }, names: ["h1"] });
    assert.equal(of({ MANX_UI: "off" }), undefined);
    assert.equal(of({}, 'ui: "off"'), undefined);
    assert.deepEqual(of({}, "ui: {address: '[::1]:8000', names: [Dash.example]}"), {
      address: { address: "::1", port: 8000 },
      names: ["dash.example", "h1"],
    });
  });

  it("wants TLS beyond loopback, and opens the port for good there", () => {
    const files = { MANX_UI_CERT_FILE: "/c", MANX_UI_KEY_FILE: "/k" };
    const open = (env: Record<string, string>): boolean =>
      agentOptions({ ...HOST, ...env }).failsafe.inbound.some(({ port }) => port === 7441);
    assert.equal(open({}), false);
    assert.equal(open({ MANX_UI: "0.0.0.0:7441", ...files }), true);
    assert.throws(() => agentOptions({ ...HOST, MANX_UI: "0.0.0.0:7441" }), /token would go in the clear/);
    assert.throws(() => agentOptions({ ...HOST, MANX_UI: "here:7441" }), /ADDRESS:PORT/);
    assert.throws(() => agentOptions({ ...HOST, MANX_UI_CERT_FILE: "/c" }), /belong together/);
  });
});
