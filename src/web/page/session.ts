/** Logged in or not; and, while logged in, what is known of the agent, kept up to date by its events. */
import { batch, signal } from "@preact/signals";
import type { EndpointView, FlowView, NetworkView, NodeView, StatusView } from "../../api/client.ts";
import { api, Refusal, whenLoggedOut } from "./api.ts";
import { FlowBook } from "./flow-book.ts";

export const session = signal<"unknown" | "in" | "out">("unknown");
export const online = signal(true);
export const status = signal<StatusView | undefined>(undefined);
export const endpoints = signal<readonly EndpointView[]>([]);
export const networks = signal<readonly NetworkView[]>([]);
export const nodes = signal<readonly NodeView[]>([]);
/** Rises whenever resources change. */
export const resourcesAt = signal(0);
/** Whether the first picture is complete. */
export const loaded = signal(false);
export const flows = new FlowBook();
/** Hosts that live and whose flows are not among these. */
export const silent = signal<readonly string[]>([]);

const FLOWS = 10_000;
/** Of them, for the first picture. */
const FIRST_FLOWS = 500;
/** Milliseconds after which the page is shown empty: drawing it twice costs more than the agent mostly takes to answer. */
const PATIENCE = 300;
let streams: EventSource[] = [];

export async function start(): Promise<void> {
  whenLoggedOut(loggedOut);
  const token = /^#token=([\w-]{1,256})$/.exec(location.hash)?.[1];
  if (token !== undefined) {
    history.replaceState(null, "", "/"); // the token does not stay in the history
    dispatchEvent(new HashChangeEvent("hashchange"));
    await login(token).catch(() => {});
    if (session.value === "in") return;
  }
  await enter();
}

export async function login(token: string): Promise<void> {
  const response = await fetch("/login", { method: "POST", body: token, credentials: "same-origin" });
  if (response.ok) return enter();
  session.value = "out";
  const said = (await response.json().catch(() => ({}))) as { message?: string; remedy?: string };
  throw new Refusal(response.status, said.message ?? "Cannot log in", said.remedy);
}

export async function logout(): Promise<void> {
  await fetch("/logout", { method: "POST", credentials: "same-origin" });
  loggedOut();
}

function loggedOut(): void {
  for (const stream of streams) stream.close();
  streams = [];
  clearInterval(asking);
  session.value = "out";
}

async function enter(): Promise<void> {
  const show = (): void => void (session.value = "in");
  let patience: ReturnType<typeof setTimeout> | undefined;
  try {
    const first = refresh(() => {
      follow(); // before the first look is over: nothing that happens is missed
      patience = setTimeout(show, PATIENCE);
    });
    const newest = api.flows({ limit: String(FIRST_FLOWS) }); // of this host: those of others take a moment
    newest.catch(() => {}); // what fails both is told once
    await first;
    show();
    flows.add((await newest).flows);
    await lookBack({ limit: String(FLOWS), hosts: "all" });
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return;
    online.value = false;
    show(); // the shell says that the agent is away
    setTimeout(() => void enter(), 3_000);
  } finally {
    clearTimeout(patience);
  }
}

async function lookBack(query: Record<string, string>): Promise<void> {
  const seen = await api.flows(query);
  flows.add(seen.flows);
  if (query["hosts"] === "all") silent.value = seen.silent ?? [];
}

/** `admitted`: called as soon as the agent has answered something. */
async function refresh(admitted?: () => void): Promise<void> {
  const state = api.status();
  if (admitted !== undefined) void state.then(admitted, () => {});
  const [is, all, nets, hosts] = await Promise.all([state, api.endpoints(), api.networks(), api.nodes()]);
  batch(() => {
    status.value = is;
    endpoints.value = all;
    networks.value = nets;
    nodes.value = hosts;
    resourcesAt.value++;
    online.value = true;
    loaded.value = true;
  });
}

let waiting: ReturnType<typeof setTimeout> | undefined;

/** Many events are one look. */
function soon(): void {
  waiting ??= setTimeout(() => {
    waiting = undefined;
    refresh().catch(() => (online.value = false));
  }, 250);
}

/** Milliseconds between two looks at who tells nothing. */
const ASK_SILENT = 30_000;
let asking: ReturnType<typeof setInterval> | undefined;

function follow(): void {
  clearInterval(asking);
  asking = setInterval(() => {
    if (document.hidden || nodes.value.length < 2) return;
    lookBack({ limit: "1", hosts: "all" }).catch(() => {});
  }, ASK_SILENT);
  for (const stream of streams) stream.close();
  const watch = new EventSource("/v1/watch");
  for (const topic of ["endpoints", "networks", "pools", "status", "resources"]) watch.addEventListener(topic, soon);
  let opened = 0;
  watch.addEventListener("open", () => {
    if (opened++ === 0) return;
    soon(); // what happened while it was away
    void lookBack({ limit: String(FLOWS), hosts: "all" }).catch(() => {});
  });
  watch.addEventListener("error", soon);
  const seen = new EventSource("/v1/flows/follow?hosts=all");
  seen.addEventListener("flows", (event) => flows.add(JSON.parse((event as MessageEvent<string>).data) as FlowView[]));
  streams = [watch, seen];
}
