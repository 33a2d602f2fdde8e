/**
 * The dashboard in a browser (Chromium, drawing in software). With 1,000 endpoints and 10,000 flows: how long until the endpoints, and
 * until all flows are on the map, and how long a frame takes while it is dragged and zoomed. With 300 endpoints and 1,000 flows: how long a
 * frame takes while all of them move and flows come. Needs `chromium`, no root. `node bench/dashboard.ts [PICTURE-PREFIX]`
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { FakeAgent, fakeEndpoint, fakeFlows, fakeSnapshot } from "../src/api/fake-agent.ts";
import type { Endpoint } from "../src/core/calc/snapshot.ts";
import type { FlowFilter } from "../src/core/flows/filter.ts";
import type { Flow, Party } from "../src/core/flows/flow.ts";
import { type Bench, openBench, openBrowser, openPage } from "../tests/web/browser.ts";

const NETWORKS = 20;

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

/** Each from another pair or to another port, over the last hour; one of ten dropped. */
function flows(endpoints: readonly Endpoint[], count: number): Flow[] {
  const [allowed, denied] = fakeFlows(Date.now()) as [Flow, Flow];
  const all = endpoints.length;
  const now = Date.now();
  return Array.from({ length: count }, (_, i): Flow => {
    const [source, destination] = [endpoints[i % all], endpoints[(i * 7 + Math.floor(i / all)) % all]];
    if (source === undefined || destination === undefined) throw new RangeError("no such endpoint");
    const kind = i % 10 === 0 ? denied : allowed;
    return {
      ...kind,
      time: now - Math.round((i * 3_600_000) / count),
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
  console.log(`${what.padEnd(28)} ${at(0.5)} ms a frame (99%: ${at(0.99)}), ${values.length} frames`);
}

/** Says all flows once; `perSecond`: then so many a second, over and over. */
class Crowd extends FakeAgent {
  readonly perSecond: number;

  constructor(endpoints: number, count: number, perSecond = 0) {
    const all = Array.from({ length: endpoints }, (_, i) => endpoint(i));
    super(fakeSnapshot({ endpoints: all }));
    this.seen = flows(all, count);
    this.perSecond = perSecond;
  }

  override async *followFlows(_: FlowFilter, signal = new AbortController().signal) {
    const batch = Math.ceil(this.perSecond / 4);
    for (let from = 0; !signal.aborted; from = (from + batch) % this.seen.length) {
      await sleep(250, undefined, { signal }).catch(() => undefined);
      const time = Date.now();
      if (batch > 0) yield this.seen.slice(from, from + batch).map((flow) => ({ ...flow, time }));
    }
  }
}

/** For the page: notes when what stands below the map first reads so, in milliseconds since the browser began to go there. */
function watch(milestones: Readonly<Record<string, string>>): string {
  return `
    globalThis.manxSeen = {};
    const look = () => {
      const text = document.querySelector(".counts")?.textContent ?? "";
      for (const [what, pattern] of Object.entries(${JSON.stringify(milestones)}))
        if (new RegExp(pattern).test(text)) manxSeen[what] ??= performance.now();
    };
    new MutationObserver(look).observe(document, { childList: true, subtree: true, characterData: true });`;
}

/** Opens the map; tells how long it takes. */
async function openMap(browser: Browser, bench: Bench, endpoints: string): Promise<Page> {
  const { page } = await openPage(browser, bench, {
    viewport: { width: 1280, height: 800 },
    reducedMotion: "no-preference",
  });
  await fetch(bench.url); // whoever asks for the link has the page made
  const thousands = (bench.agent.seen.length / 1000).toFixed(0);
  const milestones = {
    [`${endpoints} endpoints`]: `${endpoints.replace(",", ".")} endpoints`,
    [`${thousands},000 flows`]: `${thousands}.000 connections`,
  };
  await page.addInitScript(watch(milestones));
  await page.goto(bench.link, { waitUntil: "commit" });
  const seen = (): Promise<Record<string, number>> => page.evaluate("manxSeen");
  while (Object.keys(await seen()).length < Object.keys(milestones).length) await page.waitForTimeout(200);
  for (const [what, at] of Object.entries(await seen()))
    console.log(`${`until ${what} are there`.padEnd(28)} ${(at / 1000).toFixed(2)} s`);
  return page;
}

async function crowd(browser: Browser): Promise<void> {
  await using bench = await openBench(new Crowd(1_000, 10_000));
  await (await openMap(browser, bench, "1,000")).close(); // an agent that has just been started
  const page = await openMap(browser, bench, "1,000");
  show("at rest", await frames(page, () => page.waitForTimeout(3_000)));
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
  await picture(page, "crowd");
}

async function moving(browser: Browser): Promise<void> {
  await using bench = await openBench(new Crowd(300, 1_000, 200));
  const page = await openMap(browser, bench, "300");
  const regroup = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) {
      await page.getByLabel("Group by").selectOption(i % 2 === 0 ? "host" : "network");
      await page.waitForTimeout(400);
    }
  };
  show("300 move, flows come", await frames(page, regroup));
  show("300 rest, flows come", await frames(page, () => page.waitForTimeout(4_000)));
  await picture(page, "moving");
}

async function picture(page: Page, name: string): Promise<void> {
  await page.waitForTimeout(1_500);
  if (process.argv[2] !== undefined) await page.screenshot({ path: `${process.argv[2]}${name}.png` });
}

const browser = await openBrowser();
try {
  await crowd(browser);
  await moving(browser);
} finally {
  await browser.close();
}
