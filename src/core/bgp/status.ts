/** How a session is, in plain words: what the other end or the way to it is, and what can be done. */
import type { Family } from "../net/address.ts";
import type { Session } from "./state.ts";

/** What a daemon says of one session. */
export interface SessionReport {
  /** RFC 4271 section 8.2.2: Idle, Connect, Active, OpenSent, OpenConfirm, Established; BIRD adds Passive and Close. */
  readonly state: string;
  /** When that state was entered, as the daemon writes it. */
  readonly since: string;
  /** The last thing that went wrong, in the daemon's words. */
  readonly lastError?: string;
  /** What the peer offers in its OPEN; empty until it has sent one. */
  readonly peerFamilies: readonly Family[];
  readonly channels: readonly ChannelReport[];
}

export interface ChannelReport {
  readonly family: Family;
  readonly isUp: boolean;
  /** Routes of the peer that are in force here; those that it sent and filters refused. */
  readonly accepted: number;
  readonly refused: number;
  readonly announced: number;
}

export interface Surroundings {
  /** Segments with a wrong or missing MD5 signature have arrived lately (TcpExt, snmp_counter of the kernel). */
  readonly md5Failures: boolean;
}

export interface Explained {
  readonly health: "up" | "partly" | "waiting" | "down";
  /** `Idle: connection refused, nothing listens on port 179 of 192.168.1.1` */
  readonly text: string;
}

export function explainSession(session: Session, report: SessionReport | undefined, around: Surroundings): Explained {
  if (report === undefined) return { health: "down", text: "not set up: BIRD does not know it yet" };
  if (report.state === "Established") return explainEstablished(session, report);
  if (session.remote.kind === "range")
    return { health: "waiting", text: `waits for calls from ${session.remote.cidr}` };
  const why = whyDown(session, report, around);
  const isWaiting = session.passive && report.lastError === undefined && !around.md5Failures;
  return {
    health: isWaiting ? "waiting" : "down",
    text: `${report.state}: ${why}`,
  };
}

function explainEstablished({ families }: Session, { channels, since, peerFamilies }: SessionReport): Explained {
  const missing = families.filter((family) => !channels.some((one) => one.family === family && one.isUp));
  const notes = missing.map((family) =>
    peerFamilies.includes(family)
      ? `family IPv${family} is not up yet`
      : `family IPv${family} not negotiated: the peer does not offer it`,
  );
  return {
    health: missing.length === 0 ? "up" : "partly",
    text: [`Established since ${since}`, ...notes].join("; "),
  };
}

/** BIRD's words (proto/bgp/bgp.c and packets.c: "Socket:", "Received:", "Error:" and a reason of RFC 4271 section 6). */
function whyDown(session: Session, { state, lastError, peerFamilies }: SessionReport, around: Surroundings): string {
  const { remotePort, localAs, peerAs, password } = session;
  const peer = session.remote.kind === "address" ? session.remote.address : session.remote.cidr;
  const [kind = "", reason = "", detail = ""] = (lastError ?? "").split(": ");
  const isSilent = lastError === undefined || (kind === "Socket" && reason === "Connection timed out");
  if (around.md5Failures && isSilent) return md5(password !== undefined, peer);
  if (lastError === undefined && session.passive) return `waits for ${peer} to call`;
  if (isSilent)
    return `no answer from port ${remotePort} of ${peer}: something on the way drops the packets, ${password === undefined ? "or the peer wants a password" : "or its password is another one"}`;
  if (reason === "Connection refused") return `connection refused, nothing listens on port ${remotePort} of ${peer}`;
  if (reason === "No route to host") return `${peer} is not there: nobody on the network answers for it`;
  if (reason === "Network is unreachable") return `no route to ${peer}`;
  if (reason === "Bad peer AS" && kind !== "Received")
    return `wrong AS: the peer says ${detail === "" ? "another" : detail}, expected is ${peerAs}`;
  if (reason === "Bad peer AS") return `wrong AS: the peer does not expect ${localAs} from this host`;
  if (reason === "Connection closed" || reason === "Connection rejected" || reason === "Connection reset by peer")
    return `${peer} hangs up at once: it has no neighbour with the address ${session.source ?? "of this host"}`;
  if (reason === "Hold timer expired")
    return `${kind === "Received" ? "the peer has heard nothing from this host" : `nothing heard from ${peer}`} for too long`;
  if (reason === "Maximum number of prefixes reached")
    return kind === "Received"
      ? "the peer refuses what this host announces: more prefixes than it allows a neighbour"
      : "the peer announces more prefixes than are allowed here";
  if (reason === "Peer de-configured") return "the peer has taken this host out of its configuration";
  if (reason === "Administrative shutdown") return "switched off by hand at the peer";
  if (reason === "Neighbor lost" || lastError === "Neighbor lost") return `${peer} is on no network of this host now`;
  if (lastError.includes("BFD")) return `BFD hears nothing from ${peer}`;
  if (reason === "Unsupported capability" && peerFamilies.length === 0)
    return `the peer refuses what is offered: ${lastError}`;
  return `${kind === "Received" ? "the peer says" : "BIRD says"} "${lastError}"${state === "Idle" ? "; tried again soon" : ""}`;
}

function md5(hasPassword: boolean, peer: string): string {
  return hasPassword ? `MD5 mismatch: ${peer} has another password, or none` : `MD5 mismatch: ${peer} wants a password`;
}
