/** Join tokens in the cluster store: only a hash of the secret is kept, and a compare-and-swap lets one host use it. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { parseObject } from "../../core/ipam/claim.ts";
import { DriverError } from "../../drivers/error.ts";
import type { Store } from "../../drivers/store/store.ts";

const TOKENS = "/manx/v1/join/tokens/";

export interface Token {
  readonly id: string;
  /** SHA-256, hex. The secret has 128 random bits: no salt and no slow hash are needed. */
  readonly hash: string;
  readonly createdAt: string;
  readonly expires: string;
  /** Only a host of this name, which may then be known already. */
  readonly host?: string;
  /** The host may become a member of etcd: it is given the key of the CA. */
  readonly etcd: boolean;
  readonly usedBy?: { readonly host: string; readonly key: string; readonly at: string };
}

export interface StoredToken {
  readonly token: Token;
  readonly modRevision: number;
}

export class Tokens {
  readonly #store: Store;
  readonly #now: () => Date;

  constructor(store: Store, now: () => Date = () => new Date()) {
    this.#store = store;
    this.#now = now;
  }

  async create(
    { ttl, host, etcd }: { readonly ttl: number; readonly host?: string | undefined; readonly etcd: boolean },
    signal?: AbortSignal,
  ): Promise<{ readonly token: Token; readonly secret: string }> {
    const secret = randomBytes(16).toString("base64url");
    const now = this.#now();
    const token: Token = {
      id: randomBytes(4).toString("hex"),
      hash: hashOf(secret),
      createdAt: now.toISOString(),
      expires: new Date(now.getTime() + ttl * 1000).toISOString(),
      ...(host !== undefined && { host }),
      etcd,
    };
    await this.#forgetExpired(signal);
    const key = TOKENS + token.id;
    const { ok } = await this.#store.commit(
      { compares: [{ key, modRevision: 0 }], ops: [{ kind: "put", key, value: JSON.stringify(token) }] },
      signal,
    );
    if (!ok) throw new DriverError("busy", "Cannot make a token: try again");
    return { token, secret };
  }

  /** The newest last; with those that were used or have expired, until they are cleared away. */
  async list(signal?: AbortSignal): Promise<StoredToken[]> {
    const { entries } = await this.#store.list(TOKENS, signal);
    return entries
      .flatMap(({ value, modRevision }) => {
        const token = parseObject(value) as Token | undefined;
        return token === undefined ? [] : [{ token, modRevision }];
      })
      .sort((a, b) => a.token.createdAt.localeCompare(b.token.createdAt));
  }

  /** Whether somebody may still come in with it. */
  isOpen(token: Token): boolean {
    return token.usedBy === undefined && !this.isExpired(token);
  }

  isExpired({ expires }: Token): boolean {
    return Date.parse(expires) <= this.#now().getTime();
  }

  /** @throws DriverError `not-found` */
  async remove(id: string, signal?: AbortSignal): Promise<void> {
    const found = (await this.list(signal)).find(({ token }) => token.id === id);
    if (found === undefined)
      throw new DriverError("not-found", `Cannot remove the token "${id}": there is none. manx token ls shows them`);
    await this.#store.commit({ ops: [{ kind: "delete", key: TOKENS + found.token.id }] }, signal);
  }

  /** The token, if the secret is its. Not told apart: a wrong secret, a token that never was. */
  async find(id: string, secret: string, signal?: AbortSignal): Promise<StoredToken | undefined> {
    const found = (await this.list(signal)).find(({ token }) => token.id === id);
    const given = Buffer.from(hashOf(secret));
    const wanted = Buffer.from(found?.token.hash ?? hashOf(""));
    return timingSafeEqual(given, wanted) ? found : undefined;
  }

  /** @returns whether this host has it now; false: somebody was faster */
  async use({ token, modRevision }: StoredToken, host: string, key: string, signal?: AbortSignal): Promise<boolean> {
    const used: Token = { ...token, usedBy: { host, key, at: this.#now().toISOString() } };
    const at = TOKENS + token.id;
    const { ok } = await this.#store.commit(
      { compares: [{ key: at, modRevision }], ops: [{ kind: "put", key: at, value: JSON.stringify(used) }] },
      signal,
    );
    return ok;
  }

  async #forgetExpired(signal?: AbortSignal): Promise<void> {
    for (const { token, modRevision } of await this.list(signal)) {
      const key = TOKENS + token.id;
      if (this.isExpired(token))
        await this.#store.commit({ compares: [{ key, modRevision }], ops: [{ kind: "delete", key }] }, signal);
    }
  }
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
