/** From two looks at counters to what happens in a second. */
export interface Counted {
  readonly id: string;
  readonly container: string;
  readonly namespace: string;
  readonly network: string;
  readonly sent: { readonly bytes: number; readonly packets: number };
  readonly received: { readonly bytes: number; readonly packets: number };
  readonly flows: number;
  readonly drops: number;
}

export interface Look<T extends Counted = Counted> {
  /** Milliseconds of a clock that only goes forward. */
  readonly time: number;
  readonly endpoints: readonly T[];
}

/** Per second. */
export interface Rates {
  readonly id: string;
  readonly container: string;
  readonly namespace: string;
  readonly network: string;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly sentPackets: number;
  readonly receivedPackets: number;
  readonly flows: number;
  readonly drops: number;
}

export const SORT_KEYS = ["bytes", "packets", "flows", "drops", "name"] as const;
export type SortKey = (typeof SORT_KEYS)[number];

/** Of the endpoints in both looks; a counter that began anew counts from nothing. */
export function rates(before: Look, now: Look): Rates[] {
  const seconds = Math.max((now.time - before.time) / 1000, 0.001);
  const old = new Map(before.endpoints.map((endpoint) => [endpoint.id, endpoint]));
  return now.endpoints.flatMap((endpoint) => {
    const last = old.get(endpoint.id);
    if (last === undefined) return [];
    const per = (a: number, b: number): number => (a < b ? a : a - b) / seconds;
    const { id, container, namespace, network, sent, received, flows, drops } = endpoint;
    return [
      {
        id,
        container,
        namespace,
        network,
        sentBytes: per(sent.bytes, last.sent.bytes),
        receivedBytes: per(received.bytes, last.received.bytes),
        sentPackets: per(sent.packets, last.sent.packets),
        receivedPackets: per(received.packets, last.received.packets),
        flows: per(flows, last.flows),
        drops: per(drops, last.drops),
      },
    ];
  });
}

/** Most first; equals by name, so that lines do not jump. */
export function sorted(all: readonly Rates[], key: SortKey): Rates[] {
  const value = ({ sentBytes, receivedBytes, sentPackets, receivedPackets, flows, drops }: Rates): number => {
    switch (key) {
      case "bytes":
        return sentBytes + receivedBytes;
      case "packets":
        return sentPackets + receivedPackets;
      case "flows":
        return flows;
      case "drops":
        return drops;
      case "name":
        return 0;
    }
  };
  const name = ({ container, network }: Rates): string => `${container} ${network}`;
  return [...all].sort((a, b) => value(b) - value(a) || (name(a) < name(b) ? -1 : 1));
}
