/** The doctor's checks: pure functions of what was found on the host. The order is that in which one would look by hand. */
import type { Check, FixAction } from "../schema/doctor.ts";
import { startCommand } from "../start.ts";
import type { HostFacts } from "./facts.ts";

type Verdict = Pick<Check, "state" | "found"> & { readonly remedy?: string | undefined; readonly fix?: FixAction };

const ok = (found: string): Verdict => ({ state: "ok", found });
const unknown = (found: string): Verdict => ({ state: "unknown", found });

interface Rule {
  readonly id: string;
  readonly title: string;
  readonly look: (facts: HostFacts) => Verdict;
}

const RULES: readonly Rule[] = [
  { id: "agent", title: "The agent runs", look: agent },
  { id: "unit", title: "Where systemd runs, it starts the agent before Docker", look: unit },
  {
    id: "nf-tables",
    title: "The kernel has nftables",
    look: ({ kernel }) => feature(kernel.nfTables, "nf_tables", kernel.release),
  },
  {
    id: "veth",
    title: "The kernel has veth pairs",
    look: ({ kernel }) => feature(kernel.veth, "veth", kernel.release),
  },
  {
    id: "conntrack",
    title: "The kernel tracks connections",
    look: ({ kernel }) => feature(kernel.conntrack, "nf_conntrack", kernel.release),
  },
  { id: "drop-reasons", title: "The kernel tells what others drop", look: dropReasons },
  { id: "engine", title: "Docker answers", look: engine },
  { id: "plugin", title: "Docker finds the driver", look: plugin },
  { id: "ipam", title: "Manx networks use Manx addresses", look: ipam },
  { id: "subnets", title: "Networks have the subnets they were made with", look: subnets },
  { id: "forward", title: "No other firewall stops forwarded packets", look: forward },
  { id: "firewalls", title: "Other firewalls are known", look: firewalls },
  { id: "dropping", title: "No other table drops forwarded packets", look: dropping },
  { id: "ipv6", title: "The kernel speaks IPv6", look: ipv6 },
  { id: "socket", title: "Only root may administer Manx", look: socket },
  { id: "clock", title: "The clock is right", look: clock },
  { id: "store", title: "The store works", look: store },
  { id: "disk", title: "The store has room", look: disk },
  { id: "overlap", title: "No pool overlaps a route of this host", look: overlap },
  { id: "exhausted", title: "The pools have free addresses", look: exhausted },
  { id: "labels", title: "Containers have what their labels ask for", look: labels },
  { id: "drift", title: "The kernel is as it should be", look: drift },
  { id: "orphans", title: "Nothing is left of containers that are gone", look: orphans },
  { id: "bgp", title: "BIRD runs where BGP is on", look: bgp },
];

export function diagnose(facts: HostFacts): Check[] {
  const checks = RULES.map(({ id, title, look }) => check(id, title, look(facts)));
  const errors = facts.errors.map((text, index) =>
    check(`unknown-${index + 1}`, "Everything could be looked at", unknown(text)),
  );
  return [...checks, ...settings(facts), ...errors];
}

function check(id: string, title: string, { state, found, remedy, fix }: Verdict): Check {
  return { id, title, state, found, ...(remedy !== undefined && { remedy }), ...(fix !== undefined && { fix }) };
}

function dropReasons({ kernel: { dropReasons: told } }: HostFacts): Verdict {
  if (told === undefined) return unknown("could not be found out");
  if (!told.asked) return ok("nobody asks it: MANX_FLOWS is off");
  if (told.why === undefined) return ok("manx drops names other firewalls, routes and settings too");
  return {
    state: "warning",
    found: told.why,
    remedy:
      "manx drops tells what Manx drops, and nothing else here; manx why A B PORT --live finds the rules of others as well. It takes Linux 5.17 with BTF (CONFIG_DEBUG_INFO_BTF)",
  };
}

function agent({ agent, unit }: HostFacts): Verdict {
  if (agent.running) return ok(agent.version === undefined ? "it answers" : `version ${agent.version}`);
  const { why = "it does not answer", badSettings } = agent;
  const start = startCommand(unit?.systemd !== false);
  return badSettings === undefined
    ? { state: "failed", found: why, remedy: start }
    : { state: "failed", found: `${why} ${badSettings}`, remedy: `Mend /etc/manx/agent.yaml, then: ${start}` };
}

function unit({ unit }: HostFacts): Verdict {
  if (unit === undefined) return unknown("could not be found out");
  if (!unit.systemd) return ok("there is no systemd here; start manx agent before dockerd");
  if (!unit.installed) return { state: "failed", found: "manx.service is not installed", remedy: "./quickstart" };
  return unit.enabled
    ? ok("manx.service is enabled")
    : { state: "failed", found: "manx.service is disabled", remedy: "systemctl enable manx" };
}

