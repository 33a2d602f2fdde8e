import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DriverError } from "../drivers/error.ts";
import { createApp } from "./app.ts";
import { ApiError } from "./error.ts";
import { FakeAgent, fakeFacts, fakeFlows, fakeSnapshot } from "./fake-agent.ts";
import { DoctorView, FixReport } from "./schema/doctor.ts";
import { EndpointView } from "./schema/endpoint.ts";
import { ErrorBody } from "./schema/error.ts";
import { FlowList } from "./schema/flow.ts";
import { Readiness } from "./schema/metrics.ts";
import { NetworkDetail, NetworkView } from "./schema/network.ts";
import { PoolView } from "./schema/pool.ts";
import { ResourceList } from "./schema/resource.ts";
import { StatusView, VersionView } from "./schema/status.ts";

function setUp(agent = new FakeAgent()) {
  const internal: unknown[] = [];
  const app = createApp(agent, (error) => internal.push(error));
  const ask = async (method: string, path: string, body?: unknown) => {
    const init =
      body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await app.request(path, { method, ...init });
    return { status: response.status, body: await response.json() };
  };
  return { agent, app, ask, internal };
}

async function refusal(answer: Promise<{ status: number; body: unknown }>) {
  const { status, body } = await answer;
  return { status, ...ErrorBody.parse(body) };
}

