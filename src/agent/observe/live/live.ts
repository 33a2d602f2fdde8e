/** `manx why A B PORT --live`: the next real packet of a flow, on this host and on the others of the cluster. */
import { ApiError } from "../../../api/error.ts";
import type { LiveEvent, LiveQuery, LiveReport } from "../../../api/schema/live.ts";
import { INTERNET_NAME } from "../../../core/calc/outside.ts";
import type { LiveFlow, LiveHead } from "../../../core/flows/live.ts";
import { type LiveEnds, liveWay } from "../../../core/flows/live-way.ts";
import type { Family } from "../../../core/net/address.ts";
import { messageOf } from "../../../drivers/error.ts";
import { sweepTraces, trace } from "../../../drivers/nftables/trace.ts";
import type { Agent } from "../../agent.ts";
import type { Asked, LiveRequests } from "../../cluster/live-requests.ts";
import type { Logger } from "../../log.ts";
import { type End, findBoth, packetOf } from "../../why.ts";
import { traceHere } from "./local-trace.ts";
import { ruleText } from "./rule-texts.ts";

/** Milliseconds that the others have to begin. */
const BEGIN = 2_000;
/** Milliseconds for further reports, by phase. */
const PATIENCE = { 0: 0, 1: 4_000, 2: 300 } as const;
/** Traces on this host at the same time. */
const MOST = 8;

let running = 0;

/** Takes away what an agent that died has left of its traces. */
export function sweep(log: Logger): void {
  try {
    sweepTraces();
  } catch (error) {
    log.debug({ err: error }, "no trace could be looked for"); // without nftables there is none
  }
}

/** What looks for flows on this host; never rejects. */
export function tracer(
  names: Pick<Agent["hostNames"], "interfaceName" | "membership">,
  host: string,
  state: Agent["hostState"],
  kernelReason: (head: LiveHead, since: number) => string | undefined,
): (flows: readonly LiveFlow[], signal: AbortSignal) => Promise<LiveReport> {
  const sources = {
    host,
    trace,
    ruleText: (event, head) =>
      ruleText(event, head, { origins: state()?.origins ?? new Map(), members: names.membership }),
    interfaceName: (index) => names.interfaceName(index),
    kernelReason,
    now: () => Date.now(),
    isContainer: (name) => name.startsWith("manx"),
  } satisfies Parameters<typeof traceHere>[1];
  return async (flows, signal) => {
    if (running >= MOST) return { host, state: "failed", why: `it has ${MOST} traces already` };
    running++;
    try {
      return await traceHere(flows, sources, signal);
    } finally {
      running--;
    }
  };
}

/** @throws ApiError where a name is not known, means several, or the question is too wide */
export async function live(
  agent: Agent,
  query: LiveQuery,
): Promise<(signal: AbortSignal) => AsyncGenerator<LiveEvent, void, undefined>> {
  await agent.settle().catch(() => {}); // what could not be applied is still what we want
  const { endpoints } = agent.takeSnapshot();
  const [found] = findBoth(agent, endpoints, query);
  if (found === undefined)
    throw new ApiError("not-found", `Cannot wait for ${query.from} -> ${query.to}: nobody has that address`);
  const [from, to] = found; // containers that share a service address are asked about one by one
  const flows = flowsOf(query, from, to);
  const hostOf = ({ endpoint, isHost }: End): string | undefined => (isHost ? agent.options.host : endpoint?.host);
  const [sender, receiver] = [hostOf(from), hostOf(to)];
  const ends = { ...(sender !== undefined && { from: sender }), ...(receiver !== undefined && { to: receiver }) };
  return (signal) => watch(agent, flows, ends, query.timeout, signal);
}

function flowsOf(query: LiveQuery, from: End, to: End): LiveFlow[] {
  if (from.label === INTERNET_NAME && to.label === INTERNET_NAME)
    throw new ApiError("invalid", "Cannot wait for a packet from anybody to anybody: name a container or an address");
  const families = ([4, 6] as const).filter(
    (family) => (query.family ?? family) === family && from.addresses.has(family) && to.addresses.has(family),
  );
  if (families.length === 0)
    throw new ApiError("invalid", `Cannot wait for ${query.from} -> ${query.to}: they have no address of one family`);
  const address = ({ label, addresses }: End, family: Family): string | undefined =>
    label === INTERNET_NAME ? undefined : addresses.get(family);
  return families.map((family) => {
    const { protocol } = packetOf(query, { from, to }, family);
    const [source, destination] = [address(from, family), address(to, family)];
    return {
      family,
      protocol,
      ...(source !== undefined && { source }),
      ...(destination !== undefined && { destination }),
      ...(query.port !== undefined && { port: query.port }),
    };
  });
}

