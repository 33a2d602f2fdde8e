/** What every cluster store must do, whatever serves it. Judges SQLite, the fake and etcd alike. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store, WatchBatch, WatchEvent } from "../../src/drivers/store/store.ts";

export interface StoreUnderTest {
  readonly store: Store;
  /** Forgets the history up to the revision. */
  readonly compact: (revision: number) => Promise<void> | void;
  /** Ends what `open` began; closes the store. */
  readonly close: () => Promise<void>;
}

const invalid = { name: "DriverError", code: "invalid" };

/** `open` gives an empty store each time. */
export function storeContract(
  name: string,
  open: () => Promise<StoreUnderTest>,
  { concurrency = 8 }: { readonly concurrency?: number } = {},
): void {
  const check = (title: string, work: (t: StoreUnderTest) => Promise<void>): void => {
    void it(title, { timeout: 120_000 }, async () => {
      const under = await open();
      try {
        await work(under);
      } finally {
        await under.close();
      }
    });
  };

  void describe(`store: ${name}`, { concurrency }, () => {
    readsAndWrites(check);
    refuses(check);
    watches(check);
    leases(check);
  });
}

type Check = (title: string, work: (t: StoreUnderTest) => Promise<void>) => void;

function readsAndWrites(check: Check): void {
  check("has no key that nobody put", async ({ store }) => {
    assert.equal(await store.get("/a"), undefined);
    assert.deepEqual((await store.list("/")).entries, []);
    assert.equal(store.trouble(), undefined);
  });

  check("keeps create and modification revisions apart", async ({ store }) => {
    const first = await put(store, "/a", "1");
    const second = await put(store, "/a", "2");
    assert.equal(second, first + 1);
    assert.deepEqual(await store.get("/a"), { key: "/a", value: "2", createRevision: first, modRevision: second });
    await store.commit({ ops: [{ kind: "delete", key: "/a" }] });
    const again = await put(store, "/a", "3");
    assert.deepEqual(await store.get("/a"), { key: "/a", value: "3", createRevision: again, modRevision: again });
  });

  check("counts a revision for a commit, not for an operation, and none where nothing changed", async ({ store }) => {
    const { revision } = await store.commit({ ops: [putOp("/a", "1"), putOp("/b", "1")] });
    assert.equal((await store.get("/a"))?.modRevision, revision);
    assert.equal((await store.get("/b"))?.modRevision, revision);
    assert.deepEqual(await store.commit({ ops: [{ kind: "delete", key: "/none" }] }), { ok: true, revision });
    assert.deepEqual(await store.commit({ ops: [] }), { ok: true, revision });
    assert.equal((await store.list("")).revision, revision);
  });

  check("counts a put of the same value as a change", async ({ store }) => {
    const first = await put(store, "/a", "1");
    assert.equal(await put(store, "/a", "1"), first + 1);
  });

  check("lists exactly what begins with the prefix, in order of bytes", async ({ store }) => {
    for (const key of ["/p/b", "/p/a", "/p", "/pz", "/p/a/c", "/p/ä", "/p/\u{1f408}", "/p/\uffee", "/o/x", "/q"])
      await put(store, key, key);
    const keys = (await store.list("/p/")).entries.map(({ key }) => key);
    assert.deepEqual(keys, ["/p/a", "/p/a/c", "/p/b", "/p/ä", "/p/\uffee", "/p/\u{1f408}"]);
    assert.deepEqual(await listKeys(store, "/p/a"), ["/p/a", "/p/a/c"]);
    assert.equal((await store.list("")).entries.length, 10);
  });

  check("keeps values as they are", async ({ store }) => {
    for (const value of ["", "\0", "ä\u{1f408}\r\n", "'; DROP TABLE kv; --", "x".repeat(1_000_000)]) {
      await put(store, "/v", value);
      assert.equal((await store.get("/v"))?.value, value);
    }
  });

  check("commits only where every compare holds, and then all of it", async ({ store }) => {
    const at = await put(store, "/a", "1");
    const wrong = await store.commit({
      compares: [
        { key: "/a", modRevision: at },
        { key: "/b", modRevision: at },
      ],
      ops: [putOp("/a", "2"), putOp("/c", "2")],
    });
    assert.deepEqual(wrong, { ok: false, revision: at });
    assert.equal((await store.get("/a"))?.value, "1");
    assert.equal(await store.get("/c"), undefined);
    const right = await store.commit({
      compares: [
        { key: "/a", modRevision: at },
        { key: "/b", modRevision: 0 },
      ],
      ops: [putOp("/a", "2"), putOp("/b", "2")],
    });
    assert.deepEqual(right, { ok: true, revision: at + 1 });
  });

  check("commits thousands of operations beside 64 compares as one whole", async ({ store }) => {
    const start = await put(store, "/m/0", "before");
    const many = Array.from({ length: 4000 }, (_, i) => putOp(`/m/${i}`, "after"));
    const compares = Array.from({ length: 64 }, (_, i) => ({ key: `/n/${i}`, modRevision: 0 }));
    const wrong = { key: "/m/0", modRevision: start + 1 };
    const refused = await store.commit({ compares: [...compares.slice(1), wrong], ops: many });
    assert.deepEqual(refused, { ok: false, revision: start });
    assert.deepEqual(await listKeys(store, "/m/"), ["/m/0"]);
    const done = await store.commit({ compares, ops: many });
    assert.deepEqual(done, { ok: true, revision: start + 1 });
    const { entries } = await store.list("/m/");
    assert.equal(entries.length, 4000);
    assert.ok(entries.every(({ value, modRevision }) => value === "after" && modRevision === start + 1));
    const [batch, ...more] = await collectBatches(store, "/m/", start, 4000);
    assert.deepEqual([batch?.events.length, more], [4000, []]);
    const gone = many.map(({ key }) => ({ kind: "delete", key }) as const);
    assert.deepEqual(await store.commit({ ops: gone }), { ok: true, revision: start + 2 });
    assert.deepEqual(await listKeys(store, "/m/"), []);
  });

  check(
    "compares all that begins with a prefix: refused where one was put later, not where one went",
    async ({ store }) => {
      const at = await put(store, "/p/a", "1");
      const later = await put(store, "/p", "no part of it");
      const put1 = (key: string, until: number) =>
        store.commit({ compares: [{ prefix: "/p/", until }], ops: [putOp(key, "1")] });
      assert.equal((await put1("/q", at)).ok, true);
      assert.equal((await put1("/p/b", later)).ok, true);
      assert.equal((await put1("/q", later)).ok, false);
      await store.commit({ ops: [{ kind: "delete", key: "/p/b" }] });
      assert.equal((await put1("/q", at)).ok, true);
      assert.equal((await put1("/q", at - 1)).ok, false);
      assert.equal((await store.commit({ compares: [{ prefix: "/none/", until: 0 }], ops: [] })).ok, true);
    },
  );

  check("lets one of many win who compare the same revision", async ({ store }) => {
    const tries = Array.from({ length: 20 }, (_, i) =>
      store.commit({ compares: [{ key: "/lock", modRevision: 0 }], ops: [putOp("/lock", String(i))] }),
    );
    assert.equal((await Promise.all(tries)).filter(({ ok }) => ok).length, 1);
  });
}

