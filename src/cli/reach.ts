/** Reachability in words: briefly for a table, in full for one container, and what would change it. */
import type { EndpointView, Reach } from "../api/client.ts";
import { portText } from "./endpoint-columns.ts";
import type { Paint } from "./table.ts";
import type { Style } from "./terminal.ts";
import { padEnd, plain, width } from "./text.ts";

/** [source, as a reader calls it], nearest first. */
function sources({ network, reachability, host, ...row }: EndpointView): readonly (readonly [string, Reach])[] {
  return [
    [row.interface === undefined ? `host ${host}` : "this host", reachability.host],
    [network, reachability.sameNetwork],
    ["other networks", reachability.otherContainers],
    ["LAN", reachability.lan],
    ["internet", reachability.internet],
  ];
}

const EVERYWHERE = 5;

/** Only those that get in: `this host, apps, other networks (80/tcp)`. */
export function reachableFrom(row: EndpointView): string {
  const open = sources(row).filter(([, { answer }]) => answer !== "no");
  if (open.length === 0) return row.running ? "nowhere" : "nowhere: not running";
  return open.map(([source, { answer, brief }]) => (answer === "yes" ? source : `${source} (${brief})`)).join(", ");
}

const MOST = 4;

/** `web from other networks: COMMAND`, one line a command, for the first few. */
export function changes(rows: readonly EndpointView[]): string[] {
  const byCommand = new Map<string, { names: Set<string>; from: Set<string> }>();
  for (const row of rows)
    for (const [source, { change }] of sources(row)) {
      if (change === undefined) continue;
      const entry = byCommand.get(change) ?? { names: new Set(), from: new Set() };
      entry.names.add(row.container || row.id.slice(0, 12));
      entry.from.add(source);
      byCommand.set(change, entry);
    }
  const lines = [...byCommand].map(
    ([change, { names, from }]) =>
      [`${some([...names])} from ${from.size === EVERYWHERE ? "anywhere" : [...from].join(", ")}:`, change] as const,
  );
  const shown = lines.slice(0, MOST);
  const column = Math.max(0, ...shown.map(([who]) => width(who)));
  const out = shown.map(([who, change]) => `${padEnd(plain(who), column)}  ${plain(change)}`);
  const [first] = rows;
  if (first === undefined || out.length === 0) return out;
  const rest = lines.length > MOST ? `and ${lines.length - MOST} more; ` : "";
  return [...out, `${rest}manx ls ${plain(first.container || first.id)} tells why, and all that would change it`];
}

function some(names: readonly string[]): string {
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

const STYLES: Readonly<Record<Reach["answer"], Style>> = { yes: "good", partly: "warn", no: "dim" };

/** Who wrote `-p 8080:80` looks for port 8080 of the host: it is said that there is none. */
function published({ published: ports }: EndpointView): string {
  const text = ports.map(portText).join(", ");
  const own = ports.length > 0 && ports.every(({ host }) => host === undefined);
  return own ? `${text}, of its own address: no port of the host leads to it` : text;
}

/** All that is known of one endpoint, for a reader. */
export function renderDetail(row: EndpointView, paint: Paint): string[] {
  const state = row.running ? "" : ", not running";
  const facts: (readonly [string, string])[] = [
    ["addresses", [...row.ipv4, ...row.ipv6].join("  ")],
    ["published", published(row)],
    [
      "labels",
      Object.entries(row.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join("  "),
    ],
    ["namespace", row.namespace === "default" ? "" : row.namespace],
    [
      "interface",
      [row.interface, row.mac, row.mtu === undefined ? undefined : `MTU ${row.mtu}`]
        .filter((text) => text !== undefined)
        .join("  "),
    ],
  ];
  const name = row.container || row.id.slice(0, 12);
  const reaches = [...sources(row)];
  const column = Math.max(14, ...reaches.map(([source]) => width(plain(source))));
  const briefs = Math.max(...reaches.map(([, { brief }]) => width(brief)), width(row.outgoing.brief));
  const line = (source: string, reach: Reach): string[] => [
    `  ${padEnd(plain(source), column)}  ${paint(STYLES[reach.answer], padEnd(plain(reach.brief), briefs))}  ${plain(reach.why)}`,
    ...(reach.change === undefined ? [] : [`  ${" ".repeat(column + briefs + 4)}change: ${plain(reach.change)}`]),
  ];
  return [
    paint("heading", plain(`${name} on ${row.network}, host ${row.host}${state}`)),
    ...facts.filter(([, text]) => text !== "").map(([title, text]) => `  ${padEnd(title, column)}  ${plain(text)}`),
    "reachable from",
    ...reaches.flatMap(([source, reach]) => line(source, reach)),
    "reaches",
    ...line("internet", row.outgoing),
  ];
}
