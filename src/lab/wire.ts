/**
 * The network of a lab: one Ethernet segment that the hosts, a router and a LAN machine share, and an "internet" behind the
 * router. Dual stack. Every lab has the same addresses: its namespaces see no other lab.
 *
 *     h1 .11   h2 .12  ...   lan .100       router .1 --- 203.0.113.0/24 --- internet .10
 *      +--------+--------------+---------------+
 *                 10.99.0.0/24, fd99::/64
 */
import { mustRun } from "../drivers/exec.ts";
import { freshSettings } from "./fresh.ts";
import { enterNetwork, type Holder } from "./holder.ts";

export interface Addresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

export const MAX_HOSTS = 64;
export const ROUTER: Addresses = { ipv4: "10.99.0.1", ipv6: "fd99::1" };
export const LAN: Addresses = { ipv4: "10.99.0.100", ipv6: "fd99::100" };
export const INTERNET: Addresses = { ipv4: "203.0.113.10", ipv6: "2001:db8:113::10" };
const INTERNET_ROUTER: Addresses = { ipv4: "203.0.113.1", ipv6: "2001:db8:113::1" };

/** Address of the host with this index, from 1. */
export function hostAddresses(index: number): Addresses {
  return { ipv4: `10.99.0.${10 + index}`, ipv6: `fd99::${10 + index}` };
}

async function set(holder: Holder, ...settings: readonly string[]): Promise<void> {
  await mustRun(enterNetwork(holder, ["busybox", "sysctl", "-q", "-w", ...settings]));
}

/** The router with its bridge, the wire, and the way to the internet. */
export async function layWire(router: Holder, internet: Holder): Promise<void> {
  const forwards = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.accept_dad=0"];
  await set(router, ...freshSettings(), ...forwards);
  await ip(router, [
    "link set lo up",
    "link add wire type bridge forward_delay 0 mcast_snooping 0",
    "link set wire up",
    ...assign("wire", ROUTER),
    `link add internet type veth peer name eth0 netns ${internet.pid}`,
    "link set internet up",
    ...assign("internet", INTERNET_ROUTER),
  ]);
  await connect(internet, INTERNET, INTERNET_ROUTER);
}

/** Plugs a machine into the wire, as its eth0. */
export async function plugIn(router: Holder, machine: Holder, addresses: Addresses): Promise<void> {
  await ip(router, [
    `link add ${machine.name} type veth peer name eth0 netns ${machine.pid}`,
    `link set ${machine.name} master wire up`,
  ]);
  await connect(machine, addresses, ROUTER);
}

/** Duplicate address detection would keep link-local addresses back for a second or two; there are no duplicates here. */
async function connect(machine: Holder, addresses: Addresses, router: Addresses): Promise<void> {
  await set(machine, ...freshSettings("eth0"), "net.ipv6.conf.eth0.accept_dad=0");
  await ip(machine, ["link set lo up", "link set eth0 up", ...assign("eth0", addresses), ...defaults(router)]);
}

/** Tells the router and the LAN machine by which machine a prefix is reached, as a routing protocol would; undefined: by none. */
export async function routeVia(machines: readonly Holder[], prefix: string, via: Addresses | undefined): Promise<void> {
  const gateway = via === undefined ? undefined : prefix.includes(":") ? via.ipv6 : via.ipv4;
  const command = gateway === undefined ? ["route", "del", prefix] : ["route", "replace", prefix, "via", gateway];
  const family = prefix.includes(":") ? "-6" : "-4";
  for (const machine of machines) await mustRun(enterNetwork(machine, ["ip", family, ...command]));
}

function assign(link: string, { ipv4, ipv6 }: Addresses): string[] {
  return [`addr add ${ipv4}/24 dev ${link}`, `addr add ${ipv6}/64 dev ${link} nodad`];
}

function defaults({ ipv4, ipv6 }: Addresses): string[] {
  return [`route add default via ${ipv4}`, `route add ::/0 via ${ipv6}`];
}

async function ip(holder: Holder, lines: readonly string[]): Promise<void> {
  await mustRun(enterNetwork(holder, ["ip", "-batch", "-"]), { input: `${lines.join("\n")}\n` });
}
