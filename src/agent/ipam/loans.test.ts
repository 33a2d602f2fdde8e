import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, pool } from "../../../tests/store/address-fixture.ts";
import { MortalStore } from "../../../tests/store/mortal-store.ts";
import { LOANS } from "../../core/ipam/loan.ts";
import { MemoryStore } from "../../drivers/store/memory.ts";
import { resourceKey } from "../cluster-cache.ts";
import type { AddressesOptions } from "./local-addresses.ts";

const POOL = pool("small", "10.9.0.0/28", { blockSize: 30 });

/** Two hosts of one cluster: the first owns the block of 10.9.0.4 to .7 and lends. */
class Pair implements AsyncDisposable {
  readonly store = new MemoryStore();
  readonly mortal = new MortalStore(this.store);
  readonly owner = new Host("owner", this.mortal, { answerMs: 100 });
  readonly borrower: Host;
  ids = ["", ""] as [string, string];

  constructor(more: Partial<AddressesOptions> = {}) {
    this.borrower = new Host("borrower", this.store, { answerMs: 100, ...more });
  }

  static async open(more: Partial<AddressesOptions> = {}): Promise<Pair> {
    const pair = new Pair(more);
    await pair.store.commit({ ops: [{ kind: "put", key: resourceKey(POOL), value: JSON.stringify(POOL) }] });
    pair.owner.pools = [POOL];
    pair.borrower.pools = [POOL];
    pair.ids = [await pair.owner.network("n1"), await pair.borrower.network("n1")];
    await pair.owner.addresses.request({ poolId: pair.ids[0], address: "10.9.0.4" });
    pair.owner.lend();
    return pair;
  }

  ask(address?: string): Promise<string> {
    return this.borrower.addresses.request({ poolId: this.ids[1], ...(address !== undefined && { address }) });
  }

