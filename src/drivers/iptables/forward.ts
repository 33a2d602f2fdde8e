/**
 * Keeps Docker's FORWARD DROP, ufw and other users of iptables from stopping Manx traffic: see rules.ts. Both backends, both families;
 * a table that is not there is not made.
 */
import { readFile } from "node:fs/promises";
import { DriverError } from "../error.ts";
import { findBinary, type Result, type RunOptions, run } from "../exec.ts";
import {
  type Command,
  chooseChain,
  type FilterTable,
  isAccepted,
  missing,
  parseTable,
  removals,
  transaction,
} from "./rules.ts";

export interface ForwardState {
  readonly family: 4 | 6;
  readonly backend: "nft" | "legacy";
  readonly policy: "accept" | "drop";
  /** The chain that decides, where one does. */
  readonly chain?: string;
  /** Packets of Manx interfaces pass: nothing stops them, or our rules stand. */
  readonly accepted: boolean;
}

interface Backend {
  readonly family: 4 | 6;
  readonly kind: "nft" | "legacy";
  readonly program: string;
}

export interface ForwardOptions {
  /** How programs are run; in tests: inside a network namespace. */
  readonly run?: (argv: readonly string[], options?: RunOptions) => Promise<Result>;
  /** The network namespace's /proc/net. */
  readonly procNet?: string;
}

/** Seconds to wait for another user of iptables. */
const WAIT = ["-w", "5"];

export class Forward {
  readonly #run: NonNullable<ForwardOptions["run"]>;
  readonly #procNet: string;
  /** Ends when the last change that was asked for has: what one reads must not be what another is about to write. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: ForwardOptions = {}) {
    this.#run = options.run ?? run;
    this.#procNet = options.procNet ?? "/proc/self/net";
  }

  /** Looks without changing anything. */
  async look(signal?: AbortSignal): Promise<ForwardState[]> {
    return this.#each(async (backend) => {
      const table = parseTable(await this.#print(backend, signal));
      const chain = chooseChain(table);
      return {
        family: backend.family,
        backend: backend.kind,
        policy: table.policy === "ACCEPT" ? "accept" : "drop",
        accepted: isAccepted(table),
        ...(chain === undefined ? {} : { chain }),
      } as const;
    });
  }

  /**
   * Puts our rules where they are needed and missing. May be repeated: 0 when all was right. "unheard": only in tables of which
   * the kernel tells no changes, the legacy ones.
   */
  ensure(signal?: AbortSignal, which: "all" | "unheard" = "all"): Promise<number> {
    return this.#change(missing, signal, which);
  }

  /** Takes all of our rules away. May be repeated. */
  remove(signal?: AbortSignal): Promise<number> {
    return this.#change(removals, signal);
  }

  #change(
    commands: (table: FilterTable) => Command[],
    signal?: AbortSignal,
    which: "all" | "unheard" = "all",
  ): Promise<number> {
    const work = this.#queue.then(async () => {
      const counts = await this.#each(async (backend) => {
        const todo = commands(parseTable(await this.#print(backend, signal)));
        if (todo.length > 0) await this.#commit(backend, todo, signal);
        return todo.length;
      }, which);
      return counts.reduce((total, count) => total + count, 0);
    });
    this.#queue = work.catch(() => {});
    return work;
  }

  /** One backend that fails does not keep the others from being made right. */
  async #each<T>(work: (backend: Backend) => Promise<T>, which: "all" | "unheard" = "all"): Promise<T[]> {
    const done: T[] = [];
    const errors: unknown[] = [];
    for (const backend of await this.#backends()) {
      if (which === "unheard" && backend.kind !== "legacy") continue;
      try {
        done.push(await work(backend));
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 0) return done;
    if (errors.length === 1) throw errors[0];
    const texts = errors.map((error) => (error instanceof Error ? error.message : String(error)));
    throw new DriverError("failed", texts.join("; "), new AggregateError(errors));
  }

  async #backends(): Promise<Backend[]> {
    const found: Backend[] = [];
    for (const [family, name] of [
      [4, "iptables"],
      [6, "ip6tables"],
    ] as const) {
      const nft = findBinary(`${name}-nft`);
      if (nft !== undefined) found.push({ family, kind: "nft", program: nft });
      // Asking the legacy tools for a table makes the kernel create it.
      const legacy = findBinary(`${name}-legacy`);
      if (legacy !== undefined && (await this.#hasLegacyFilter(family))) {
        found.push({ family, kind: "legacy", program: legacy });
      }
    }
    return found;
  }

  async #hasLegacyFilter(family: 4 | 6): Promise<boolean> {
    const names = await readFile(`${this.#procNet}/${family === 4 ? "ip" : "ip6"}_tables_names`, "utf8").catch(
      () => "",
    );
    return names.split("\n").includes("filter");
  }

  #print({ program }: Backend, signal: AbortSignal | undefined): Promise<string> {
    return this.#iptables([program, ...WAIT, "-S"], {}, signal);
  }

  /** All commands or none. */
  async #commit({ program }: Backend, commands: readonly Command[], signal: AbortSignal | undefined): Promise<void> {
    await this.#iptables([`${program}-restore`, ...WAIT, "--noflush"], { input: transaction(commands) }, signal);
  }

  async #iptables(argv: readonly string[], options: RunOptions, signal: AbortSignal | undefined): Promise<string> {
    const { code, stdout, stderr } = await this.#run(argv, {
      ...options,
      timeoutMs: 20_000,
      ...(signal === undefined ? {} : { signal }),
    });
    if (code === 0) return stdout;
    throw new DriverError("failed", `Cannot run "${argv.join(" ")}": ${stderr.trim() || `exit status ${code}`}`);
  }
}
