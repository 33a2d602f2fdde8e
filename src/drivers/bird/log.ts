/**
 * What BIRD logs of a session's end (`2026-11-27 17:33:53.710 <RMT> NAME: Error: Bad peer AS: 65100`). It says more than the "Last error" of
 * `show protocols`, which the next attempt to connect overwrites.
 */
import type { SessionReport } from "../../core/bgp/status.ts";

const KINDS = ["Error: ", "Received: "];

/** The report with the reason for which the session ended last, if the log has one from its present state. */
export function withLastWords(report: SessionReport, name: string, log: string): SessionReport {
  if (report.state === "Established") return report;
  const mark = `> ${name}: `;
  for (const line of log.split("\n").toReversed()) {
    const at = line.indexOf(mark);
    if (at === -1) continue;
    const words = line.slice(at + mark.length);
    // Both times are written from the year down to the second.
    if (line.slice(0, report.since.length) < report.since) return report;
    if (KINDS.some((kind) => words.startsWith(kind))) return { ...report, lastError: words };
  }
  return report;
}
