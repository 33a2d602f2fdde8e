/** The resolvers that the host itself uses: resolv.conf(5). */
import { readFile } from "node:fs/promises";
import { parseAddress } from "../../core/net/address.ts";

/** As the resolver library has it (MAXNS). */
const MOST_SERVERS = 3;
const FILE = "/etc/resolv.conf";
/** Where systemd-resolved writes whom it asks; the host itself is told to ask 127.0.0.53. */
const BEHIND_RESOLVED = "/run/systemd/resolve/resolv.conf";

export function nameservers(text: string): string[] {
  const found = text.split("\n").flatMap((line) => {
    const [word, server = ""] = line.trim().split(/\s+/);
    // A link-local server with its interface (fe80::1%eth0) is one as well.
    return word === "nameserver" && parseAddress(server.split("%")[0] ?? "") !== undefined ? [server] : [];
  });
  return found.slice(0, MOST_SERVERS);
}

/** Empty where the file has none or cannot be read. */
export async function hostResolvers(file = FILE): Promise<string[]> {
  return nameservers(await readFile(file, "utf8").catch(() => ""));
}

/** Those that a container can ask by itself too: none that only this host's loopback has, and none with an interface. */
export async function reachableResolvers(): Promise<string[]> {
  const isFar = (server: string): boolean => !/^(127\.|::1$|169\.254\.|fe80:)/.test(server);
  const own = (await hostResolvers()).filter(isFar);
  return own.length > 0 ? own : (await hostResolvers(BEHIND_RESOLVED)).filter(isFar);
}