  async loans(): Promise<unknown[]> {
    return (await this.store.list(LOANS)).entries.map(({ key, value }) => [
      key.slice(LOANS.length),
      (JSON.parse(value) as { state: string }).state,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owner[Symbol.asyncDispose]();
    await this.borrower[Symbol.asyncDispose]();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("loans", () => {
  it("an address asked for in another host's block is lent, used, and given back when nobody has it", async () => {
    await using pair = await Pair.open();
    assert.equal(await pair.ask("10.9.0.6"), "10.9.0.6/32");
    assert.deepEqual(pair.borrower.addresses.blocks(), ["10.9.0.6/32"]);
    assert.deepEqual(await pair.loans(), [["10.9.0.6", "granted"]]);
    const { owner, borrower } = pair;
    const given = ["10.9.0.4", "10.9.0.6"].map((a) => [owner, borrower].map((host) => host.addresses.isGiven(a)));
    assert.deepEqual(
      given,
      [
        [true, false],
        [false, true],
      ],
      "each by the host whose container has it",
    );
    await assert.rejects(owner.addresses.request({ poolId: pair.ids[0], address: "10.9.0.6" }), /has it/);
    await assert.rejects(pair.ask("10.9.0.6"), /has it/);
    for (const host of [owner, borrower]) await host.restart();
    owner.lend();
    for (const host of [owner, borrower]) assert.deepEqual(await host.addresses.recover(), []);
    assert.deepEqual(
      (await borrower.addresses.check()).map(({ kind }) => kind),
      ["address-leaked"],
    );
    for (let i = 0; i < 4; i++) {
      owner.clock += 3_600_000;
      await owner.addresses.reconcile(new Map([["10.9.0.4", { networkId: "n1" }]]), owner.addresses.mark());
    }
    assert.equal(owner.addresses.inUse().length, 2, "what is lent is no leak");
    borrower.addresses.release(pair.ids[1], "10.9.0.6");
    for (let i = 0; i < 2; i++) await borrower.addresses.reconcile(new Map(), borrower.addresses.mark());
    await pause(30);
    assert.deepEqual([await pair.loans(), borrower.addresses.blocks()], [[], []]);
    assert.equal(await owner.addresses.request({ poolId: pair.ids[0], address: "10.9.0.6" }), "10.9.0.6/32");
  });

  it("is refused for what is in use, reserved, or where blocks are strict, and says why", async () => {
    await using pair = await Pair.open();
    const grant = await pair.owner.addresses.requestPool({ family: 4, pool: "10.9.0.0/28" });
    await pair.owner.addresses.request({ poolId: grant.poolId, address: "10.9.0.5", isGateway: true });
    await assert.rejects(pair.ask("10.9.0.4"), /address 10\.9\.0\.4: host "owner", which owns it, has it in use/);
    await assert.rejects(pair.ask("10.9.0.5"), /keeps it for a gateway/);
    assert.deepEqual(await pair.loans(), []);
    await using strict = await Pair.open({ rules: () => ({ strictAffinity: true }) });
    await assert.rejects(strict.ask("10.9.0.6"), /pool "small" gave the block 10\.9\.0\.4\/30 to host "owner"/);
    await using limited = await Pair.open({ rules: () => ({ maxBlocksPerHost: 1 }) });
    for (let i = 0; i < 4; i++) await limited.ask();
    await assert.rejects(limited.ask(), /limit 1/);
    assert.deepEqual(await limited.loans(), [], "a host at its limit does not borrow by itself");
    assert.equal(await limited.ask("10.9.0.6"), "10.9.0.6/32");
  });

  it("is not waited for when the owner does not answer, and nothing is left of the question", async () => {
    await using pair = await Pair.open();
    await pair.owner.restart();
    await assert.rejects(pair.ask("10.9.0.6"), /host "owner", which owns it, does not answer/);
    assert.deepEqual(await pair.loans(), []);
    pair.owner.lend();
    assert.equal(await pair.ask("10.9.0.6"), "10.9.0.6/32");
  });

  it("serves whoever asks when every block is taken", async () => {
    await using pair = await Pair.open();
    const held = new Set(["10.9.0.4/32"]);
    for (let i = 0; i < 13; i++) held.add(await pair.ask());
    await pause(700);
    const [published] = (await pair.store.list("/manx/v1/ipam/published/owner/")).entries;
    const { allocations } = JSON.parse(published?.value ?? "{}") as { allocations: Record<string, string> };
    assert.deepEqual(Object.keys(allocations), ["10.9.0.4", "10.9.0.5"], "what the owner gave out is published");
    for (let i = 0; i < 2; i++) held.add(await pair.ask());
    assert.equal(held.size, 16);
    await assert.rejects(pair.ask(), /pool "small" \(10\.9\.0\.0\/28\) has no free block left/);
  });

  it("is kept by an owner that dies before it can say so, and granted when it is back", async () => {
    await using pair = await Pair.open({ answerMs: 3000 });
    pair.mortal.dieAt(0, false);
    const asked = pair.ask("10.9.0.6");
    await pause(30);
    pair.mortal.revive();
    await pair.owner.restart();
    pair.owner.lend();
    assert.equal(await asked, "10.9.0.6/32");
    assert.equal(pair.owner.addresses.inUse().length, 2);
  });

  it("is forgotten by the owner when the question is taken back while it decides", async () => {
    await using pair = await Pair.open();
    pair.mortal.before = async (ops) => {
      const [op] = ops;
      if (op?.kind === "put" && op.value.includes("granted"))
        await pair.store.commit({ ops: [{ kind: "delete", key: op.key }] });
    };
    await assert.rejects(pair.ask("10.9.0.6"), /does not answer/);
    assert.equal(pair.owner.addresses.inUse().length, 1);
  });

  it("knows after a crash what is lent to it, and gives back what it did not get to know of", async () => {
    await using pair = await Pair.open();
    const put = (address: string, state: string) =>
      pair.store.commit({
        ops: [
          {
            kind: "put",
            key: LOANS + address,
            value: JSON.stringify({ owner: "owner", borrower: "borrower", pool: "small", state }),
          },
        ],
      });
    await put("10.9.0.6", "asked");
    await pause(20);
    assert.deepEqual(await pair.loans(), [["10.9.0.6", "granted"]]);
    assert.deepEqual(
      (await pair.borrower.addresses.check()).map(({ kind }) => kind),
      ["loan-not-known"],
    );
    await pair.borrower.restart();
    await pair.borrower.addresses.recover();
    await pause(20);
    assert.deepEqual(await pair.loans(), []);
    assert.equal(pair.owner.addresses.inUse().length, 1);
    await put("10.9.0.7", "asked");
    await pause(20);
    assert.equal(await pair.ask("10.9.0.7"), "10.9.0.7/32", "granted after we had given up");
  });
});