function refuses(check: Check): void {
  check("refuses a commit that names a key twice, as a whole", async ({ store }) => {
    await assert.rejects(store.commit({ ops: [putOp("/a", "1"), putOp("/b", "1"), putOp("/a", "2")] }), invalid);
    await assert.rejects(store.commit({ ops: [putOp("/a", "1"), { kind: "delete", key: "/a" }] }), invalid);
    assert.deepEqual((await store.list("")).entries, []);
  });

  check("refuses keys that are no keys, and what is too much", async ({ store }) => {
    for (const key of ["", "\0", "a\ud800", "x".repeat(5000)])
      await assert.rejects(store.commit({ ops: [putOp(key, "1")] }), invalid);
    await assert.rejects(store.commit({ ops: [putOp("/a", "x".repeat(9_000_000))] }), invalid);
    await assert.rejects(store.commit({ ops: [putOp("/a", "\ud800")] }), invalid);
    await assert.rejects(store.commit({ ops: Array.from({ length: 5000 }, (_, i) => putOp(`/${i}`, "")) }), invalid);
    const compares = Array.from({ length: 65 }, (_, i) => ({ key: `/${i}`, modRevision: 0 }));
    await assert.rejects(store.commit({ compares, ops: [putOp("/a", "1")] }), invalid);
    assert.deepEqual((await store.list("")).entries, []);
  });

  check("gives up when the signal has aborted", async ({ store }) => {
    const aborted = AbortSignal.abort(new Error("enough"));
    await assert.rejects(store.get("/a", aborted), /enough|abort/i);
    await assert.rejects(store.list("/a", aborted), /enough|abort/i);
    await assert.rejects(store.commit({ ops: [putOp("/a", "1")] }, aborted), /enough|abort/i);
    assert.equal(await store.get("/a"), undefined);
  });

  check("refuses everything once closed", async ({ store }) => {
    await store[Symbol.asyncDispose]();
    await assert.rejects(store.get("/a"), { name: "DriverError", code: "unavailable" });
    await assert.rejects(store.commit({ ops: [putOp("/a", "1")] }), { name: "DriverError", code: "unavailable" });
  });
}

