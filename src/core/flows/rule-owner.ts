/** Whose a rule is, by the names that its table and chain bear. Those of iptables-nft are tables of the families ip and ip6. */

const BY_CHAIN: readonly (readonly [RegExp, string])[] = [
  [/^DOCKER/, "Docker"],
  [/^ufw6?-/, "ufw"],
  [/^f2b-/, "fail2ban"],
  [/^LIBVIRT_/, "libvirt"],
  [/^(KUBE|CNI)-/, "Kubernetes"],
  [/^cali-/, "Calico"],
  [/^NETAVARK/, "Podman"],
  [/^ts-/, "Tailscale"],
];
const BY_TABLE: readonly (readonly [RegExp, string])[] = [
  [/^manx$/, "Manx"],
  [/^docker-bridges$/, "Docker"],
  [/^firewalld/, "firewalld"],
  [/^f2b-/, "fail2ban"],
  [/^libvirt_network$/, "libvirt"],
  [/^netavark$/, "Podman"],
  [/^kube-proxy$/, "Kubernetes"],
];
/** Built-in chains of iptables(8). */
const BUILT_IN = new Set(["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]);

/** `Manx`, `Docker`, `ufw`, ..., or `iptables` and `nftables` where the names do not tell. */
export function ruleOwner(family: string, table: string, chain: string): string {
  const found = BY_TABLE.find(([pattern]) => pattern.test(table)) ?? BY_CHAIN.find(([pattern]) => pattern.test(chain));
  if (found !== undefined) return found[1];
  return BUILT_IN.has(chain) && (family === "ip" || family === "ip6") ? "iptables" : "nftables";
}
