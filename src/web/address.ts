/** Where the dashboard listens. */
import { isIP } from "node:net";
import type { ListenAddress } from "../core/net/listen-address.ts";

export function formatListenAddress({ address, port }: ListenAddress): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}

export function isLoopback({ address }: ListenAddress): boolean {
  return address === "::1" || address.startsWith("127.");
}

/**
 * Whether a Host header may be ours. A page of somebody else's whose name turns to our address (DNS rebinding) shows that name;
 * an address cannot be turned, and the names in `names` are ours.
 */
export function isOurHost(header: string, names: readonly string[]): boolean {
  const [, six, name] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{1,5})?$/i.exec(header) ?? [];
  if (six !== undefined) return isIP(six) === 6;
  if (name === undefined) return false;
  return isIP(name) === 4 || name.toLowerCase() === "localhost" || names.includes(name.toLowerCase());
}
