import { AddressError } from "../../agent/addresses.ts";
import { DriverError } from "../../drivers/error.ts";

/** What Docker asked for cannot be done. The message is one sentence for the user who typed the docker command. */
export class PluginError extends Error {
  override readonly name = "PluginError";
}

/** The sentence for Docker's user; undefined for an error that nobody foresaw, which must not be shown but logged. */
export function sentenceOf(error: unknown): string | undefined {
  const foreseen = error instanceof PluginError || error instanceof AddressError || error instanceof DriverError;
  return foreseen ? error.message : undefined;
}

/** A piece of somebody's input for an error text: short, and with nothing that could upset a terminal. */
export function quote(text: string): string {
  const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  return JSON.stringify(shown).replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "?");
}
