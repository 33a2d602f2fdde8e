/** The dashboard in a real browser. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { FakeAgent, fakeEndpoint, fakeFlows, fakeSnapshot } from "../../src/api/fake-agent.ts";
import { openBench, openBrowser, openPage } from "./browser.ts";

interface Placed {
  manxPlace(label: string): { readonly x: number; readonly y: number } | undefined;
}

/** In the window, of what the map calls so. */
async function placeOf(page: Page, label: string): Promise<{ x: number; y: number } | undefined> {
  const box = await page.locator("canvas").boundingBox();
  const place = await page
    .locator("canvas")
    .evaluate((canvas, name) => (canvas as unknown as Placed).manxPlace(name), label);
  return box === null || place === undefined ? undefined : { x: box.x + place.x, y: box.y + place.y };
}

const HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe";

describe("dashboard", () => {
  let browser: Browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  it("lets in with the link, keeps the token out of the history, and nobody in without", async () => {
    await using bench = await openBench();
    const { page, complaints } = await openPage(browser, bench);
    await page.goto(bench.url);
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("this is not the token").waitFor();
    assert.equal(await page.locator("canvas").count(), 0);
    await page.goto("about:blank");
    await page.goto(bench.link);
    await page.locator("canvas").waitFor();
    assert.ok(!page.url().includes("token"));
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, "Strict"]);
    const real = complaints.filter((one) => !one.includes("401") && !one.includes("about:blank"));
    assert.deepEqual(real, []);
    await page.close();
  });

  it("shows endpoints and flows on the map, filters them, and says which rule decided about an edge", async () => {
    const agent = new FakeAgent();
    agent.seen = fakeFlows(Date.now());
    await using bench = await openBench(agent);
    const { page, complaints } = await openPage(browser, bench, { viewport: { width: 1280, height: 800 } });
    await page.goto(bench.link);
    await page.getByText("3 endpoints, 3 connections").waitFor();
    const [web, postgres] = [await placeOf(page, "web"), await placeOf(page, "postgres")];
    assert.ok(web !== undefined && postgres !== undefined);
    // The middle of the curve between them.
    const x = (web.x + postgres.x) / 2 - (postgres.y - web.y) * 0.06;
    const y = (web.y + postgres.y) / 2 + (postgres.x - web.x) * 0.06;
    await page.mouse.click(x, y);
    const panel = page.getByLabel("What was chosen");
    await panel.getByText("dropped").waitFor();
    assert.match(await panel.innerText(), /web → postgres[\s\S]*tcp 5432[\s\S]*NetworkPolicy default\/db/);
    agent.answer = {
      verdict: "deny",
      paths: [
        {
          source: "10.65.0.2",
          destination: "10.65.0.4",
          flow: "tcp 5432",
          verdict: "deny",
          steps: [{ place: "ingress of postgres", verdict: "deny", text: "policy db, ingress[0]" }],
        },
      ],
    };
    await panel.getByRole("button", { name: "Why, as of now?" }).click();
    await panel.getByText("policy db, ingress[0]").waitFor();
    assert.deepEqual(agent.queries[0], { from: "apps/web", to: "db/postgres", protocol: "tcp", port: 5432 });
    await page.keyboard.press("Escape");
    await page.keyboard.press("/");
    await page.keyboard.type("role=web");
    await page.getByText("3 endpoints, 2 connections").waitFor(); // web, and those it speaks with
    await page.getByRole("button", { name: "dropped", exact: true }).click();
    await page.getByText("2 endpoints, 1 connection").waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it("goes through the map by keyboard", async () => {
    await using bench = await openBench();
    const { page } = await openPage(browser, bench);
    await page.goto(bench.link);
    await page.getByText("3 endpoints").first().waitFor();
    await page.locator("canvas").focus();
    const panel = page.getByLabel("What was chosen");
    const visited = new Set<string>();
    for (const arrow of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"]) {
      await page.keyboard.press(arrow);
      visited.add(await panel.locator("h2").innerText());
    }
    assert.ok(visited.size > 1, [...visited].join());
    await page.keyboard.press("Escape");
    await panel.waitFor({ state: "hidden" });
    await page.keyboard.press("g");
    await page.keyboard.press("h");
    await page.getByRole("heading", { name: "Health" }).waitFor();
    await page.close();
  });

  it("shows new endpoints as they come", async () => {
    const agent = new FakeAgent();
    await using bench = await openBench(agent);
    const { page } = await openPage(browser, bench);
    await page.goto(bench.link);
    await page.getByText("3 endpoints").first().waitFor();
    const endpoints = [
      ...agent.state.endpoints,
      fakeEndpoint({ container: "new", network: "apps", addresses: ["10.65.0.9"] }),
    ];
    agent.state = fakeSnapshot({ endpoints });
    agent.emit("endpoints");
    await page.getByText("4 endpoints").first().waitFor();
    await page.close();
  });

  it("refuses bad YAML with its line, compares before it applies, and applies", async () => {
    const agent = new FakeAgent();
    await using bench = await openBench(agent);
    const { page, complaints } = await openPage(browser, bench);
    await page.goto(bench.link);
    await page.locator("canvas").waitFor();
    await page.goto(`${bench.url}#/policy`);
    const editor = page.getByLabel("The resource as YAML");
    const good = await editor.inputValue();
    await editor.fill(good.replace("ports: [80]", "ports: [80000]"));
    const line = good.split("\n").findIndex((text) => text.includes("ports:")) + 1;
    await page.getByRole("button", { name: new RegExp(`^${line}:\\d+ .*80000`) }).waitFor();
    const compare = page.getByRole("button", { name: "See what would change" });
    const apply = page.getByRole("button", { name: "Apply" });
    assert.deepEqual([await compare.isEnabled(), await apply.isEnabled()], [false, false]);
    await editor.fill(good);
    await page.getByText("Good.").waitFor();
    assert.equal(await apply.isEnabled(), false);
    await compare.click();
    await page.getByText("NetworkPolicy web").waitFor();
    assert.equal(agent.requests.at(-1)?.dryRun, true);
    await apply.click();
    await page.getByText("NetworkPolicy web created").waitFor();
    const { dryRun, resources } = agent.requests.at(-1) ?? {};
    assert.deepEqual([dryRun, resources?.[0]?.metadata.name], [undefined, "web"]);
    assert.deepEqual(complaints, []);
    await page.close();
  });

  it("shows hostile names as text, everywhere", async () => {
    const endpoint = fakeEndpoint({
      container: HOSTILE,
      network: "apps",
      addresses: ["10.65.0.2"],
      labels: { role: HOSTILE },
    });
    const agent = new FakeAgent(fakeSnapshot({ endpoints: [endpoint] }));
    agent.seen = fakeFlows(Date.now()).map((flow) => ({ ...flow, source: { ...flow.source, container: HOSTILE } }));
    await using bench = await openBench(agent);
    const { page, complaints } = await openPage(browser, bench);
    await page.goto(bench.link);
    await page.locator("canvas").waitFor();
    for (const where of [
      "endpoints",
      "flows",
      "policies",
      "routes",
      "addresses",
      "health",
      `endpoint/${endpoint.id}`,
      "map",
    ]) {
      await page.goto(`${bench.url}#/${where}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      assert.equal(await page.locator("main img").count(), 0, where);
      assert.ok(!(await page.locator("main").innerText()).includes("\u202e"), where);
    }
    await page.goto(`${bench.url}#/endpoint/${endpoint.id}`);
    await page.getByRole("heading", { name: "<img src=x onerror=alert(1)>" }).waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  });
});
