/** Takes all that is ours out of the kernel, by the marks that it bears, whether or not an agent ever knew of it. */
import { Reconciler, type Target } from "../core/reconcile/reconciler.ts";
import { mustRun, run } from "../drivers/exec.ts";
import { Forward } from "../drivers/iptables/forward.ts";
import { GatewayAddressTarget } from "../drivers/netlink/gateway-address-target.ts";
import { KernelRtnetlink } from "../drivers/netlink/kernel-rtnetlink.ts";
import { LinkTarget } from "../drivers/netlink/link-target.ts";
import { NeighbourTarget } from "../drivers/netlink/neighbour-target.ts";
import { ProxyTarget } from "../drivers/netlink/proxy-target.ts";
import { RouteTarget } from "../drivers/netlink/route-target.ts";
import { ServiceTarget } from "../drivers/netlink/service-target.ts";
import { Nftables } from "../drivers/nftables/nftables.ts";
import { sweepTraces } from "../drivers/nftables/trace.ts";
import { type Originals, readSysctl, restoreSysctls } from "../drivers/system/sysctls.ts";

const IPV4 = "net/ipv4/ip_forward";
const IPV6 = "net/ipv6/conf/all/forwarding";

/** Routes and links first, the firewall last: there is no moment in which a packet passes unfiltered. */
export async function removeFromKernel(signal: AbortSignal): Promise<void> {
  using rtnetlink = new KernelRtnetlink();
  await clear(new ProxyTarget(rtnetlink), signal);
  await clear(new RouteTarget(rtnetlink), signal);
  await clear(new ServiceTarget(rtnetlink), signal);
  await clear(new NeighbourTarget(rtnetlink), signal);
  {
    await using links = new LinkTarget(rtnetlink);
    await clear(links, signal);
  }
  await clear(new GatewayAddressTarget(rtnetlink), signal);
  await new Forward().remove(signal);
  sweepTraces();
  using nftables = Nftables.open();
  await nftables.clear();
}

async function clear<V>(target: Target<string, V>, signal: AbortSignal): Promise<void> {
  await new Reconciler(target).step(new Map(), signal);
}

/**
 * Gives kernel settings their old values. Where Docker runs, it relies on the IPv4 forwarding that it found on; had it switched it on by
 * itself, it would have closed FORWARD. So then that is done, and the host does not become a router. Returns what was left on.
 */
export async function giveBackSettings(
  originals: Originals,
  docker: { readonly running: boolean; readonly needsIpv6Forwarding: boolean },
): Promise<string[]> {
  const keep = new Set<string>();
  if (docker.running && originals.get(IPV4) === "0" && readSysctl(IPV4) === "1") keep.add(IPV4);
  if (docker.needsIpv6Forwarding && originals.get(IPV6) === "0" && readSysctl(IPV6) === "1") keep.add(IPV6);
  for (const path of keep) await closeForward(path === IPV4 ? "iptables" : "ip6tables");
  restoreSysctls(originals, keep);
  return [...keep];
}

/** As dockerd does when it switches forwarding on (libnetwork, setupIPForwarding). */
async function closeForward(program: string): Promise<void> {
  if ((await run([program, "-S", "FORWARD"])).code === 0) await mustRun([program, "-w", "5", "-P", "FORWARD", "DROP"]);
}
