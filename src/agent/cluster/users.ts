/** Who is on a network, for people: `host "h2" (web, db) and host "h3" (cache)`. */
import type { Endpoint } from "../../core/calc/snapshot.ts";

const MOST_NAMES = 5;

export function sayUsers(byHost: ReadonlyMap<string, ReadonlySet<Endpoint>>): string | undefined {
  const hosts = [...byHost].sort(([a], [b]) => (a < b ? -1 : 1));
  if (hosts.length === 0) return undefined;
  return hosts.map(([host, endpoints]) => `host "${host}" (${names(endpoints)})`).join(" and ");
}

function names(endpoints: ReadonlySet<Endpoint>): string {
  const all = [...endpoints].map(({ container, id }) => container || id.slice(0, 12)).sort();
  const shown = all.slice(0, MOST_NAMES).join(", ");
  return all.length > MOST_NAMES ? `${shown} and ${all.length - MOST_NAMES} more` : shown;
}