function feature(present: boolean | undefined, module: string, release: string): Verdict {
  if (present === undefined) return unknown("could not be found out");
  if (present) return ok(`Linux ${release}`);
  return { state: "failed", found: `Linux ${release} does not offer ${module}`, remedy: `modprobe ${module}` };
}

function engine({ engine, unit }: HostFacts): Verdict {
  switch (engine.state) {
    case "running":
      return ok(`Docker ${engine.version ?? "of unknown version"}${engine.liveRestore ? ", live-restore" : ""}`);
    case "missing":
      return { state: "failed", found: "Docker is not installed", remedy: "apt install docker.io" };
    case "stopped":
      return {
        state: "failed",
        found: engine.why ?? "dockerd does not run",
        remedy: startCommand(unit?.systemd !== false, "docker"),
      };
    case "unknown":
      return unknown(engine.why ?? "could not be found out");
  }
}

function plugin({ pluginSocket, agent, unit }: HostFacts): Verdict {
  if (pluginSocket === undefined) return unknown("could not be found out");
  if (pluginSocket.listening) return ok(pluginSocket.path);
  const systemd = unit?.systemd !== false;
  return {
    state: "failed",
    found: `nobody listens on ${pluginSocket.path}`,
    ...(agent.running
      ? { remedy: "manx doctor --fix", fix: { kind: "reopen-plugin-socket" } as const }
      : { remedy: startCommand(systemd) }),
  };
}

function ipam({ engine }: HostFacts): Verdict {
  if (engine.foreignIpam === undefined) return unknown("Docker has to run for this");
  if (engine.foreignIpam.length === 0) return ok("all of them");
  const [first = ""] = engine.foreignIpam;
  return {
    state: "failed",
    found: `made without --ipam-driver manx: ${engine.foreignIpam.join(", ")}`,
    remedy: `docker network rm ${first} && docker network create -d manx --ipam-driver manx ${first}`,
  };
}

function subnets({ engine }: HostFacts): Verdict {
  if (engine.ignoredSubnets === undefined) return unknown("Docker has to run for this");
  if (engine.ignoredSubnets.length === 0) return ok("all of them");
  return {
    state: "warning",
    found: `Docker ignores a --subnet of IPv6 without --ipv6: ${engine.ignoredSubnets.join(", ")}`,
    remedy: "Make the network anew: docker network rm NAME, then docker network create with --ipv6",
  };
}

function forward({ forward }: HostFacts): Verdict {
  if (forward === undefined) return unknown("could not be found out");
  const blocking = forward.filter(({ policy, accepted }) => policy === "drop" && !accepted);
  if (blocking.length === 0) return ok("forwarded packets of Manx interfaces pass");
  return {
    state: "failed",
    found: `FORWARD drops ${blocking.map(({ family }) => `IPv${family}`).join(" and ")} and nothing lets Manx interfaces pass`,
    remedy: "manx doctor --fix",
    fix: { kind: "accept-forward" },
  };
}

function firewalls({ firewalls, firewalldTrusts }: HostFacts): Verdict {
  if (firewalls === undefined) return unknown("could not be found out");
  const active = firewalls.filter(({ active }) => active).map(({ name }) => name);
  if (active.includes("firewalld") && firewalldTrusts === false)
    return {
      state: "warning",
      found: "firewalld is active and drops what is forwarded to and from Manx interfaces",
      remedy: "firewall-cmd --permanent --zone=trusted --add-interface=manx+ && firewall-cmd --reload",
    };
  return ok(
    active.length === 0
      ? "neither ufw nor firewalld is active"
      : `${active.join(" and ")} active; Manx leaves it alone`,
  );
}

function dropping({ dropping }: HostFacts): Verdict {
  if (dropping === undefined) return unknown("could not be found out");
  const [first] = dropping;
  if (first === undefined) return ok("none");
  return {
    state: "failed",
    found: `policy drop, which no rule of ours can lift: ${some(dropping)}`,
    remedy: `nft insert rule ${first} iifname "manx*" accept && nft insert rule ${first} oifname "manx*" accept`,
  };
}

function ipv6({ ipv6 }: HostFacts): Verdict {
  if (ipv6 === undefined) return unknown("could not be found out");
  if (ipv6) return ok("it does");
  return {
    state: "warning",
    found: "IPv6 is switched off: containers of networks with --ipv6 cannot start",
    remedy: "sysctl -w net.ipv6.conf.all.disable_ipv6=0",
  };
}

function socket({ socketMode }: HostFacts): Verdict {
  if (socketMode === undefined) return unknown("could not be found out");
  const found = `the socket's mode is ${socketMode.toString(8)}`;
  if ((socketMode & 0o002) === 0) return ok(found);
  return { state: "failed", found: `${found}: everybody may`, remedy: "chmod 600 /run/manx/manx.sock" };
}

