/**
 * The answer to `show protocols all` (BIRD's doc/reply_codes: 2002 the head, 1002 a protocol, 1006 its details). The codes tell what a
 * line is; inside the details the depth of a line tells what it belongs to, and what stands before the colon what it is.
 */
import type { ChannelReport, SessionReport } from "../../core/bgp/status.ts";
import type { Reply } from "./control.ts";

const ROW = 1002;
const DETAIL = 1006;

/** The BGP sessions by the name of their protocol. */
export function parseSessions(reply: Reply): ReadonlyMap<string, SessionReport> {
  const out = new Map<string, SessionReport>();
  let row: readonly string[] = [];
  let details: string[] = [];
  const close = (): void => {
    if (row[1] === "BGP" && row[0] !== undefined) out.set(row[0], sessionReport(row, details));
    details = [];
  };
  for (const { code, text } of reply) {
    if (code === DETAIL) details.push(text);
    if (code !== ROW) continue;
    close();
    row = text.trim().split(/ +/);
  }
  close();
  return out;
}

function sessionReport(row: readonly string[], lines: readonly string[]): SessionReport {
  const at = lines.findIndex((line) => depth(line) === 2 && line.trim().startsWith("Channel "));
  const head = at === -1 ? lines : lines.slice(0, at);
  const lastError = valueOf(head, "Last error");
  const since = `${row[4] ?? ""} ${row[5] ?? ""}`.trim();
  return {
    state: valueOf(head, "BGP state") ?? (row[3] === "down" ? "Idle" : (row[3] ?? "Idle")),
    since,
    ...(lastError === undefined ? {} : { lastError }),
    peerFamilies: offered(head),
    channels: at === -1 ? [] : channels(lines.slice(at)),
  };
}

function depth(line: string): number {
  return line.length - line.trimStart().length;
}

function valueOf(lines: readonly string[], key: string): string | undefined {
  const found = lines.find((line) => line.trimStart().startsWith(`${key}:`));
  return found
    ?.trim()
    .slice(key.length + 1)
    .trim();
}

/** Without multiprotocol capabilities the peer speaks IPv4 (RFC 4760 section 1). */
function offered(head: readonly string[]): readonly (4 | 6)[] {
  const from = head.findIndex((line) => line.trim() === "Neighbor capabilities");
  if (from === -1) return [];
  const announced = valueOf(head.slice(from), "AF announced");
  if (announced === undefined) return [4];
  const names = announced.split(" ");
  return ([4, 6] as const).filter((family) => names.includes(`ipv${family}`));
}

function channels(lines: readonly string[]): ChannelReport[] {
  const starts = lines.flatMap((line, index) =>
    depth(line) === 2 && line.trim().startsWith("Channel ") ? [index] : [],
  );
  return starts.flatMap((start, index): ChannelReport[] => {
    const name = lines[start]?.trim().slice("Channel ".length);
    if (name !== "ipv4" && name !== "ipv6") return [];
    const body = lines.slice(start + 1, starts[index + 1]);
    const counts = routeCounts(valueOf(body, "Routes") ?? "");
    return [
      {
        family: name === "ipv4" ? 4 : 6,
        isUp: valueOf(body, "State") === "UP",
        accepted: counts.get("imported") ?? 0,
        refused: counts.get("filtered") ?? 0,
        announced: counts.get("exported") ?? 0,
      },
    ];
  });
}

/** `2 imported, 1 filtered, 1 exported, 2 preferred` */
function routeCounts(text: string): ReadonlyMap<string, number> {
  return new Map(
    text.split(", ").map((part) => {
      const [number = "0", word = ""] = part.split(" ");
      return [word, Number(number)];
    }),
  );
}
