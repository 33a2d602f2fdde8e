/** What a real agent tells beyond its own socket: metrics scraped over HTTP, flows and drops in a file and in syslog. */
import assert from "node:assert/strict";
import { closeSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import type { FlowView } from "../../src/api/client.ts";
import { bind, MSG_DONTWAIT, recvfrom, SOCK_NONBLOCK, socket } from "../../src/drivers/syscall/libc.ts";
import { World } from "./world.ts";

const GET =
  'exec 3<>/dev/tcp/127.0.0.1/7442; printf "GET $1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n" >&3; cat <&3';
const [AF_UNIX, SOCK_DGRAM] = [1, 2];

describe("an agent's outputs", () => {
  let world: World;
  let syslog: number;
  before(async () => {
    world = await World.start("live-outputs", { engine: "installed" });
    const address = new Uint8Array(110);
    address[0] = AF_UNIX;
    address.set(Buffer.from(world.host.path("/tmp/log.socket")), 2);
    syslog = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    bind(syslog, address);
    await world.host.stopAgent();
    const env = {
      MANX_METRICS: "127.0.0.1:7442",
      MANX_FLOW_FILE: "/tmp/flows.log",
      MANX_FLOW_SYSLOG: "/tmp/log.socket",
    };
    await world.host.startAgent({ env });
    await world.network("apps");
    await world.network("other");
    await Promise.all([world.run("web", "apps"), world.run("db", "apps"), world.run("stranger", "other")]);
    await world.host.mustExec(["nft", "list", "tables"]);
  });
  after(async () => {
    if (syslog !== undefined) closeSync(syslog);
    await world?.[Symbol.asyncDispose]();
  });

  it("metrics come over HTTP, with the drops of a real rule, and the agent says that it is ready", async () => {
    assert.ok(await world.canFetch("web", await world.address("db", 4)));
    assert.ok(!(await world.fetches("stranger", await world.address("db", 4))));
    const get = async (path: string): Promise<string> =>
      (await world.host.mustExec(["bash", "-c", GET, "get", path])).replaceAll("\r", "");
    await world.eventually(async () => {
      const text = await get("/metrics");
      assert.match(text, /^HTTP\/1\.[01] 200[\s\S]*content-type: text\/plain; version=0\.0\.4/i);
      assert.match(text, /^manx_endpoints\{network="apps"\} 2$/m);
      assert.match(text, /^manx_dropped_packets_total\{reason="no-profile"\} [1-9]/m);
      assert.match(text, /^manx_flows_seen_total\{verdict="allow"\} [1-9]/m);
    });
    assert.match(await get("/readyz"), /200[\s\S]*"ready":true/);
    assert.match(await get("/v1/status"), /404/);
  });

  it("the same flows and drops stand in the file and go to syslog", async () => {
    const messages: string[] = [];
    const wanted = (flows: readonly FlowView[]): void => {
      const texts = flows.map(({ verdict, source, destination }) =>
        [verdict, source.container, destination.container].join(" "),
      );
      assert.ok(texts.includes("allow web db"), texts.join("\n"));
      assert.ok(texts.includes("deny stranger db"), texts.join("\n"));
    };
    await world.eventually(async () => {
      const lines = (await readFile(world.host.path("/tmp/flows.log"), "utf8")).trim().split("\n");
      wanted(lines.map((line) => JSON.parse(line) as FlowView));
      const buffer = new Uint8Array(9_000);
      for (;;) {
        const length = recvfrom(syslog, buffer, MSG_DONTWAIT, new Uint8Array(110));
        if (length === undefined) break;
        messages.push(Buffer.from(buffer.subarray(0, length)).toString());
      }
      wanted(messages.map((text) => JSON.parse(text.slice(text.indexOf("{"))) as FlowView));
    });
    assert.match(messages.find((text) => text.includes('"deny"')) ?? "", /^<132>\w{3} .{11} manx\[\d+\]: \{/);
  });
});
