/** A browser on the dashboard of an agent that lives in memory: the real page, the real gate, the real API. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { createApp } from "../../src/api/app.ts";
import { FakeAgent } from "../../src/api/fake-agent.ts";
import { Dashboard } from "../../src/web/dashboard.ts";

export interface Bench extends AsyncDisposable {
  readonly agent: FakeAgent;
  readonly dashboard: Dashboard;
  /** The URL with the token in it. */
  readonly link: string;
  readonly url: string;
}

export async function openBench(agent = new FakeAgent()): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), "manx-web-"));
  const dashboard = await Dashboard.open(
    { address: { address: "127.0.0.1", port: 0 }, tokenFile: join(folder, "ui-token"), names: ["h1"] },
    createApp(agent, (error) => console.error(error), { overTcp: true }),
  );
  const { link = "", url = "" } = await dashboard.view();
  return {
    agent,
    dashboard,
    link,
    url,
    async [Symbol.asyncDispose]() {
      await dashboard[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: "/usr/bin/chromium", headless: true, args: FLAGS });
}

export interface Watched {
  readonly page: Page;
  /** What went wrong in the page, and what it asked of others than the agent. */
  readonly complaints: readonly string[];
}

/** A fresh page, nobody logged in. */
export async function openPage(
  browser: Browser,
  bench: Bench,
  options: Parameters<Browser["newPage"]>[0] = {},
): Promise<Watched> {
  const page = await browser.newPage({ reducedMotion: "reduce", ...options });
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("request", (request) => !request.url().startsWith(bench.url) && complaints.push(`asks ${request.url()}`));
  page.setDefaultTimeout(60_000);
  return { page, complaints };
}