function watches(check: Check): void {
  check("watch: shows what was committed before and after it began, in order, nothing twice", async ({ store }) => {
    const start = (await store.list("/")).revision;
    for (let i = 0; i < 5; i++) await put(store, `/w/${i}`, "before");
    const seen = collect(store, "/w/", start, 10);
    for (let i = 5; i < 10; i++) await put(store, `/w/${i}`, "after");
    assert.deepEqual(
      (await seen).map((event) => keyOf(event)),
      Array.from({ length: 10 }, (_, i) => `/w/${i}`),
    );
  });

  check("watch: shows only the prefix, puts with both revisions, deletes with theirs", async ({ store }) => {
    const start = await put(store, "/w/a", "1");
    const seen = collect(store, "/w/", start, 2);
    await put(store, "/x/a", "1");
    const changed = await put(store, "/w/a", "2");
    const { revision: deleted } = await store.commit({ ops: [{ kind: "delete", key: "/w/a" }] });
    assert.deepEqual(await seen, [
      { kind: "put", entry: { key: "/w/a", value: "2", createRevision: start, modRevision: changed } },
      { kind: "delete", key: "/w/a", modRevision: deleted },
    ]);
  });

  check("watch: never splits a commit, also when there are many", async ({ store }) => {
    const start = (await store.list("")).revision;
    for (let c = 0; c < 30; c++)
      await store.commit({ ops: Array.from({ length: 50 }, (_, i) => putOp(`/w/${i}`, `${c}`)) });
    const batches = await collectBatches(store, "/w/", start, 1500);
    for (const { events } of batches) assert.equal(events.length % 50, 0);
    const values = batches.flatMap(({ events }) =>
      events.map((event) => (event.kind === "put" ? event.entry.value : "")),
    );
    assert.deepEqual(
      values,
      Array.from({ length: 1500 }, (_, i) => String(Math.floor(i / 50))),
    );
  });

  check("watch: resumes from each batch's revision without gap or repetition", async ({ store }) => {
    let revision = (await store.list("")).revision;
    const seen: string[] = [];
    for (let i = 0; i < 6; i++) {
      await put(store, "/w/a", `${i}`);
      if (i % 2 === 0) continue;
      for await (const batch of store.watch("/w/", revision, new AbortController().signal)) {
        assert.equal(batch.kind, "events");
        revision = batch.revision;
        if (batch.kind === "events")
          for (const event of batch.events) seen.push(event.kind === "put" ? event.entry.value : "");
        if (seen.at(-1) === `${i}`) break;
      }
    }
    assert.deepEqual(seen, ["0", "1", "2", "3", "4", "5"]);
  });

  check("watch: says when the past is gone", async ({ store, compact }) => {
    const start = await put(store, "/w/a", "1");
    await put(store, "/w/a", "2");
    const last = await put(store, "/w/a", "3");
    await compact(last - 1);
    const batches: WatchBatch[] = [];
    for await (const batch of store.watch("/w/", start, new AbortController().signal)) {
      batches.push(batch);
      break;
    }
    assert.equal(batches[0]?.kind, "compacted");
    assert.equal((await collect(store, "/w/", last - 1, 1)).length, 1, "what is not compacted can still be watched");
  });

  check("watch: ends silently when its signal aborts", async ({ store }) => {
    const stop = new AbortController();
    const ended = (async () => {
      for await (const batch of store.watch("/w/", (await store.list("")).revision, stop.signal))
        assert.fail(batch.kind);
    })();
    await sleep(50);
    stop.abort();
    await ended;
  });
}