describe("API", () => {
  it("answers in the shapes that it declares", async () => {
    const { ask } = setUp();
    const shapes = [
      ["/v1/version", VersionView],
      ["/v1/status", StatusView],
      ["/v1/endpoints", EndpointView.array()],
      ["/v1/networks", NetworkView.array()],
      ["/v1/networks/apps", NetworkDetail],
      ["/v1/pools", PoolView.array()],
      ["/v1/flows", FlowList],
      ["/v1/doctor", DoctorView],
      ["/v1/resources/IPPool", ResourceList],
    ] as const;
    for (const [path, schema] of shapes) {
      const { status, body } = await ask("GET", path);
      assert.equal(status, 200, path);
      assert.deepEqual(schema.parse(body), body, path);
    }
  });

  it("tells whoever watches it whether it lives, whether it is ready, and its numbers", async () => {
    const agent = new FakeAgent();
    const { app, ask } = setUp(agent);
    const metrics = await app.request("/metrics");
    assert.equal(metrics.status, 200);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(await metrics.text(), /^manx_endpoints 3$/m);
    assert.equal((await ask("GET", "/healthz")).status, 200);
    assert.equal((await ask("GET", "/readyz")).status, 200);
    agent.isReady = false;
    const { status, body } = await ask("GET", "/readyz");
    assert.equal(status, 503);
    assert.match(Readiness.parse(body).checks[0]?.why ?? "", /firewall/);
    agent.failure = new DriverError("unavailable", "Cannot list nftables: no");
    assert.equal((await app.request("/metrics")).status, 503);
  });

  it("tells flows by what is asked of them, and says which word of the question is wrong", async () => {
    const agent = new FakeAgent();
    agent.seen = fakeFlows();
    const { ask } = setUp(agent);
    const count = async (query: string) => FlowList.parse((await ask("GET", `/v1/flows?${query}`)).body).flows.length;
    assert.equal(await count(""), 3);
    assert.equal(await count("verdict=deny,would-deny"), 2);
    assert.equal(await count("verdict=deny&from=web&port=5432&protocol=TCP&policy=db"), 1);
    assert.equal(await count("limit=1"), 1);
    for (const query of [
      "port=x",
      "verdict=maybe",
      "protocol=tpc",
      "from=",
      "since=-1",
      "since=1e9",
      "what=1",
      "limit=0",
    ]) {
      const { status, code } = await refusal(ask("GET", `/v1/flows?${query}`));
      assert.deepEqual([status, code], [400, "invalid"], query);
    }
  });

  it("sorts endpoints by network and container, digits as numbers, and filters them", async () => {
    const agent = new FakeAgent();
    const [first] = agent.state.endpoints;
    assert.ok(first);
    const named = (container: string) => ({ ...first, id: container, container });
    agent.state = fakeSnapshot({ endpoints: [named("web10"), ...agent.state.endpoints, named("web2")] });
    const { ask } = setUp(agent);
    const names = ({ body }: { body: unknown }) =>
      EndpointView.array()
        .parse(body)
        .map(({ container }) => container);
    assert.deepEqual(names(await ask("GET", "/v1/endpoints")), ["api", "web", "web2", "web10", "postgres"]);
    assert.deepEqual(names(await ask("GET", "/v1/endpoints?network=db")), ["postgres"]);
    assert.deepEqual(names(await ask("GET", "/v1/endpoints?container=web&host=h2")), []);
  });

  it("says no in one shape, whatever went wrong", async () => {
    const { ask, agent, internal } = setUp();
    const missing = await refusal(ask("GET", "/v1/networks/nope"));
    assert.deepEqual([missing.status, missing.code], [404, "not-found"]);
    assert.match(missing.message, /^Cannot show the network "nope"/);
    assert.equal((await refusal(ask("GET", "/v1/nothing"))).status, 404);
    assert.equal((await refusal(ask("GET", "/v1/resources/Pod"))).code, "invalid");
    assert.equal((await refusal(ask("GET", "/v1/endpoints?netwrok=db"))).code, "invalid");
    agent.failure = new DriverError("unavailable", "Cannot read the store: it is locked");
    assert.deepEqual(await refusal(ask("GET", "/v1/endpoints")), {
      status: 503,
      code: "unavailable",
      message: "Cannot read the store: it is locked",
    });
    assert.deepEqual(internal, []);
    agent.failure = new TypeError("x is undefined");
    assert.equal((await refusal(ask("GET", "/v1/endpoints"))).status, 500);
    assert.deepEqual(internal, [agent.failure]);
  });

  it("refuses bodies that are empty, no JSON, or not what was asked for", async () => {
    const { ask, app } = setUp();
    for (const text of ["", "{", "[]", "null", '"x"', '{"cidr": 5}', '{"cidr":"10.66.0.0/16","color":"red"}']) {
      const response = await app.request("/v1/pools", {
        method: "POST",
        body: text,
        headers: { "content-type": "application/json" },
      });
      assert.equal(response.status, 400, text);
      assert.equal(ErrorBody.parse(await response.json()).code, "invalid");
    }
    const wrong = await refusal(ask("POST", "/v1/why", { from: "a", to: "", port: 70_000 }));
    assert.deepEqual(
      wrong.problems?.map(({ path }) => path),
      ["to", "port"],
    );
  });

  it("adds pools with Calico's defaults and refuses what makes no sense", async () => {
    const { ask } = setUp();
    const { body } = await ask("POST", "/v1/pools", { cidr: "10.66.0.0/16" });
    const pool = PoolView.parse(body);
    assert.deepEqual([pool.name, pool.blockSize, pool.natOutgoing, pool.size], ["10-66-0-0-16", 26, false, "65536"]);
    const six = PoolView.parse((await ask("POST", "/v1/pools", { cidr: "fd66::/64" })).body);
    assert.deepEqual([six.name, six.blockSize, six.size], ["fd66-64", 122, "18446744073709551616"]);
    const small = PoolView.parse((await ask("POST", "/v1/pools", { cidr: "10.67.0.0/28", natOutgoing: true })).body);
    assert.deepEqual([small.blockSize, small.natOutgoing], [28, true]);
    const refused: [object, string][] = [
      [{ cidr: "10.66.0.0" }, "the /LENGTH is missing"],
      [{ cidr: "10.66.0.1/16" }, "did you mean 10.66.0.0/16?"],
      [{ cidr: "169.254.1.0/24" }, "overlaps 169.254.0.0/16"],
      [{ cidr: "0.0.0.0/0" }, "overlaps 0.0.0.0/8"],
      [{ cidr: "::ffff:10.68.0.0/112" }, "write the IPv4 addresses as such"],
      [{ cidr: "::/96" }, "overlaps ::/96"],
      [{ cidr: "$(reboot)/16" }, "is not a CIDR"],
      [{ cidr: "10.68.0.0/16", blockSize: 12 }, "(20-32)"],
      [{ cidr: "10.68.0.0/16", name: "No Good" }, "is not a name"],
    ];
    for (const [request, text] of refused) {
      const { code, problems } = await refusal(ask("POST", "/v1/pools", request));
      assert.equal(code, "invalid");
      assert.ok(
        problems?.some(({ message }) => message.includes(text)),
        JSON.stringify(problems),
      );
    }
    assert.equal((await refusal(ask("POST", "/v1/pools", { cidr: "10.66.1.0/24" }))).code, "refused");
  });

  it("removes a pool by name or CIDR, unless it is in use", async () => {
    const { ask, agent } = setUp();
    assert.equal((await refusal(ask("DELETE", "/v1/pools/default-v4"))).status, 422);
    assert.equal((await refusal(ask("DELETE", "/v1/pools/nope"))).code, "not-found");
    const { status } = await ask("DELETE", `/v1/pools/${encodeURIComponent("fd65::/64")}`);
    assert.equal(status, 200);
    assert.deepEqual(
      agent.state.pools.map(({ metadata }) => metadata.name),
      ["default-v4"],
    );
  });

  it("repairs what is safe, and looks again", async () => {
    const agent = new FakeAgent(fakeSnapshot(), fakeFacts({ drift: ["route 10.65.0.2/32 is missing"] }));
    const { ask } = setUp(agent);
    const report = FixReport.parse((await ask("POST", "/v1/doctor/fix")).body);
    assert.deepEqual(report.fixed, [{ id: "drift", did: "did resync" }]);
    assert.equal(report.checks.find(({ id }) => id === "drift")?.state, "ok");
    assert.deepEqual(agent.fixed, [{ kind: "resync" }]);
  });

  it("describes itself in OpenAPI 3.1", async () => {
    const { ask } = setUp();
    const { body } = await ask("GET", "/openapi.json");
    const document = body as { openapi: string; paths: Record<string, object>; components: { schemas: object } };
    assert.equal(document.openapi, "3.1.0");
    for (const path of ["/v1/endpoints", "/v1/networks/{name}", "/v1/why", "/v1/watch"])
      assert.ok(document.paths[path], path);
    assert.ok("Error" in document.components.schemas);
    assert.ok("Endpoint" in document.components.schemas);
  });

  it("keeps the text and the code of its own errors", async () => {
    const { ask, agent } = setUp();
    agent.failure = new ApiError("refused", "Cannot", { remedy: "Do this", problems: [{ path: "a", message: "b" }] });
    assert.deepEqual(await refusal(ask("GET", "/v1/version")), {
      status: 422,
      code: "refused",
      message: "Cannot",
      remedy: "Do this",
      problems: [{ path: "a", message: "b" }],
    });
  });
});

