/** What the kernel tells of packets that it drops: in its own namespace only, once a second of what is alike, and of nothing else. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { it } from "node:test";
import { type DropEvent, kernelDrops } from "../../src/drivers/drops/drops.ts";
import { parseHead } from "../../src/drivers/nflog/packet-head.ts";
import { Namespace } from "../netlink/namespace.ts";

const RULES = `add table inet x
add chain inet x i { type filter hook input priority 0; }
add rule inet x i udp dport 7-9 drop
`;
const send = (host: string, port: number): string => `echo > /dev/udp/${host}/${port}`;

it("a drop comes with its reason and head; a flood is a few events with a count; other namespaces are not told of", async () => {
  using here = new Namespace();
  using other = new Namespace();
  for (const one of [here, other]) {
    one.ip("link set lo up");
    execFileSync("ip", ["netns", "exec", one.name, "nft", "-f", "-"], { input: RULES });
  }
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(120_000)]);
  const awake = setInterval(() => {}, 1000);
  const drops = kernelDrops(["NETFILTER_DROP", "IP_RPFILTER", "NO_SUCH_REASON"], signal, here.path);
  other.run("bash", "-c", send("127.0.0.1", 7));
  here.run("bash", "-c", `${send("127.0.0.1", 10)}; ${send("127.0.0.1", 8)}; ${send("::1", 8)}`);
  here.run("bash", "-c", `for i in {1..200}; do ${send("127.0.0.1", 9)}; done; sleep 1.1; ${send("127.0.0.1", 9)}`);
  const seen: Extract<DropEvent, { kind: "drop" }>[] = [];
  for await (const events of drops) {
    for (const event of events) if (event.kind === "drop") seen.push(event);
    if (seen.reduce((sum, { count }) => sum + count, 0) >= 203) stop.abort();
  }
  clearInterval(awake);
  const ports = seen.map(({ etherType, payload }) => parseHead(etherType, payload)?.destinationPort);
  assert.deepEqual(new Set(ports), new Set([8, 9]));
  assert.ok(seen.every(({ reason, device }) => reason === "NETFILTER_DROP" && device === 1));
  assert.deepEqual(
    seen.slice(0, 2).map(({ etherType, payload }) => parseHead(etherType, payload)?.source),
    ["127.0.0.1", "::1"],
  );
  assert.ok(seen.length < 10, `${seen.length} events for a flood`);
});
