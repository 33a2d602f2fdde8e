/**
 * The dashboard with 1,000 endpoints and 10,000 flows in a browser (Chromium, drawing in software): how long until the map is
 * there, and how long a frame takes while it is dragged and zoomed. Needs `chromium`, no root.
 */
import type { Page } from "playwright-core";
import { FakeAgent, fakeEndpoint, fakeFlows, fakeSnapshot } from "../src/api/fake-agent.ts";
import type { Endpoint } from "../src/core/calc/snapshot.ts";
import type { Flow, Party } from "../src/core/flows/flow.ts";
import { openBench, openBrowser, openPage } from "../tests/web/browser.ts";

const [ENDPOINTS, FLOWS, NETWORKS] = [1_000, 10_000, 20];

function endpoint(index: number): Endpoint {
  return fakeEndpoint({
    container: `app-${index}`,
    network: `net-${index % NETWORKS}`,
    host: `h${1 + (index % 10)}`,
    addresses: [`10.65.${index >> 8}.${index & 255}`],
  });
}

function partyOf({ container, network, namespace, host, addresses: [address = ""] }: Endpoint): Party {
  return { kind: "endpoint", address, container, network, namespace, host };
}

/** Each from another pair or to another port; one of ten dropped. */
function flows(endpoints: readonly Endpoint[]): Flow[] {
  const [allowed, denied] = fakeFlows(Date.now()) as [Flow, Flow];
  return Array.from({ length: FLOWS }, (_, i): Flow => {
    const [source, destination] = [
      endpoints[i % ENDPOINTS],
      endpoints[(i * 7 + Math.floor(i / ENDPOINTS)) % ENDPOINTS],
    ];
    if (source === undefined || destination === undefined) throw new RangeError("no such endpoint");
    const kind = i % 10 === 0 ? denied : allowed;
    return {
      ...kind,
      source: partyOf(source),
      destination: partyOf(destination),
      destinationPort: 1_000 + (i % 5_000),
    };
  });
}

/** Milliseconds from one frame to the next while the work goes on. */
async function frames(page: Page, work: () => Promise<void>): Promise<number[]> {
  await page.evaluate(`
    globalThis.manxFrames = [];
    const next = (time) => {
      manxFrames.push(time);
      globalThis.manxNext = requestAnimationFrame(next);
    };
    globalThis.manxNext = requestAnimationFrame(next);`);
  await work();
  const times = await page.evaluate<number[]>("cancelAnimationFrame(manxNext), manxFrames");
  return times.slice(1).map((time, i) => time - (times[i] ?? time));
}

function show(what: string, values: readonly number[]): void {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toFixed(1);
  console.log(`${what.padEnd(24)} ${at(0.5)} ms a frame (99%: ${at(0.99)}), ${values.length} frames`);
}

const endpoints = Array.from({ length: ENDPOINTS }, (_, i) => endpoint(i));
const agent = new FakeAgent(fakeSnapshot({ endpoints }));
agent.seen = flows(endpoints);
await using bench = await openBench(agent);
const browser = await openBrowser();
try {
  const { page } = await openPage(browser, bench, { viewport: { width: 1280, height: 800 } });
  const start = performance.now();
  await page.goto(bench.link);
  await page.getByText(/1\D?000 endpoints, [1-9]\d*\D?\d* connections/).waitFor();
  console.log(`until the map is there   ${((performance.now() - start) / 1000).toFixed(2)} s`);
  console.log(`                         ${await page.locator(".counts").innerText()}`);
  show("at rest", await frames(page, () => page.waitForTimeout(2_000)));
  const drag = async (): Promise<void> => {
    await page.mouse.move(640, 400);
    await page.mouse.down();
    for (let i = 0; i < 120; i++) await page.mouse.move(640 + 200 * Math.sin(i / 10), 400 + 100 * Math.cos(i / 10));
    await page.mouse.up();
  };
  show("dragged", await frames(page, drag));
  const wheel = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await page.mouse.wheel(0, i < 30 ? -60 : 60);
  };
  show("zoomed", await frames(page, wheel));
  if (process.argv[2] !== undefined) await page.screenshot({ path: process.argv[2] });
} finally {
  await browser.close();
}
