import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Service } from "../model/resources.ts";
import { parseCheck } from "../model/service.ts";
import { resolveServices, serviceRoutes } from "./services.ts";
import type { Endpoint, MemberState, Snapshot } from "./snapshot.ts";

const DOCKER = parseCheck("docker") ?? assert.fail();

function endpoint(
  number: number,
  labels: Record<string, string> = { app: "api" },
  more: Partial<Endpoint> = {},
): Endpoint {
  return {
    id: String(number).repeat(64),
    host: "h1",
    namespace: "default",
    container: `c${number}`,
    network: "apps",
    addresses: [`10.65.0.${number}`],
    labels: new Map(Object.entries(labels)),
    profiles: ["apps"],
    ports: [],
    published: [],
    local: {
      interface: `manx${number}`,
      peer: `mxp${number}`,
      mac: `02:00:00:00:00:0${number}`,
      mtu: 1500,
      gatewayIndex: 1,
      joined: true,
    },
    ...more,
  };
}

function service(name: string, addresses: readonly string[], selector = "app == 'api'"): Service {
  const spec = { addresses, selector, check: DOCKER, drain: 1 };
  return { apiVersion: "manx/v1", kind: "Service", metadata: { name }, spec };
}

/** `service c1 203.0.113.10,2001:db8::1` */
function told(services: readonly Service[], endpoints: readonly Endpoint[]): { members: string[]; problems: string[] } {
  const { members, problems } = resolveServices(services, endpoints);
  const name = (id: string): string => endpoints.find((one) => one.id === id)?.container ?? "";
  return {
    members: members.map((one) => `${one.service}: ${name(one.endpoint)} ${one.addresses.join()}`),
    problems: problems.map(({ path, message }) => `${path}: ${message}`),
  };
}

const API = "203.0.113.10";

describe("members of services", () => {
  const six = { addresses: ["10.65.0.2", "fd65::2"] };
  const cases: [string, readonly Service[], readonly Endpoint[], string[], string[]][] = [
    [
      "are those that the selector matches",
      [service("api", [API])],
      [endpoint(1), endpoint(2, { app: "db" })],
      [`service api: c1 ${API}`],
      [],
    ],
    [
      "have the addresses of their own IP versions",
      [service("api", [API, "2001:db8::10"])],
      [endpoint(1), endpoint(2, { app: "api" }, six)],
      [`service api: c1 ${API}`, `service api: c2 ${API},2001:db8::10`],
      [],
    ],
    [
      "are containers, not interfaces",
      [service("api", [API])],
      [endpoint(1), endpoint(2, { app: "api" }, { container: "c1" })],
      [`service api: c1 ${API}`],
      [],
    ],
    [
      "are the newest where an older endpoint of the same container has not been heard to end",
      [service("api", [API, "2001:db8::10"])],
      [1, 2].map((n) => {
        const one = endpoint(n, { app: "api" });
        return {
          ...one,
          container: "c1",
          addresses: [`10.65.0.${n}`, ...(n === 2 ? ["fd65::2"] : [])],
          local: { ...(one.local ?? assert.fail()), since: `2026-01-0${n}` },
        };
      }),
      [`service api: c1 ${API},2001:db8::10`],
      [],
    ],
    [
      "are brought together by a label as well",
      [],
      [endpoint(1, { "manx.service-address": API }), endpoint(2, { "manx.service-address": ` ${API} ` }), endpoint(3)],
      [`label ${API}: c1 ${API}`, `label ${API}: c2 ${API}`],
      [],
    ],
    [
      "do not get what is another's own address",
      [service("api", ["10.65.0.2"])],
      [endpoint(1), endpoint(2, {})],
      [],
      ["service api: 10.65.0.2 is the address of a container"],
    ],
    [
      "do not get the address of a service by a label",
      [service("api", [API])],
      [endpoint(2, { "manx.service-address": API })],
      [],
      [`label ${API}: ${API} is the address of the service api`],
    ],
    [
      "do not get an address twice given: the first name has it",
      [service("b", [API]), service("a", [API])],
      [endpoint(1)],
      [`service a: c1 ${API}`],
      [`service b: ${API} is the address of the service a`],
    ],
    [
      "get nothing by a label that cannot be read",
      [],
      [
        endpoint(1, { "manx.service-address": "127.0.0.1" }),
        endpoint(2, { "manx.service-address": API, "manx.service-check": "tcp" }),
      ],
      [],
      [
        'c1 manx.service-address: "127.0.0.1" cannot be announced: nobody could be reached there',
        'c2 manx.service-check: "tcp" is no check: docker, tcp:80 or http:8080/healthz',
      ],
    ],
  ];
  for (const [title, services, endpoints, members, problems] of cases)
    it(title, () => assert.deepEqual(told(services, endpoints), { members, problems }));
});

describe("routes to service addresses", () => {
  const [a, b] = [endpoint(1), endpoint(2)];
  const routes = (...states: readonly MemberState[]): unknown => {
    const { members } = resolveServices([service("api", [API])], [a, b]);
    const snapshot = {
      host: "h1",
      nodes: [],
      endpoints: [a, b],
      serviceMembers: members.map((member, index) => ({ ...member, state: states[index] ?? "down" })),
    } as unknown as Snapshot;
    return [...serviceRoutes(snapshot)].map(
      ([key, { announced, hops }]) =>
        `${key} ${announced ? "announced" : "silent"} ${hops.map((hop) => `${hop.interface}:${hop.weight}`).join()}`,
    );
  };
  const cases: [string, MemberState, MemberState, string[]][] = [
    ["lead to all that are well", "up", "up", [`4 ${API}/32 announced manx1:256,manx2:256`]],
    ["pass over those that are not", "down", "up", [`4 ${API}/32 announced manx2:256`]],
    [
      "lead to one that is to end only what it has begun",
      "draining",
      "up",
      [`4 ${API}/32 announced manx1:1,manx2:256`],
    ],
    ["are kept for the last one while it ends, but not announced", "draining", "down", [`4 ${API}/32 silent manx1:1`]],
    ["are not there where nobody is well", "down", "down", []],
  ];
  for (const [title, first, second, expected] of cases)
    it(title, () => assert.deepEqual(routes(first, second), expected));
});
