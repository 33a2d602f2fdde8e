/** The way of one packet over several hosts, from what each of them saw, and where it died. */
import type { LivePassage } from "./live.ts";

/** `nothing`: it did not come by; `failed`: the host could not look, or did not answer. */
export type LiveReport =
  | { readonly host: string; readonly state: "seen"; readonly passage: LivePassage }
  | { readonly host: string; readonly state: "nothing" }
  | { readonly host: string; readonly state: "failed"; readonly why: string };

/**
 * `refused`: it arrived, nothing listens there; `lost`: between two hosts; `unanswered`: it arrived as far as anybody can see,
 * no answer came; `nothing-came`: no packet was seen.
 */
export type LiveOutcome = "answered" | "refused" | "dropped" | "unreachable" | "lost" | "unanswered" | "nothing-came";

export interface LiveWay {
  readonly outcome: LiveOutcome;
  readonly text: string;
  /** Those that it crossed, in order, then the others. */
  readonly hosts: readonly LiveReport[];
}

/** Hosts of the two ends, where they are hosts of the cluster. */
export interface LiveEnds {
  readonly from?: string;
  readonly to?: string;
}

type Seen = Extract<LiveReport, { state: "seen" }>;

export function liveWay(reports: readonly LiveReport[], ends: LiveEnds): LiveWay {
  const rank = ({ host, state }: LiveReport): number =>
    state !== "seen" ? 4 : host === ends.from ? 0 : host === ends.to ? 2 : 1;
  const hosts = reports.toSorted((a, b) => rank(a) - rank(b) || (a.host < b.host ? -1 : 1));
  const seen = hosts.filter((report) => report.state === "seen");
  return { ...judge(seen, hosts, ends), hosts };
}

function judge(seen: readonly Seen[], all: readonly LiveReport[], { to }: LiveEnds): Omit<LiveWay, "hosts"> {
  const last = seen.at(-1);
  if (last === undefined) return { outcome: "nothing-came", text: "no packet of it came by" };
  // What was not seen further on may still have been answered: what the kernel says of it is better than nothing seen.
  const died = seen.find(({ passage: { end, answer } }) => end === "dropped" || (end === "vanished" && !answer));
  if (died !== undefined) return { outcome: "dropped", text: `host ${died.host}: ${died.passage.text}` };
  const answer = told(seen);
  if (answer !== undefined) return answer;
  const { host, passage } = last;
  if (passage.end === "delivered")
    return { outcome: "unanswered", text: `host ${host}: ${passage.text}; no answer came within a moment` };
  const missing = all.find((report) => report.host === to && report.state !== "seen");
  if (missing?.state === "nothing")
    return { outcome: "lost", text: `it ${passage.text} of host ${host} and did not come to host ${missing.host}` };
  const unseen = missing?.state === "failed" ? `, and host ${missing.host} could not look (${missing.why})` : "";
  return {
    outcome: "unanswered",
    text: `it ${passage.text} of host ${host}; no answer came back within a moment${unseen}`,
  };
}

/** The answer; where it died on its way back, there. */
function told(seen: readonly Seen[]): Omit<LiveWay, "hosts"> | undefined {
  const answers = seen.flatMap(({ host, passage: { answer } }) => (answer === undefined ? [] : [{ host, ...answer }]));
  const dropped = answers.find(({ kind }) => kind === "dropped");
  if (dropped !== undefined)
    return { outcome: "dropped", text: `it arrived, but on host ${dropped.host} ${dropped.text}` };
  const [first] = answers;
  if (first === undefined) return undefined;
  const arrived = first.kind === "unreachable" ? "" : "it arrived; ";
  return { outcome: first.kind === "dropped" ? "dropped" : first.kind, text: `${arrived}${first.text}` };
}