async function* watch(
  agent: Agent,
  flows: readonly LiveFlow[],
  ends: LiveEnds,
  seconds: number,
  signal: AbortSignal,
): AsyncGenerator<LiveEvent, void, undefined> {
  const { host } = agent.options;
  const stop = new AbortController();
  const end = AbortSignal.any([signal, agent.signal, stop.signal]);
  const others = new Others(agent.liveRequests, [...(agent.membership?.presence.alive.keys() ?? [])], host);
  const here = agent.traceFlows(flows, AbortSignal.any([end, AbortSignal.timeout(seconds * 1000)]));
  try {
    await others.begin(flows, seconds, end);
    yield { kind: "watching", flows: flows.map(flowText), hosts: [host, ...others.watching].sort() };
    const reports = await collect(here, others, ends, end, () => stop.abort());
    if (signal.aborted) return;
    yield { kind: "result", ...liveWay(reports, ends) };
  } finally {
    stop.abort();
    await Promise.all([here, others[Symbol.asyncDispose]()]);
  }
}

/** Waits until one host has seen it or the time is over, then a moment for the others. */
async function collect(
  here: Promise<LiveReport>,
  others: Others,
  ends: LiveEnds,
  signal: AbortSignal,
  stop: () => void,
): Promise<readonly LiveReport[]> {
  const own: LiveReport[] = [];
  const local = here.then((report) => void own.push(report));
  const reports = (): LiveReport[] => [...own, ...others.reports()];
  const isOver = (): boolean => own.length > 0 && others.silent().length === 0;
  let limit = signal;
  let phase = 0;
  while (!limit.aborted && !isOver()) {
    const now = phaseOf(reports(), own[0], ends);
    if (now > phase) {
      phase = now;
      limit = AbortSignal.any([limit, AbortSignal.timeout(PATIENCE[now])]);
    }
    const news = others.news(limit);
    await (own.length === 0 ? Promise.race([local, news]) : news);
  }
  stop();
  await local;
  return [...reports(), ...others.silent()];
}

/** 0: nobody has seen it; 1: one has; 2: the hosts of both ends have, or the time is over. */
function phaseOf(reports: readonly LiveReport[], own: LiveReport | undefined, { from, to }: LiveEnds): 0 | 1 | 2 {
  const seen = new Set(reports.flatMap(({ host, state }) => (state === "seen" ? [host] : [])));
  if (seen.size === 0) return own?.state === "nothing" ? 2 : 0;
  return [from, to].every((host) => host === undefined || seen.has(host)) ? 2 : 1;
}

/** The other hosts of the cluster; none where this one is alone. */
class Others implements AsyncDisposable {
  readonly #requests: LiveRequests | undefined;
  readonly #hosts: readonly string[];
  #asked: Asked | undefined;
  #why = "its agent did not answer";

  constructor(requests: LiveRequests | undefined, alive: readonly string[], self: string) {
    this.#requests = requests;
    this.#hosts = requests === undefined ? [] : alive.filter((host) => host !== self);
  }

  get watching(): readonly string[] {
    return [...(this.#asked?.watching ?? [])];
  }

  /** Once all look, or some time has passed. */
  async begin(flows: readonly LiveFlow[], seconds: number, signal: AbortSignal): Promise<void> {
    if (this.#requests === undefined || this.#hosts.length === 0) return;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(BEGIN)]);
    try {
      const asked = await this.#requests.ask(flows, seconds);
      this.#asked = asked;
      while (!limit.aborted && this.#hosts.some((host) => !asked.watching.has(host))) await asked.news(limit);
    } catch (error) {
      this.#why = messageOf(error);
    }
  }

  reports(): readonly LiveReport[] {
    return [...(this.#asked?.reports.values() ?? [])];
  }

  /** Those that have not reported, as what they are if they never do. */
  silent(): readonly LiveReport[] {
    const reported = this.#asked?.reports;
    return this.#hosts
      .filter((host) => reported?.has(host) !== true)
      .map((host) =>
        this.#asked?.watching.has(host) === true
          ? { host, state: "nothing" }
          : { host, state: "failed", why: this.#why },
      );
  }

  news(signal: AbortSignal): Promise<void> {
    if (this.#asked !== undefined) return this.#asked.news(signal);
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#asked?.[Symbol.asyncDispose]();
  }
}

function flowText({ protocol, source = "anybody", destination = "anybody", port }: LiveFlow): string {
  return `${source} -> ${destination}  ${protocolName(protocol)}${port === undefined ? "" : ` ${port}`}`;
}

function protocolName(protocol: number): string {
  return PROTOCOLS[protocol] ?? `protocol ${protocol}`;
}

const PROTOCOLS: Readonly<Record<number, string>> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };
