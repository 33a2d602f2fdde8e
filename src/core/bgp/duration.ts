/** Go's time spans (`1m30s`, `1.5h`; package time, ParseDuration), in the unit that BGP counts in. */
const UNITS: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  ns: 1e-9,
};

/** Whole seconds, rounded; undefined for no text and for what is no time span. */
export function seconds(text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (text === "0") return 0;
  const parts = [...text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return undefined;
  return Math.round(parts.reduce((sum, [, number, unit]) => sum + Number(number) * (UNITS[unit ?? ""] ?? 0), 0));
}
