/**
 * Answers the containers of this host that ask for each other, on all hosts, by name; and passes on to the host's own resolvers whatever
 * else they ask. Stands on what this host knows already, so it needs no store, and it starts anew like everything else.
 */

import type { Snapshot } from "../../core/calc/snapshot.ts";
import { decide } from "../../core/dns/answer.ts";
import { Limits } from "../../core/dns/limits.ts";
import { encodeReply, parseQuery, type Query, RCODE } from "../../core/dns/message.ts";
import { NameBook } from "../../core/dns/name-book.ts";
import { NAMES_ADDRESS } from "../../core/rules/fixed.ts";
import { forward } from "../../drivers/dns/forward.ts";
import { DnsListener, type Question } from "../../drivers/dns/listener.ts";

export interface NameServiceOptions {
  /** Default: where containers ask. */
  readonly address?: string;
  /** Default 53. */
  readonly port?: number;
  /** Whom to ask what is not ours, in order. */
  readonly resolvers: () => Promise<readonly string[]>;
  /** Default 53. */
  readonly resolverPort?: number;
  /** Whether who is no container of ours may have his questions passed on: containers of Docker's other networks, the host itself. */
  readonly isNear: (address: string) => boolean;
  /** Told why nobody can ask; undefined: they can. */
  readonly onOutcome: (error: unknown) => void;
}

export class NameService implements AsyncDisposable {
  readonly #options: NameServiceOptions;
  readonly #book = new NameBook();
  readonly #limits = new Limits();
  readonly #closed = new AbortController();
  #internal: ReadonlySet<string> = new Set();
  #listener: DnsListener | undefined;
  #opening: Promise<void> | undefined;
  #turn = 0;
  #answered = 0;

  constructor(options: NameServiceOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#listener !== undefined;
  }

  get port(): number | undefined {
    return this.#listener?.port;
  }

  get known(): number {
    return this.#book.size;
  }

  /** Questions that were answered from what we know, since the start. */
  get answered(): number {
    return this.#answered;
  }

  /** Takes over what has changed. Opens where it is not open yet: by now the host has the address. Returns at once. */
  take(snapshot: Pick<Snapshot, "endpoints" | "parts" | "host" | "networks">): void {
    this.#book.take(snapshot);
    this.#internal = new Set(
      snapshot.networks.filter(({ spec }) => spec.internal).map(({ metadata }) => metadata.name),
    );
    if (this.#listener === undefined && !this.#closed.signal.aborted) this.#opening ??= this.#open();
  }

  async #open(): Promise<void> {
    const { address = NAMES_ADDRESS, port = 53, onOutcome } = this.#options;
    try {
      this.#listener = await DnsListener.open({ address, port, answer: (question) => this.#answer(question) });
      onOutcome(undefined);
    } catch (error) {
      onOutcome(error);
    } finally {
      this.#opening = undefined;
    }
  }

  async #answer({ message, from, transport }: Question): Promise<Uint8Array | undefined> {
    if (!this.#limits.allows(from, performance.now())) return undefined;
    const parsed = parseQuery(message);
    if (parsed.kind === "nothing") return undefined;
    if (parsed.kind === "refusal") return parsed.reply;
    const { query } = parsed;
    const networks = this.#book.networksOf(from);
    const decision = decide(query, networks ?? [], this.#book, this.#turn++);
    const most = transport === "udp" ? query.size : 65_535;
    if (decision.kind === "reply") {
      this.#answered++;
      const { rcode, records, authoritative } = decision;
      return encodeReply(query, rcode, records, { most, authoritative });
    }
    if (networks === undefined ? !this.#options.isNear(from) : [...networks].every((name) => this.#internal.has(name)))
      return encodeReply(query, networks === undefined ? RCODE.refused : RCODE.noName, []);
    const reply = await this.#limits.during(from, () => this.#forward(message, query, transport));
    if (reply === undefined) return encodeReply(query, RCODE.failed, []);
    // More than the asker has room for: it asks again by TCP.
    return reply.length > most ? encodeReply(query, RCODE.ok, [], { most: 0 }) : reply;
  }

  async #forward(message: Uint8Array, query: Query, transport: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    const { resolvers, resolverPort, address = NAMES_ADDRESS } = this.#options;
    const servers = (await resolvers()).filter((server) => server !== address);
    const port = resolverPort === undefined ? {} : { port: resolverPort };
    return forward(message, query, { transport, servers, ...port }, this.#closed.signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new Error("the agent is stopping"));
    await this.#opening;
    await this.#listener?.[Symbol.asyncDispose]();
    this.#listener = undefined;
  }
}
