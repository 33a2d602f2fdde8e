/**
 * Troubles that a user can see, each declared once: code, title, severity, what to do. A part of the agent raises a condition
 * and clears it; only the change is logged, not every retry.
 */
export const CONDITIONS = {
  "engine-unreachable": {
    title: "Docker does not answer",
    severity: "warning",
    remedy: "Start it: systemctl start docker, or ./quickstart without systemd. Running containers keep their traffic.",
  },
  "store-unavailable": {
    title: "the store cannot be reached",
    severity: "error",
    remedy: "manx status says since when. Containers start and stop from what this host already knows.",
  },
  "certificate-expires": {
    title: "this host's certificate for the store expires soon",
    severity: "warning",
    remedy:
      "Where etcd runs: manx up --etcd. Elsewhere: manx token create --host HOST on such a host, manx join LINE --renew here.",
  },
  "bad-resource": {
    title: "a resource in the store cannot be read",
    severity: "error",
    remedy: "Replace it: manx apply -f FILE, or remove it: manx delete KIND NAME.",
  },
  "name-taken": {
    title: "another machine is a host of the same name",
    severity: "error",
    remedy:
      "Give one of them another name (hostnamectl set-hostname NAME, or MANX_HOST=NAME). Until then this one publishes nothing.",
  },
  "network-differs": {
    title: "a network made on this host is not what the cluster knows by its name",
    severity: "warning",
    remedy: "docker network rm NAME on this host; the cluster's network is then made here. Containers that run stay.",
  },
  "network-kept": {
    title: "a network that was to be removed is in use",
    severity: "warning",
    remedy: "Remove it once the containers named are gone: docker network rm NAME, on any host.",
  },
  "network-not-spread": {
    title: "a network could not be made or removed on this host",
    severity: "warning",
    remedy: "It is tried again. docker network ls shows whether another network has the name.",
  },
  "firewall-not-applied": {
    title: "the firewall could not be brought up to date",
    severity: "error",
    remedy: "manx doctor checks what nftables needs. What is in force stays in force; new containers wait.",
  },
  "interfaces-not-applied": {
    title: "an interface or a route could not be set",
    severity: "error",
    remedy: "manx doctor shows what is in the way.",
  },
  "settings-not-applied": {
    title: "a kernel setting could not be made",
    severity: "warning",
    remedy: "Look for a read-only /proc/sys, or another program that changes it back.",
  },
  "connections-not-cut": {
    title: "live connections could not be judged by the policy in force",
    severity: "error",
    remedy: "New connections are judged. See whether the kernel has connection tracking: conntrack -L.",
  },
  "foreign-firewall": {
    title: "the rules that let Manx traffic pass Docker's or ufw's firewall could not be placed",
    severity: "error",
    remedy: "manx doctor names the firewall and the rule.",
  },
  "flows-not-seen": {
    title: "what is dropped and who talks to whom cannot be seen",
    severity: "warning",
    remedy: "The firewall works. MANX_FLOWS sets another NFLOG group, or off.",
  },
  "flow-log-failed": {
    title: "flows and drops cannot be written down",
    severity: "warning",
    remedy: "See flowLog in /etc/manx/agent.yaml. It is tried again; manx flows and manx drops work without it.",
  },
  "plugin-socket": {
    title: "Docker cannot reach Manx: the plugin socket could not be opened",
    severity: "error",
    remedy: "See whether another agent runs: manx doctor.",
  },
  "address-also-used": {
    title: "a machine on the LAN uses the address of a container",
    severity: "warning",
    remedy: "Give that machine another address, or start the container again on another one: manx lan status.",
  },
  "pool-overlap": {
    title: "an address pool overlaps with a route of this host",
    severity: "warning",
    remedy: "manx pool ls shows the pools; manx pool rm CIDR and manx pool add CIDR replace one.",
  },
  "label-unreadable": {
    title: "a policy label of a container cannot be read, so nothing passes in its direction",
    severity: "warning",
    remedy: "Make the container again with a label as docs/policy.md has it.",
  },
  "service-refused": {
    title: "a container does not get a service address",
    severity: "warning",
    remedy:
      "Correct the label or the Service: manx service ls. An address leads to one service, and to no single container.",
  },
  "stop-gate": {
    title: "Docker cannot tell Manx of a stop before it happens",
    severity: "warning",
    remedy: "See whether another agent runs: manx doctor. If Docker refuses its commands: manx service guard off.",
  },
  "service-address-not-set": {
    title: "a service address could not be set in a container",
    severity: "error",
    remedy: "The container gets nothing for it meanwhile. Start it again; manx doctor tells more.",
  },
  "bgp-not-applied": {
    title: "BGP could not be brought up to date",
    severity: "error",
    remedy: "What BIRD had before stays in force. manx bgp status shows the sessions.",
  },
  "bgp-in-the-way": {
    title: "BGP is not spoken: another routing daemon is in the way",
    severity: "error",
    remedy:
      "It is left alone. Beside the host's own BIRD: MANX_BGP=external; beside a program at port 179: listenPort in the BGPConfiguration node.HOST. docs/bgp.md tells how.",
  },
  "bgp-resource": {
    title: "a BGP session is left out",
    severity: "warning",
    remedy: "Correct the resource: manx patch KIND NAME, or manx apply -f FILE.",
  },
  "dashboard-not-served": {
    title: "the dashboard cannot listen",
    severity: "warning",
    remedy: "Another program has its port: ss -ltnp shows which. MANX_UI sets another address, or off.",
  },
  "bgp-session-down": {
    title: "a BGP session is down",
    severity: "warning",
    remedy: "manx bgp status --probe looks at the way to the peer; manx bgp config prints what the peer needs.",
  },
  "bgp-secret": {
    title: "a BGP password cannot be read; the session that needs it is left out",
    severity: "error",
    remedy: "Write it to /etc/manx/secrets/NAME/KEY, owned by root, mode 0600.",
  },
  "names-not-answered": {
    title: "containers cannot ask for the names of containers on other hosts",
    severity: "error",
    remedy:
      "See who has port 53: ss -lnup 'sport = 53'. A dnsmasq or named that takes all addresses needs bind-interfaces or listen-on; or MANX_NAMES=off.",
  },
  "aliases-unknown": {
    title: "Docker did not tell the aliases of a container",
    severity: "warning",
    remedy: "It is asked again every ten seconds; the container's name can be asked for.",
  },
  "reconcile-failed": {
    title: "what Docker knows could not be compared with what Manx knows",
    severity: "warning",
    remedy: "It is tried again every minute; manx doctor tells more.",
  },
} as const satisfies Record<string, { title: string; severity: "warning" | "error"; remedy: string }>;

