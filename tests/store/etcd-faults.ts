/** What etcd and networks do to a client: freeze, die, lose their quorum, compact, forget tokens, change members. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { EtcdStore } from "../../src/drivers/store/etcd.ts";
import type { Store } from "../../src/drivers/store/store.ts";
import type { EtcdName } from "../../src/lab/etcd.ts";
import { EtcdCluster } from "./etcd-cluster.ts";

const put = (key: string, value: string) => ({ kind: "put", key, value }) as const;

/** Writes every 50 ms and watches what it writes; tells the longest time without either. */
class Traffic implements AsyncDisposable {
  readonly #enough = new AbortController();
  /** Several runs on one cluster must not meet each other's keys. */
  readonly #run = randomUUID().slice(0, 8);
  readonly #stop = new AbortController();
  readonly #store: Store;
  readonly acknowledged: string[] = [];
  readonly seen: string[] = [];
  readonly failures: string[] = [];
  longestWrite = 0;
  resyncs = 0;
  #watching: Promise<void>;
  #writing: Promise<void>;

  constructor(store: Store, revision: number) {
    this.#store = store;
    this.#watching = this.#watch(revision);
    this.#writing = this.#write();
  }

  async #watch(from: number): Promise<void> {
    const { signal } = this.#stop;
    for (let revision = from; !signal.aborted; await sleep(50))
      try {
        for await (const batch of this.#store.watch("/t/", revision, signal)) {
          revision = batch.revision;
          if (batch.kind === "compacted") this.resyncs++;
          else for (const event of batch.events) if (event.kind === "put") this.seen.push(event.entry.value);
        }
      } catch (error) {
        this.failures.push(String(error));
      }
  }

  async #write(): Promise<void> {
    for (let i = 0; !this.#enough.signal.aborted; i++) {
      const begun = performance.now();
      try {
        // With a compare, what is repeated because its outcome is unknown is still done once.
        const value = `${this.#run}-${i}`;
        const compares = [{ key: `/t/${value}`, modRevision: 0 }];
        const { ok } = await this.#store.commit({ compares, ops: [put(`/t/${value}`, value)] });
        if (ok) this.acknowledged.push(value);
        else this.failures.push(`${i} was refused`);
      } catch (error) {
        this.failures.push(String(error));
      }
      this.longestWrite = Math.max(this.longestWrite, performance.now() - begun);
      await sleep(50);
    }
  }

  /** Ends, once all that was acknowledged has been seen. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#enough.abort();
    await this.#writing;
    const last = this.acknowledged.at(-1) ?? "";
    for (let i = 0; i < 200 && !this.seen.includes(last); i++) await sleep(50);
    this.#stop.abort();
    await this.#watching;
  }
}

/** Runs traffic while something happens. */
async function under(
  cluster: EtcdCluster,
  happening: (traffic: Traffic, store: EtcdStore) => Promise<void>,
): Promise<Traffic> {
  await using store = await cluster.open();
  const { revision } = await store.list("");
  const traffic = new Traffic(store, revision);
  {
    await using _ends = traffic;
    await sleep(500);
    await happening(traffic, store);
  }
  return traffic;
}

function assertNothingLost({ acknowledged, seen }: Traffic): void {
  assert.ok(acknowledged.length > 10, `only ${acknowledged.length} writes`);
  const missing = acknowledged.filter((value) => !seen.includes(value));
  assert.deepEqual(missing, [], "acknowledged and never seen by the watch");
  assert.equal(new Set(seen).size, seen.length, "seen twice");
}

/** All that JavaScript sees of the wall clock. */
function shifted(real: DateConstructor, ms: number): DateConstructor {
  return class extends real {
    constructor(...args: readonly [] | readonly [number | string | Date]) {
      super(args[0] ?? real.now() + ms);
    }
    static override now(): number {
      return real.now() + ms;
    }
  } as DateConstructor;
}

