/** Many hosts, one store, crashes between any two steps: no address is given twice, and none is lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Host, pool } from "../../../tests/store/address-fixture.ts";
import { MortalStore } from "../../../tests/store/mortal-store.ts";
import { LOANS, lentTo } from "../../core/ipam/loan.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import type { Store } from "../../drivers/store/store.ts";

const POOL = pool("small", "10.9.0.0/29", { blockSize: 31 });
const HOSTS = ["a", "b", "c"];

interface Machine {
  readonly host: Host;
  readonly store: MortalStore;
  poolId: string;
  /** What containers have. */
  readonly held: Set<string>;
}

async function machine(name: string, shared: Store): Promise<Machine> {
  const store = new MortalStore(shared);
  const host = new Host(name, store, { answerMs: 30 });
  host.pools = [POOL];
  host.lend();
  return { host, store, poolId: await host.network("n1"), held: new Set() };
}

async function revive({ host, store }: Machine): Promise<void> {
  store.revive();
  await host.restart();
  assert.deepEqual(await host.addresses.recover(), []);
  host.lend();
}

/** Wall clocks of hosts that jump: nothing may be decided by them. */
const RealDate = Date;
let skew = 0;
class JumpingDate extends RealDate {
  constructor(...args: [] | [number | string]) {
    super(args.length === 0 ? RealDate.now() + skew : args[0]);
  }
  static override now(): number {
    return RealDate.now() + skew;
  }
}

const action = fc.record({
  away: fc.boolean(),
  jump: fc.option(fc.integer({ min: -1e9, max: 1e9 }), { nil: undefined }),
  who: fc.nat(HOSTS.length - 1),
  what: fc.constantFrom("give", "give", "give", "exactly", "back", "all back", "reconcile", "restart", "everybody"),
  which: fc.nat(7),
  dies: fc.option(fc.record({ at: fc.nat(3), through: fc.boolean() }), { nil: undefined }),
});

interface Step {
  readonly what: string;
  readonly which: number;
  readonly dies: { readonly at: number; readonly through: boolean } | undefined;
}

async function act(m: Machine, { what, which }: Pick<Step, "what" | "which">): Promise<void> {
  const { host, poolId, held } = m;
  if (what === "give") held.add(await host.addresses.request({ poolId }));
  if (what === "exactly") held.add(await host.addresses.request({ poolId, address: `10.9.0.${which}` }));
  if (what === "back") {
    const a = [...held][which % Math.max(1, held.size)];
    if (a === undefined) return;
    held.delete(a);
    host.addresses.release(poolId, a);
  }
  if (what === "all back") {
    for (const a of held) host.addresses.release(poolId, a);
    held.clear();
    for (let i = 0; i < 2; i++) await reconcile(m);
  }
  if (what === "reconcile") await reconcile(m);
  if (what === "restart") await revive(m);
}

async function tryTo(m: Machine, { what, which, dies }: Step): Promise<void> {
  if (dies !== undefined) m.store.dieAt(dies.at, dies.through);
  try {
    await act(m, { what: what === "everybody" ? "give" : what, which });
  } catch (error) {
    const message = error instanceof Error ? error.message : "";
    assert.match(message, /dead|away|Cannot give out/);
    if (message === "dead") await revive(m).catch((error: unknown) => assert.match(String(error), /away/));
  }
  m.store.revive();
}

async function reconcile({ host, held }: Machine): Promise<void> {
  host.clock += 3_600_000;
  const live = new Map([...held].map((a) => [a.replace("/32", ""), { networkId: "n1" }]));
  await host.addresses.reconcile(live, host.addresses.mark());
}

function inUse({ host }: Machine): string[] {
  return host.addresses
    .inUse()
    .filter(({ poolId }) => lentTo(poolId) === undefined)
    .map(({ address }) => `${address}/32`)
    .sort();
}

describe("addresses of many hosts that crash", () => {
  it("no address twice, none lost, and what is left of a crash goes away", { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60 }), async (actions) => {
        const shared = new MemoryStore();
        globalThis.Date = JumpingDate as DateConstructor;
        const seed = new Host("seed", shared);
        await seed.addPool(POOL);
        const machines = await Promise.all(HOSTS.map((name) => machine(name, shared)));
        try {
          for (const step of actions) {
            skew = step.jump ?? skew;
            shared.fail(step.away && step.which === 0 ? "away" : undefined);
            const acting = step.what === "everybody" ? machines : [machines[step.who] as Machine];
            await Promise.all(acting.map((m) => tryTo(m, step)));
            const all = machines.flatMap(({ held }) => [...held]);
            assert.equal(new Set(all).size, all.length, `given twice: ${all.join()}`);
          }
          shared.fail(undefined);
          for (const m of machines) await revive(m);
          for (let i = 0; i < 3; i++) for (const m of machines) await reconcile(m);
          for (const m of machines) {
            assert.deepEqual(inUse(m), [...m.held].sort());
            const expected = new Map([...m.held].map((a) => [a.replace("/32", ""), { networkId: "n1" }]));
            assert.deepEqual(await m.host.addresses.check(expected), []);
          }
          await givesEverything(shared, machines);
        } finally {
          globalThis.Date = RealDate;
          for (const { host } of machines) await host[Symbol.asyncDispose]();
          await seed[Symbol.asyncDispose]();
        }
      }),
      { numRuns: Number(process.env["MANX_RUNS"] ?? 25) },
    );
  });
});

/** When all have given everything back, another host gets every address of the pool. */
async function givesEverything(shared: Store, machines: readonly Machine[]): Promise<void> {
  for (const { host, poolId, held } of machines) {
    for (const a of held) host.addresses.release(poolId, a);
    host.pools = [{ ...POOL, spec: { ...POOL.spec, nodeSelector: "none()" } }];
    for (let i = 0; i < 2; i++) await host.addresses.reconcile(new Map(), host.addresses.mark());
  }
  for (let i = 0; i < 100 && (await shared.list(LOANS)).entries.length > 0; i++) await sleep(5);
  for (const { host } of machines) {
    for (let i = 0; i < 2; i++) await host.addresses.reconcile(new Map(), host.addresses.mark());
    assert.deepEqual(host.addresses.blocks(), []);
  }
  const last = await machine("last", shared);
  try {
    for (let i = 0; i < 8; i++) last.held.add(await last.host.addresses.request({ poolId: last.poolId }));
    assert.equal(last.held.size, 8);
  } finally {
    await last.host[Symbol.asyncDispose]();
  }
}
