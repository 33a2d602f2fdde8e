/** Looks at the sessions from time to time: a session that stays down is a condition, with its reason. */
import { readFileSync } from "node:fs";
import { explainSession, type SessionReport, type Surroundings } from "../../core/bgp/status.ts";
import type { Bird } from "../../drivers/bird/bird.ts";
import { withLastWords } from "../../drivers/bird/log.ts";
import { parseSessions } from "../../drivers/bird/protocols.ts";
import type { Health } from "../health.ts";
import type { BgpStage } from "./stage.ts";

const LOOK_EVERY = 10_000;
/** Milliseconds: a session may be down so long without being a trouble; after a restart it takes a few seconds. */
const PATIENCE = 30_000;
/** Milliseconds: how long a wrong signature counts as "lately". */
const MD5_MEMORY = 60_000;

export class BgpMonitor implements Disposable {
  readonly #bird: Bird;
  readonly #stage: BgpStage;
  readonly #health: Pick<Health, "set" | "clear">;
  readonly #downSince = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  #md5 = md5Failures();
  #md5At = Number.NEGATIVE_INFINITY;

  constructor(bird: Bird, stage: BgpStage, health: Pick<Health, "set" | "clear">) {
    this.#bird = bird;
    this.#stage = stage;
    this.#health = health;
    this.#timer = setInterval(() => void this.#watch(), LOOK_EVERY);
    this.#timer.unref();
  }

  get around(): Surroundings {
    const now = md5Failures();
    if (now > this.#md5) this.#md5At = performance.now();
    this.#md5 = now;
    return { md5Failures: performance.now() - this.#md5At < MD5_MEMORY };
  }

  /** What BIRD says of the sessions now; nothing while it does not run. */
  async look(): Promise<ReadonlyMap<string, SessionReport>> {
    if (!this.#bird.running) return new Map();
    const reply = await this.#bird.ask("show protocols all").catch(() => []);
    const log = await this.#bird.log();
    return new Map([...parseSessions(reply)].map(([name, report]) => [name, withLastWords(report, name, log)]));
  }

  async #watch(): Promise<void> {
    const sessions = this.#stage.state?.sessions ?? [];
    const reports = sessions.length === 0 ? new Map<string, SessionReport>() : await this.look();
    const { around } = this;
    const now = performance.now();
    const troubled = new Set<string>();
    for (const session of sessions) {
      const { health, text } = explainSession(session, reports.get(session.name), around);
      if (health === "up" || (health === "waiting" && session.remote.kind === "range")) continue;
      troubled.add(session.name);
      const since = this.#downSince.get(session.name) ?? now;
      this.#downSince.set(session.name, since);
      if (now - since >= PATIENCE) this.#health.set("bgp-session-down", `${session.name}: ${text}`, session.name);
    }
    for (const name of this.#downSince.keys())
      if (!troubled.has(name)) {
        this.#downSince.delete(name);
        this.#health.clear("bgp-session-down", name);
      }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

const COUNTERS = ["TCPMD5NotFound", "TCPMD5Unexpected", "TCPMD5Failure"];

/** Segments that the kernel has dropped for their signature (Documentation/networking/snmp_counter.rst). */
function md5Failures(): number {
  const [names = "", values = ""] = read("/proc/self/net/netstat")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"));
  const columns = values.split(" ");
  return names
    .split(" ")
    .reduce((sum, name, index) => (COUNTERS.includes(name) ? sum + Number(columns[index]) : sum), 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