export function faultsOf(version: EtcdName): void {
  void describe(`etcd ${version} in trouble`, { concurrency: 1 }, () => {
    void it("leaves a frozen member within 3 s, loses nothing, and works while the other two do", async () => {
      await using cluster = await EtcdCluster.start({ version, members: 3 });
      for (const which of ["leader", "any"]) {
        const traffic = await under(cluster, async (_, store) => {
          const used = store.endpoint;
          const frozen =
            which === "leader"
              ? await cluster.leader()
              : cluster.members.find(({ clientUrl }) => clientUrl.endsWith(used));
          frozen?.signal("SIGSTOP");
          await sleep(5000);
          frozen?.signal("SIGCONT");
        });
        assert.deepEqual(traffic.failures, [], which);
        // The old leader's successor is elected after 1-2 s; the rest is finding out.
        assert.ok(traffic.longestWrite < (which === "leader" ? 5000 : 3500), `${which}: ${traffic.longestWrite} ms`);
        assertNothingLost(traffic);
        await cluster.healthy();
      }
    });

    void it("goes on with the others when the leader is killed, and when a member is replaced by a new one", async () => {
      await using cluster = await EtcdCluster.start({ version, members: 3 });
      const traffic = await under(cluster, async () => {
        const leader = await cluster.leader();
        await leader.kill();
        await sleep(1000);
        await cluster.replace(cluster.members.indexOf(leader));
      });
      assert.deepEqual(traffic.failures, []);
      assertNothingLost(traffic);
    });

    void it("is not misled by a clock that jumps by an hour, forth and back", async () => {
      await using cluster = await EtcdCluster.start({ version });
      const traffic = await under(cluster, async () => {
        const real = globalThis.Date;
        try {
          for (const hours of [1, -1]) {
            globalThis.Date = shifted(real, hours * 3_600_000);
            await sleep(3000);
          }
        } finally {
          globalThis.Date = real;
        }
      });
      assert.deepEqual(traffic.failures, []);
      assert.ok(traffic.longestWrite < 3500, `${traffic.longestWrite} ms`);
      assertNothingLost(traffic);
    });

    void it("says so when the quorum is lost, refuses at once from then on, and recovers by itself", async () => {
      await using cluster = await EtcdCluster.start({ version, members: 3 });
      await using store = await cluster.open();
      const { revision } = await store.commit({ ops: [put("/a", "1")] });
      const troubles: (string | undefined)[] = [];
      store.onTrouble((why) => troubles.push(why));
      for (const i of [0, 1]) cluster.member(i).signal("SIGSTOP");
      const end = performance.now() + 15_000;
      while (store.trouble() === undefined && performance.now() < end) await sleep(100);
      assert.match(store.trouble() ?? "", /127\.0\.0\.1:\d+: /);
      const begun = performance.now();
      await assert.rejects(store.commit({ ops: [put("/a", "2")] }), { name: "DriverError", code: "unavailable" });
      await assert.rejects(store.get("/a"), { code: "unavailable" });
      assert.ok(performance.now() - begun < 200, "known to be away, and yet it waits");
      for (const i of [0, 1]) cluster.member(i).signal("SIGCONT");
      const back = performance.now() + 15_000;
      while (store.trouble() !== undefined && performance.now() < back) await sleep(100);
      assert.equal(store.trouble(), undefined);
      assert.equal((await store.get("/a"))?.modRevision, revision, "the refused write was not done");
      assert.ok(troubles.length >= 2 && troubles.at(-1) === undefined);
    });

    void it("asks for a full resync after a compaction that happened while it was away", async () => {
      await using cluster = await EtcdCluster.start({ version });
      await using store = await cluster.open();
      const { revision } = await store.list("");
      const traffic = new Traffic(store, revision);
      await sleep(300);
      cluster.member(0).signal("SIGSTOP");
      await sleep(200);
      await cluster.member(0).kill();
      cluster.member(0).start();
      await cluster.healthy();
      await traffic[Symbol.asyncDispose]();
      const now = (await store.list("")).revision;
      await cluster.ctl(["compact", String(now)]);
      const kinds: string[] = [];
      for await (const batch of store.watch("/t/", revision, AbortSignal.timeout(5000))) {
        kinds.push(batch.kind);
        break;
      }
      assert.deepEqual(kinds, ["compacted"]);
    });

    void it("asks for a full resync where the store has gone back in time: restored from a backup", async () => {
      await using cluster = await EtcdCluster.start({ version });
      await using store = await cluster.open();
      const { revision } = await store.commit({ ops: [put("/a", "1")] });
      for await (const batch of store.watch("/", revision + 1000, AbortSignal.timeout(5000))) {
        assert.deepEqual(batch, { kind: "compacted", revision });
        return;
      }
      assert.fail("nothing came");
    });

    void it("renews a token that has expired, a simple one and a JWT, also under a watch", async () => {
      const folder = mkdtempSync(join(tmpdir(), "manx-jwt-"));
      try {
        await tokenExpires(version, ["--auth-token-ttl", "1"]);
        await tokenExpires(version, ["--auth-token", jwt(folder, "1s")]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    void it("keeps a lease alive over the death of a member", async () => {
      await using cluster = await EtcdCluster.start({ version, members: 3 });
      await using store = await cluster.open();
      const life = new AbortController();
      const lease = await store.lease(6, life.signal);
      await store.commit({ ops: [{ ...put("/l/a", "1"), lease }] });
      const used = cluster.members.find(({ clientUrl }) => clientUrl.endsWith(store.endpoint));
      await used?.kill();
      await sleep(9000);
      assert.equal((await store.get("/l/a"))?.value, "1");
      life.abort();
      const end = performance.now() + 20_000;
      while ((await store.get("/l/a")) !== undefined && performance.now() < end) await sleep(200);
      assert.equal(await store.get("/l/a"), undefined);
    });
  });
}

/** `--auth-token` for tokens that say themselves how long they are good. */
function jwt(folder: string, ttl: string): string {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  writeFileSync(join(folder, "pub"), publicKey);
  writeFileSync(join(folder, "priv"), privateKey);
  return `jwt,pub-key=${folder}/pub,priv-key=${folder}/priv,sign-method=RS256,ttl=${ttl}`;
}

async function tokenExpires(version: EtcdName, args: readonly string[]): Promise<void> {
  await using cluster = await EtcdCluster.start({ version, args });
  const user = { name: "manx", password: "s3cret" };
  await cluster.ctl(["user", "add", "root:root"]);
  await cluster.ctl(["user", "grant-role", "root", "root"]).catch(() => {});
  await cluster.ctl(["role", "add", "manx"]);
  await cluster.ctl(["role", "grant-permission", "manx", "readwrite", "/", "--prefix"]);
  await cluster.ctl(["user", "add", `${user.name}:${user.password}`]);
  await cluster.ctl(["user", "grant-role", user.name, "manx"]);
  await cluster.ctl(["auth", "enable"]);
  await using store = await cluster.open({ user });
  const { revision } = await store.commit({ ops: [put("/t/a", "1")] });
  for (let i = 0; i < 3; i++) {
    await sleep(1500);
    await store.commit({ ops: [put("/t/a", `${i}`)] });
  }
  await using stale = await cluster.open({ user });
  await stale.get("/t/a");
  await sleep(2500);
  for await (const batch of stale.watch("/t/", revision, AbortSignal.timeout(8000))) {
    assert.equal(batch.kind, "events");
    break;
  }
  await using wrong = await cluster.open({ user: { name: "manx", password: "wrong" } });
  await assert.rejects(wrong.get("/t/a"), { code: "denied", message: /no such user with this password/ });
  await using none = await cluster.open();
  await assert.rejects(none.get("/t/a"), { code: "denied", message: /wants a user and a password/ });
  await assert.rejects(store.get("x"), { code: "denied", message: /readwrite on the prefix/ });
}
