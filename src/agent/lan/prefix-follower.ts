/**
 * IPv6 LAN pools that move along with the prefix that the router advertises. Where the LAN's prefix is gone or on its way out, a
 * pool of the new one takes the old one's place under the same name: new containers get addresses in it. The old pool gives
 * nothing more; its containers are answered for as long as the old prefix is on the LAN, and keep their addresses until they are
 * started again.
 */
import { isPart } from "../../core/calc/lan.ts";
import type { HostInterface } from "../../core/calc/snapshot.ts";
import { followsPrefix, LAN_NAME, lanInterfaceOf, lanName } from "../../core/model/lan-annotations.ts";
import type { IPPool } from "../../core/model/resources.ts";
import { type Cidr, cidr, formatCidr, overlaps, parseCidr } from "../../core/net/cidr.ts";

export interface Succession {
  readonly before: string;
  readonly after: IPPool;
}

const LOW = (1n << 64n) - 1n;
const LOCAL = cidr("fc00::/7");

/** Which pools have to move now, and where to. Pure. */
export function successions(pools: readonly IPPool[], interfaces: readonly HostInterface[]): Succession[] {
  return pools.flatMap((pool) => {
    const range = parseCidr(pool.spec.cidr);
    if (pool.spec.disabled === true || range === undefined || !followsPrefix(pool)) return [];
    const { networks = [], fading = [] } = interfaces.find(({ name }) => name === lanInterfaceOf(pool)) ?? {};
    const lasting = networks.filter((text) => !fading.includes(text));
    if (lasting.some((text) => isPart(range, text))) return [];
    // A private prefix is no substitute for a public one, nor the other way around.
    const next = lasting
      .map(cidr)
      .find((net) => net.family === 6 && net.length === 64 && isLocal(net) === isLocal(range));
    return next === undefined ? [] : [{ before: pool.metadata.name, after: moved(pool, range, next) }];
  });
}

function moved(pool: IPPool, range: Cidr, prefix: Cidr): IPPool {
  const to = { ...range, value: (prefix.value & ~LOW) | (range.value & LOW) };
  const name = `${lanName(pool)}-${formatCidr({ ...prefix, length: 64 })
    .replace(/::\/64$/, "")
    .replaceAll(":", "-")}`;
  const annotations = { ...pool.metadata.annotations, [LAN_NAME]: lanName(pool) };
  return { ...pool, metadata: { name, annotations }, spec: { ...pool.spec, cidr: formatCidr(to) } };
}

function isLocal(range: Cidr): boolean {
  return overlaps(LOCAL, range);
}

/** Pools left behind, whose prefix this host's LAN no longer has: to be removed once they are empty. */
export function leftBehind(pools: readonly IPPool[], interfaces: readonly HostInterface[]): string[] {
  const all = interfaces.flatMap(({ networks = [] }) => networks);
  return pools.flatMap((pool) => {
    const range = parseCidr(pool.spec.cidr);
    const left = range !== undefined && pool.spec.disabled === true && followsPrefix(pool);
    return left && !all.some((text) => isPart(range, text)) ? [pool.metadata.name] : [];
  });
}