function clock({ clock }: HostFacts): Verdict {
  if (clock === undefined) return unknown("could not be found out");
  const now = new Date(clock.now).toISOString();
  if (clock.now >= clock.atLeast) return ok(now);
  return { state: "failed", found: `it says ${now}, but Manx is newer than that`, remedy: "timedatectl set-ntp true" };
}

function store({ store }: HostFacts): Verdict {
  if (store === undefined) return unknown("the agent has to run for this");
  if (store.trouble === undefined) return ok(store.path);
  return { state: "failed", found: `${store.path}: ${store.trouble}`, remedy: "journalctl -u manx" };
}

const ROOM = 64 * 1024 * 1024;

function disk({ freeBytes, store }: HostFacts): Verdict {
  if (freeBytes === undefined) return unknown("could not be found out");
  const found = `${Math.floor(freeBytes / 1024 / 1024)} MiB free`;
  if (freeBytes >= ROOM) return ok(found);
  return { state: "failed", found, remedy: `Make room where ${store?.path ?? "/var/lib/manx"} lies.` };
}

function overlap({ overlaps }: HostFacts): Verdict {
  if (overlaps === undefined) return unknown("could not be found out");
  const [first] = overlaps;
  if (first === undefined) return ok("none");
  return {
    state: "failed",
    found: overlaps.map((o) => `pool "${o.pool}" (${o.cidr}) overlaps ${o.with}`).join("; "),
    remedy: `Use other addresses: manx pool rm ${first.pool} && manx pool add CIDR`,
  };
}

function labels({ refusedLabels }: HostFacts): Verdict {
  if (refusedLabels === undefined) return unknown("could not be found out");
  const [first] = refusedLabels;
  if (first === undefined) return ok("all of them");
  return { state: "warning", found: refusedLabels.map(({ why }) => why).join("; "), remedy: first.remedy };
}

function exhausted({ exhausted }: HostFacts): Verdict {
  if (exhausted === undefined) return unknown("could not be found out");
  if (exhausted.length === 0) return ok("all of them");
  return {
    state: "failed",
    found: `full: ${exhausted.join(", ")}`,
    remedy: "manx pool add CIDR; a network that has a subnet or pools of its own must be made anew with larger ones",
  };
}

function drift({ drift }: HostFacts): Verdict {
  if (drift === undefined) return unknown("the agent has to run for this");
  if (drift.length === 0) return ok("table, routes and interfaces are as wanted");
  return { state: "failed", found: some(drift), remedy: "manx doctor --fix", fix: { kind: "resync" } };
}

function orphans({ orphans }: HostFacts): Verdict {
  if (orphans === undefined) return unknown("could not be found out");
  if (orphans.length === 0) return ok("nothing");
  return { state: "warning", found: some(orphans), remedy: "manx doctor --fix", fix: { kind: "release-orphans" } };
}

function bgp({ bgp, tools }: HostFacts): Verdict {
  if (bgp === undefined) return unknown("the agent has to run for this");
  if (!bgp.wanted) return ok(tools.bird === undefined ? "BGP is off" : `BGP is off; BIRD is installed (${tools.bird})`);
  if (tools.bird === undefined) return { state: "failed", found: "BIRD is not installed", remedy: "apt install bird2" };
  return bgp.running
    ? ok(`BIRD ${tools.bird}`)
    : { state: "failed", found: "BIRD does not run", remedy: "journalctl -u manx" };
}

/** One line while all are well: there are several for each container. */
function settings({ sysctls, bgp: told }: HostFacts): Check[] {
  const wrong = sysctls.filter(({ want, have }) => have !== want);
  if (wrong.length > 0) return wrong.map(setting);
  const none = told === undefined ? unknown("the agent has to run for this") : ok("none is wanted: no container runs");
  const verdict = sysctls.length === 0 ? none : ok(`all ${sysctls.length} of them`);
  return [check("sysctls", "Kernel settings are as wanted", verdict)];
}

function setting({ path, want, have }: HostFacts["sysctls"][number]): Check {
  const name = path.replaceAll("/", ".");
  return check(`sysctl-${name}`, `Kernel setting ${name}`, {
    state: have === undefined ? "unknown" : "failed",
    found: have === undefined ? "could not be read" : `it is ${have}, not ${want}`,
    remedy: `sysctl -w ${path}=${want}`,
    fix: { kind: "sysctl", path, value: want },
  });
}

function some(items: readonly string[]): string {
  const shown = items.slice(0, 5).join("; ");
  return items.length > 5 ? `${shown}; and ${items.length - 5} more` : shown;
}
