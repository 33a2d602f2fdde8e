/** What has passed a link: IFLA_STATS64, `struct rtnl_link_stats64` of linux/if_link.h. */
import { Attributes, type MessageWriter } from "../syscall/netlink-message.ts";

export interface SideCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly dropped: number;
}

/** Seen from the namespace that the link is in. */
export interface LinkCounters {
  readonly name: string;
  readonly received: SideCounters;
  readonly sent: SideCounters;
}

const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_STATS64 = 23;
const IFLA_INFO_KIND = 1;
const HEADER = 16;
/** Members of the structure, in their order: 64 bits each. */
const FIELD = { rxPackets: 0, txPackets: 1, rxBytes: 2, txBytes: 3, rxDropped: 6, txDropped: 7 } as const;

const attributes = new Attributes(64);

export function writeGetCounters(w: MessageWriter, kind: string): MessageWriter {
  w.begin(RTM_GETLINK, 0).raw(new Uint8Array(HEADER));
  w.nest(IFLA_LINKINFO, () => w.string(IFLA_INFO_KIND, kind));
  return w.end();
}

/** Undefined for a link that tells none. */
export function parseCounters(body: Uint8Array): LinkCounters | undefined {
  attributes.read(body, HEADER);
  const name = attributes.string(IFLA_IFNAME);
  const stats = attributes.bytes(IFLA_STATS64);
  if (name === undefined || stats === undefined || stats.length < 64) return undefined;
  const view = new DataView(stats.buffer, stats.byteOffset, stats.byteLength);
  const at = (field: keyof typeof FIELD): number => Number(view.getBigUint64(FIELD[field] * 8, true));
  return {
    name,
    received: { bytes: at("rxBytes"), packets: at("rxPackets"), dropped: at("rxDropped") },
    sent: { bytes: at("txBytes"), packets: at("txPackets"), dropped: at("txDropped") },
  };
}
