/** Where a server listens: `127.0.0.1:7442`, `[::1]:7442`. An address, never a name: what it means must not change. */
import { parseAddress } from "./address.ts";

export interface ListenAddress {
  readonly address: string;
  readonly port: number;
}

/** Undefined for anything that is not an address and a port up to 65535. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, six, four, digits = ""] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/i.exec(text) ?? [];
  const address = six ?? four;
  const port = Number(digits);
  if (address === undefined || port === 0 || port > 65_535) return undefined;
  const parsed = parseAddress(address);
  return parsed === undefined || (parsed.family === 6) !== (six !== undefined) ? undefined : { address, port };
}