describe("API, with hostile input", () => {
  const post = async (app: ReturnType<typeof createApp>, path: string, text: string) => {
    const response = await app.request(path, {
      method: "POST",
      body: text,
      headers: { "content-type": "application/json" },
    });
    return { status: response.status, body: (await response.json()) as { code?: string } };
  };
  const frame = (extra: string): string =>
    `{"mode":"apply","resources":[{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"x"${extra}},"spec":{}}]}`;

  it("lets no request reach a prototype", async () => {
    const { app, agent } = setUp();
    for (const extra of [
      ',"__proto__":{"polluted":1}',
      ',"labels":{"__proto__":"x"}',
      ',"constructor":{"prototype":{"polluted":1}}',
    ])
      await post(app, "/v1/change", frame(extra));
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    for (const { resources } of agent.requests)
      for (const resource of resources) assert.equal(Object.getPrototypeOf(resource.metadata), Object.prototype);
  });

  it("survives bodies that are deep, long, or strange, and answers each with its own kind of error", async () => {
    const { app, internal } = setUp();
    const bodies = [
      "[".repeat(100_000),
      `{"mode":"apply","resources":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
      `{"mode":"${"x".repeat(1_000_000)}"}`,
      '{"mode":"apply","resources":[null,1,"x",[],{}]}',
      frame(`,"namespace":"${"n".repeat(1000)}"`),
      "\u0000",
      '{"mode":"apply"}{"mode":"apply"}',
    ];
    for (const body of bodies) {
      const answer = await post(app, "/v1/change", body);
      assert.deepEqual([answer.status, answer.body.code], [400, "invalid"], body.slice(0, 40));
    }
    assert.deepEqual(internal, []);
  });

  it("takes names in paths as names, never as paths", async () => {
    const { ask } = setUp();
    for (const name of ["..%2f..%2fetc", "%00", "%F0%9F%90%88", "a%20b", "$(id)", "'; drop"]) {
      const { status } = await ask("GET", `/v1/networks/${name}`);
      assert.equal(status, 404, name);
    }
    assert.equal((await refusal(ask("GET", `/v1/networks/${"x".repeat(300)}`))).code, "invalid");
    assert.equal((await ask("GET", "/v1/networks/%ff")).status, 404);
  });
});
