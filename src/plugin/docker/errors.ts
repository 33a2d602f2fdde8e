import { AddressError } from "../../agent/addresses.ts";
import { DriverError } from "../../drivers/error.ts";

/** What Docker asked for cannot be done. The message is one sentence for the user who typed the docker command. */
export class PluginError extends Error {
  override readonly name = "PluginError";
}

const MOST = 1000;

/** The sentence for Docker's user; undefined for an error that nobody foresaw, which must not be shown but logged. */
export function sentenceOf(error: unknown): string | undefined {
  const foreseen = error instanceof PluginError || error instanceof AddressError || error instanceof DriverError;
  return foreseen ? printable(error.message).slice(0, MOST) : undefined;
}

/** A piece of somebody's input for an error text. */
export function quote(text: string): string {
  return JSON.stringify(printable(text.length > 80 ? `${text.slice(0, 77)}...` : text));
}

/** Without what could upset a terminal: control characters, and those that turn the direction of writing. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, "?");
}
