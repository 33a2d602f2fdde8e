/** `60s`, `5m`, `1h`, or seconds. */
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";

const SECONDS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600 };

/** Whole seconds between the limits. @throws CliError (usage) */
export function parseDuration(text: string, least: number, most: number): number {
  const [, number = "", unit = ""] = /^([0-9]{1,6})(s|m|h|)$/.exec(text) ?? [];
  const seconds = number === "" ? Number.NaN : Number(number) * (SECONDS[unit] ?? 1);
  if (seconds >= least && seconds <= most) return seconds;
  throw new CliError(EXIT.usage, `Cannot wait "${text}": a time is ${least}s to ${formatDuration(most)}, as 60s or 5m`);
}

export function formatDuration(seconds: number): string {
  if (seconds >= 3600 && seconds % 3600 === 0) return `${seconds / 3600}h`;
  return seconds >= 60 && seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}
