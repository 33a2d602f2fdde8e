/** What a listing says of an endpoint. */
import type { EndpointView } from "../api/client.ts";
import type { Column } from "./output.ts";

export const ENDPOINT_COLUMNS: readonly Column<EndpointView>[] = [
  {
    title: "CONTAINER",
    value: ({ container, id }) => container || id.slice(0, 12),
    style: ({ running }) => (running ? "strong" : "dim"),
  },
  { title: "NETWORK", value: ({ network }) => network },
  { title: "HOST", value: ({ host }) => host },
  { title: "IPV4", value: ({ ipv4 }) => ipv4.join(", ") },
  { title: "IPV6", value: ({ ipv6 }) => ipv6.join(", ") },
  { title: "SERVICE ADDRESSES", value: ({ serviceAddresses = [] }) => serviceAddresses.join(", "), wide: true },
  { title: "NAMESPACE", value: ({ namespace }) => namespace, wide: true },
  { title: "INTERFACE", value: (row) => row.interface ?? "", wide: true },
  { title: "MAC", value: ({ mac }) => mac ?? "", wide: true },
  { title: "MTU", value: ({ mtu }) => (mtu === undefined ? "" : String(mtu)), wide: true },
  { title: "PUBLISHED", value: ({ published }) => published.map(portText).join(", "), wide: true },
  {
    title: "LABELS",
    value: ({ labels }) =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(", "),
    wide: true,
  },
  { title: "OUT TO INTERNET", value: ({ outgoing }) => outgoing.brief, wide: true },
];

/** `80/tcp`, or `8080->80/tcp` where a port of the host leads there. */
export function portText({ protocol, port, host }: EndpointView["published"][number]): string {
  const own = `${port}/${protocol.toLowerCase()}`;
  if (host === undefined) return own;
  const address = host.address.includes(":") ? `[${host.address}]:` : host.address === "" ? "" : `${host.address}:`;
  return `${address}${host.port}->${own}`;
}
