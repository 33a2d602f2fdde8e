/**
 * What a container is told: addresses of the containers that share a network with it, by name, and their names by address. All else
 * is for the host's own resolvers. Never a word about a network that the asker is not on.
 */
import type { Endpoint } from "../calc/snapshot.ts";
import { formatAddress, fromBytes, parseAddress, toBytes } from "../net/address.ts";
import { type DnsRecord, encodeName, type Query, RCODE, type Rcode, TYPE } from "./message.ts";
import type { NameBook } from "./name-book.ts";

export type Decision =
  | {
      readonly kind: "reply";
      readonly rcode: Rcode;
      readonly records: readonly DnsRecord[];
      readonly authoritative: boolean;
    }
  | { readonly kind: "forward" };

/** Seconds. A container that is gone is not asked for long. */
const TTL = 5;
/** Of one alias: an answer must not grow with the number of its containers. */
const MOST_RECORDS = 64;
const FORWARD: Decision = { kind: "forward" };
/** RFC 8482 section 4.2: what ANY is answered with. */
const NO_ANY = new Uint8Array([7, ...Array.from("RFC8482", (letter) => letter.charCodeAt(0)), 0]);

/**
 * `networks`: those of the container that asks; empty for who is no container of this host. `turn`: a number that grows with each
 * question, so that each container of an alias comes first once in a while.
 */
export function decide(query: Query, networks: Iterable<string>, book: NameBook, turn: number): Decision {
  const { name, type } = query;
  if (type === TYPE.AXFR || type === TYPE.IXFR) return reply(RCODE.refused, [], false);
  const found = name === undefined ? [] : find(name, networks, book);
  if (found.length > 0)
    return type === TYPE.ANY ? reply(RCODE.ok, [record(TYPE.HINFO, NO_ANY)]) : addresses(found, type, turn);
  const address = name === undefined ? undefined : reverseAddress(name);
  const target = address === undefined ? undefined : pointer(address, networks, book);
  if (target !== undefined) return reply(RCODE.ok, type === TYPE.PTR ? [record(TYPE.PTR, target)] : []);
  return type === TYPE.ANY ? reply(RCODE.notImplemented, [], false) : FORWARD;
}

function reply(rcode: Rcode, records: readonly DnsRecord[], authoritative = true): Decision {
  return { kind: "reply", rcode, records, authoritative };
}

function record(type: number, data: Uint8Array): DnsRecord {
  return { type, ttl: TTL, data };
}

/** `web`, and as Docker has it also `web.apps` on the network `apps`. */
function find(name: string, networks: Iterable<string>, book: NameBook): readonly Endpoint[] {
  return [...networks].flatMap((network) => {
    const plain = book.find(network, name);
    const suffix = `.${network.toLowerCase()}`;
    return plain.length > 0 || !name.endsWith(suffix) ? plain : book.find(network, name.slice(0, -suffix.length));
  });
}

/** A name that is there but has no such record: no error and no answer (RFC 2308 section 2.2). */
function addresses(found: readonly Endpoint[], type: number, turn: number): Decision {
  const family = type === TYPE.A ? 4 : type === TYPE.AAAA ? 6 : undefined;
  if (family === undefined) return reply(RCODE.ok, []);
  const all = [...new Set(found.flatMap((endpoint) => endpoint.addresses))].flatMap((text) => {
    const parsed = parseAddress(text);
    return parsed?.family === family ? [record(type, toBytes(parsed))] : [];
  });
  const first = all.length === 0 ? 0 : turn % all.length;
  return reply(RCODE.ok, [...all.slice(first), ...all.slice(0, first)].slice(0, MOST_RECORDS));
}

function pointer(address: string, networks: Iterable<string>, book: NameBook): Uint8Array | undefined {
  for (const network of networks) {
    const { container = "" } = book.at(network, address) ?? {};
    const name = container === "" ? undefined : encodeName(`${container}.${network}`.toLowerCase());
    if (name !== undefined) return name;
  }
  return undefined;
}

/** Of `4.3.2.1.in-addr.arpa` (RFC 1035 section 3.5) or its like under `ip6.arpa` (RFC 3596 section 2.5); canonical. */
export function reverseAddress(name: string): string | undefined {
  const labels = name.split(".");
  const zone = labels.slice(-2).join(".");
  const digits = labels.slice(0, -2).reverse();
  if (zone === "in-addr.arpa" && digits.length === 4) {
    const parsed = parseAddress(digits.join("."));
    return parsed === undefined ? undefined : formatAddress(parsed);
  }
  if (zone !== "ip6.arpa" || digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit)))
    return undefined;
  const bytes = Array.from({ length: 16 }, (_, i) => Number.parseInt(`${digits[2 * i]}${digits[2 * i + 1]}`, 16));
  return formatAddress(fromBytes(new Uint8Array(bytes)));
}
