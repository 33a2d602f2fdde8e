/** Docker's events, without an end: a broken stream is opened again, and who listens is told that it missed something. */
import { setTimeout as sleep } from "node:timers/promises";
import { DriverError } from "../error.ts";
import type { EngineHttp } from "./http.ts";

export type EngineEvent =
  /** Events come from now on; what happened before is not known: look at everything. The first event is always one of these. */
  | { readonly kind: "resync" }
  /** The engine went away, or does not answer. A "resync" follows when it is back. */
  | { readonly kind: "lost"; readonly why: string }
  /** create, start, die, destroy, rename, pause, ...; `name` is the name after the event. */
  | {
      readonly kind: "container";
      readonly action: string;
      readonly id: string;
      readonly name: string;
      /** On rename: the name before. */
      readonly oldName?: string;
      /** On kill: the signal's number. */
      readonly signal?: string;
    }
  /** create, destroy, connect, disconnect. */
  | {
      readonly kind: "network";
      readonly action: string;
      readonly id: string;
      readonly name: string;
      readonly driver: string;
      /** Container ID, on connect and disconnect. */
      readonly container?: string;
    };

export interface EventOptions {
  /** Milliseconds before the first attempt to connect again; doubles up to `maxDelay`. */
  readonly minDelay?: number;
  readonly maxDelay?: number;
  /** After this many milliseconds of silence the engine is asked whether it lives: a frozen one keeps its connections open. */
  readonly probeAfter?: number;
}

const FILTERS = encodeURIComponent(JSON.stringify({ type: ["container", "network"] }));

/** Yields until the signal aborts; then it ends silently. Never throws. */
export async function* engineEvents(
  http: EngineHttp,
  options: EventOptions,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent> {
  const { minDelay = 100, maxDelay = 5000 } = options;
  let delay = minDelay;
  while (!signal.aborted) {
    try {
      for await (const event of connection(http, options.probeAfter ?? 30_000, signal)) {
        if (event.kind !== "resync") delay = minDelay;
        yield event;
      }
    } catch (error) {
      if (signal.aborted) return;
      yield { kind: "lost", why: error instanceof Error ? error.message : String(error) };
    }
    await sleep(delay, undefined, { signal, ref: false }).catch(() => {});
    delay = Math.min(delay * 2, maxDelay);
  }
}

/** One connection's events. @throws DriverError when it ends, in whichever way. */
async function* connection(http: EngineHttp, probeAfter: number, signal: AbortSignal): AsyncGenerator<EngineEvent> {
  const broken = new AbortController();
  const both = AbortSignal.any([signal, broken.signal]);
  const body = await http.stream({ method: "GET", path: `/events?filters=${FILTERS}`, what: "follow events" }, both);
  yield { kind: "resync" };
  const watch = new SilenceWatch(http, probeAfter, broken, both);
  try {
    for await (const line of lines(body)) {
      watch.heard();
      const event = parseEvent(line);
      if (event !== undefined) yield event;
    }
  } catch (error) {
    if (broken.signal.aborted) throw broken.signal.reason;
    throw new DriverError("unavailable", "Cannot follow events: the connection to Docker broke", error);
  } finally {
    watch.stop();
    broken.abort(); // who stops listening closes the connection
  }
  throw new DriverError("unavailable", "Cannot follow events: Docker closed the stream");
}

/** Asks after a silence whether the engine lives, and breaks the connection if it does not. */
class SilenceWatch {
  readonly #timer: NodeJS.Timeout;

  constructor(http: EngineHttp, after: number, broken: AbortController, signal: AbortSignal) {
    this.#timer = setTimeout(() => {
      http.text({ method: "GET", path: "/_ping", what: "follow events" }, signal).then(
        () => this.heard(),
        (error: unknown) => broken.abort(error),
      );
    }, after);
    this.#timer.unref();
  }

  heard(): void {
    if (!this.#stopped) this.#timer.refresh();
  }

  #stopped = false;

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}

const MAX_LINE = 4 * 1024 * 1024;

/** The lines of a body. An event is one line of JSON; characters may be cut by the chunks. */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const whole = rest.split("\n");
    rest = whole.pop() ?? "";
    if (rest.length > MAX_LINE) throw new DriverError("failed", "Cannot follow events: one is larger than 4 MiB");
    for (const line of whole) if (line.trim() !== "") yield line;
  }
}

interface RawEvent {
  readonly Type?: unknown;
  readonly Action?: unknown;
  readonly Actor?: { readonly ID?: unknown; readonly Attributes?: unknown } | null;
}

/** undefined for what is no event of a container or a network. */
export function parseEvent(line: string): EngineEvent | undefined {
  let raw: RawEvent | null;
  try {
    raw = JSON.parse(line) as RawEvent | null;
  } catch {
    return undefined;
  }
  const id = raw?.Actor?.ID;
  const action = raw?.Action;
  if (typeof id !== "string" || typeof action !== "string") return undefined;
  const attribute = attributes(raw?.Actor?.Attributes);
  const name = attribute("name") ?? "";
  if (raw?.Type === "container") {
    const oldName = attribute("oldName")?.replace(/^\//, "");
    const signal = attribute("signal");
    return {
      kind: "container",
      action,
      id,
      name,
      ...(oldName !== undefined && { oldName }),
      ...(signal !== undefined && { signal }),
    };
  }
  if (raw?.Type !== "network") return undefined;
  const container = attribute("container");
  const driver = attribute("type") ?? "";
  return { kind: "network", action, id, name, driver, ...(container !== undefined && { container }) };
}

function attributes(value: unknown): (name: string) => string | undefined {
  const map = new Map<string, unknown>(typeof value === "object" && value !== null ? Object.entries(value) : []);
  return (name) => {
    const found = map.get(name);
    return typeof found === "string" ? found : undefined;
  };
}
