/** Go's time spans (`1m30s`, `1.5h`; package time, ParseDuration), as Calico's API takes them, without those below zero. */
const UNITS: Readonly<Record<string, number>> = {
  h: 3600,
  m: 60,
  s: 1,
  ms: 1e-3,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ns: 1e-9,
};

/** 63 bits of nanoseconds. */
const MAX_SECONDS = 2 ** 63 / 1e9;

/** Whole seconds, rounded; undefined for no text and for what is no time span. */
export function seconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const span = text.startsWith("+") ? text.slice(1) : text;
  if (span === "0") return 0;
  const parts = [...span.matchAll(/([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== span) return undefined;
  const sum = parts.reduce((so, [, number, unit]) => so + Number(number) * (UNITS[unit ?? ""] ?? 0), 0);
  return sum <= MAX_SECONDS ? Math.round(sum) : undefined;
}