export type ConditionCode = keyof typeof CONDITIONS;

export interface Condition {
  readonly code: ConditionCode;
  readonly severity: "warning" | "error";
  readonly title: string;
  /** What exactly, with names; one sentence. */
  readonly why: string;
  readonly remedy: string;
  /** RFC 3339. */
  readonly since: string;
}

export class Health {
  readonly #raised = new Map<string, Condition>();
  readonly #onChange: (condition: Condition, raised: boolean) => void;
  readonly #now: () => Date;

  constructor(onChange: (condition: Condition, raised: boolean) => void, now: () => Date = () => new Date()) {
    this.#onChange = onChange;
    this.#now = now;
  }

  /** `subject` tells several conditions of one code apart (a key, an interface). */
  raise(code: ConditionCode, why: string, subject = ""): void {
    const key = `${code} ${subject}`;
    const before = this.#raised.get(key);
    if (before?.why === why) return;
    const { title, severity, remedy } = CONDITIONS[code];
    const since = before?.since ?? this.#now().toISOString();
    const condition = { code, severity, title, why, remedy, since };
    this.#raised.set(key, condition);
    this.#onChange(condition, true);
  }

  clear(code: ConditionCode, subject = ""): void {
    const key = `${code} ${subject}`;
    const condition = this.#raised.get(key);
    if (condition === undefined) return;
    this.#raised.delete(key);
    this.#onChange(condition, false);
  }

  /** Raises where there is a reason, clears where there is none. */
  set(code: ConditionCode, why: string | undefined, subject = ""): void {
    if (why === undefined) this.clear(code, subject);
    else this.raise(code, why, subject);
  }

  /** One condition for each reason, and no other of this code. */
  setAll(code: ConditionCode, whys: readonly string[]): void {
    for (const { code: other, why } of this.list()) if (other === code && !whys.includes(why)) this.clear(code, why);
    for (const why of whys) this.raise(code, why, why);
  }

  /** Errors first, then the oldest. */
  list(): readonly Condition[] {
    return [...this.#raised.values()].sort(
      (a, b) => a.severity.localeCompare(b.severity) || a.since.localeCompare(b.since),
    );
  }
}
