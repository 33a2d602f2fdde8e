/** Flows as lines: for a listing, and one by one while they are followed. */
import type { FlowView } from "../api/client.ts";
import type { Column } from "./table.ts";
import type { Style } from "./terminal.ts";

export const FLOW_STYLES: Readonly<Record<FlowView["verdict"], Style>> = {
  allow: "good",
  deny: "bad",
  log: "warn",
  "would-allow": "dim",
  "would-deny": "warn",
  "would-pass": "dim",
};

export function partyText({ kind, container, network, host, address, gone }: FlowView["source"]): string {
  if (kind === "endpoint") return `${network}/${container}${gone === true ? " (gone)" : ""}`;
  return kind === "host" ? `host ${host}` : address;
}

export function serviceText({ protocol, destinationPort, icmp }: FlowView): string {
  if (icmp !== undefined) return `${protocol}/${icmp.type}/${icmp.code}`;
  return destinationPort === undefined ? protocol : `${destinationPort}/${protocol}`;
}

/** What decided; where both ends had a say, the receiver's. */
export function reasonText({ reasons, verdict }: FlowView): string {
  return reasons.at(-1)?.text ?? (verdict === "allow" ? "no rule stands in the way" : "no rule matched");
}

/** `now`, `5s`, `12m`, `3h`: how long ago. */
export function ago(time: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1000));
  if (seconds < 1) return "now";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes}m` : `${Math.round(minutes / 60)}h`;
}

/** Flows of the same ends by name as one: a name has an address of each family. Seen last first, as they come. */
export function byName(flows: readonly FlowView[]): FlowView[] {
  const rows = new Map<string, FlowView>();
  for (const flow of flows) {
    const decided = flow.verdict === "allow" ? "" : reasonText(flow);
    const key = [flow.verdict, partyText(flow.source), partyText(flow.destination), serviceText(flow), decided].join(
      "\n",
    );
    const row = rows.get(key);
    if (row === undefined) rows.set(key, flow);
    else
      rows.set(key, {
        ...row,
        count: row.count + flow.count,
        reasons: row.reasons.length > 0 ? row.reasons : flow.reasons,
        ...(row.hosts && { hosts: [...new Set([...row.hosts, ...(flow.hosts ?? [])])].sort() }),
      });
  }
  return [...rows.values()];
}

/** `ofAll`: of all hosts. */
export function flowColumns(now: number, ofAll: boolean): Column<FlowView>[] {
  return [
    { title: "LAST", value: ({ last }) => ago(last, now) },
    { title: "VERDICT", value: ({ verdict }) => verdict, style: ({ verdict }) => FLOW_STYLES[verdict] },
    { title: "COUNT", value: ({ count }) => String(count) },
    { title: "FROM", value: ({ source }) => partyText(source) },
    { title: "TO", value: ({ destination }) => partyText(destination) },
    { title: "PORT", value: serviceText },
    ...(ofAll ? [{ title: "SEEN BY", value: ({ hosts = [] }: FlowView) => hosts.join(", ") }] : []),
    { title: "SOURCE", value: ({ source }) => source.address, wide: true },
    { title: "DESTINATION", value: ({ destination }) => destination.address, wide: true },
    { title: "FIRST", value: ({ first }) => first, wide: true },
    { title: "BECAUSE", value: reasonText },
  ];
}
