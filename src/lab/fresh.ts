/**
 * Settings that a new network namespace takes over from the machine that it is made on (net.core.devconf_inherit_init_net: of IPv4 all
 * of net.ipv4.conf, with 1 and 3 of IPv6 as well), as a kernel has them that nobody has told anything: net/ipv4/devinet.c,
 * net/ipv6/addrconf.c. Those that systemd, Docker and hardening guides set.
 */
const IPV4: Readonly<Record<string, number>> = {
  accept_local: 0,
  accept_redirects: 1,
  arp_accept: 0,
  arp_announce: 0,
  arp_filter: 0,
  arp_ignore: 0,
  arp_notify: 0,
  ignore_routes_with_linkdown: 0,
  log_martians: 0,
  promote_secondaries: 0,
  proxy_arp: 0,
  route_localnet: 0,
  rp_filter: 0,
  secure_redirects: 1,
  send_redirects: 1,
  src_valid_mark: 0,
};
const IPV6: Readonly<Record<string, number>> = { accept_ra: 1, accept_redirects: 1, autoconf: 1, disable_ipv6: 0 };

/**
 * Arguments of `sysctl -w` for a namespace just made that has these links. Forwarding comes first: a change of it changes others.
 */
export function freshSettings(...links: readonly string[]): string[] {
  const at = (family: string, places: readonly string[], values: Readonly<Record<string, number>>): string[] =>
    places.flatMap((place) =>
      Object.entries(values).map(([name, value]) => `net.${family}.conf.${place}.${name}=${value}`),
    );
  return [
    "net.ipv4.ip_forward=0",
    "net.ipv6.conf.all.forwarding=0",
    ...at("ipv4", ["all", "default", "lo", ...links], IPV4),
    ...at("ipv4", ["all"], { accept_source_route: 0 }),
    ...at("ipv4", ["default", "lo", ...links], { accept_source_route: 1 }),
    ...at("ipv6", ["all", "default", ...links], IPV6),
  ];
}