function leases(check: Check): void {
  check("lease: keys live as long as it is kept alive, and go when it is not", async ({ store }) => {
    const life = new AbortController();
    const lease = await store.lease(1, life.signal);
    const { revision } = await store.commit({
      ops: [{ kind: "put", key: "/l/a", value: "1", lease }, putOp("/l/b", "1")],
    });
    await sleep(1600);
    assert.deepEqual(await listKeys(store, "/l/"), ["/l/a", "/l/b"]);
    life.abort();
    const [gone] = await collect(store, "/l/", revision, 1);
    assert.equal(gone?.kind, "delete");
    assert.deepEqual(await listKeys(store, "/l/"), ["/l/b"]);
    await assert.rejects(store.commit({ ops: [{ kind: "put", key: "/l/c", value: "1", lease }] }), {
      code: "not-found",
    });
  });

  check("lease: a put without it frees the key from it", async ({ store }) => {
    const life = new AbortController();
    const lease = await store.lease(1, life.signal);
    await store.commit({
      ops: [
        { kind: "put", key: "/l/a", value: "1", lease },
        { kind: "put", key: "/l/z", value: "1", lease },
      ],
    });
    const at = await put(store, "/l/a", "2");
    life.abort();
    await collect(store, "/l/z", at, 1);
    assert.deepEqual(await listKeys(store, "/l/"), ["/l/a"]);
  });
}

const putOp = (key: string, value: string) => ({ kind: "put", key, value }) as const;

async function put(store: Store, key: string, value: string): Promise<number> {
  const { ok, revision } = await store.commit({ ops: [putOp(key, value)] });
  assert.ok(ok);
  return revision;
}

async function listKeys(store: Store, prefix: string): Promise<string[]> {
  return (await store.list(prefix)).entries.map(({ key }) => key);
}

function keyOf(event: WatchEvent): string {
  return event.kind === "put" ? event.entry.key : event.key;
}

type Events = Extract<WatchBatch, { kind: "events" }>;

async function collectBatches(store: Store, prefix: string, revision: number, count: number): Promise<Events[]> {
  const batches: Events[] = [];
  let seen = 0;
  for await (const batch of store.watch(prefix, revision, AbortSignal.timeout(60_000))) {
    if (batch.kind === "compacted") assert.fail("compacted");
    batches.push(batch);
    seen += batch.events.length;
    if (seen >= count) return batches;
  }
  assert.fail(`saw ${seen} events, expected ${count}`);
}

async function collect(store: Store, prefix: string, revision: number, count: number): Promise<WatchEvent[]> {
  return (await collectBatches(store, prefix, revision, count)).flatMap(({ events }) => events);
}
