import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Endpoint } from "../../core/calc/snapshot.ts";
import type { Journal } from "../../core/calc/tracker.ts";
import { ServiceClaims } from "./claims.ts";

/** Endpoints of other hosts by key; counts how many of them are read. */
class Elsewhere implements Journal<Endpoint> {
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #changes: string[] = [];
  forgets = false;
  read = 0;

  get version(): number {
    return this.#changes.length;
  }

  get(key: string): Endpoint | undefined {
    this.read++;
    return this.#endpoints.get(key);
  }

  keys(): Iterable<string> {
    return this.#endpoints.keys();
  }

  changedSince(version: number): Iterable<string> | undefined {
    return this.forgets ? undefined : this.#changes.slice(version);
  }

  set(key: string, ...serviceAddresses: string[]): void {
    this.#endpoints.set(key, { id: key, serviceAddresses } as unknown as Endpoint);
    this.#changes.push(key);
  }

  drop(key: string): void {
    this.#endpoints.delete(key);
    this.#changes.push(key);
  }
}

describe("service addresses that are announced", () => {
  const claims = new ServiceClaims({
    services: () => [],
    endpoints: () => [],
    hostAddresses: () => [],
    nodes: () => [],
  });
  const nobodyHere = { services: () => ({ members: [] }) } as unknown as Parameters<ServiceClaims["announced"]>[0];

  it("are those of the other hosts' endpoints, each once, and the same array while none comes or goes", () => {
    const remote = new Elsewhere();
    const announced = claims.announced(nobodyHere, remote);
    assert.deepEqual(announced(), []);
    remote.set("a", "203.0.113.10", "203.0.113.11");
    remote.set("b", "203.0.113.10");
    const both = announced();
    assert.deepEqual(both, ["203.0.113.10", "203.0.113.11"]);
    remote.set("c");
    assert.equal(announced(), both);
    remote.drop("a");
    assert.deepEqual(announced(), ["203.0.113.10"]);
    remote.forgets = true;
    remote.drop("b");
    assert.deepEqual(announced(), []);
  });

  it("cost what changed, not what there is", () => {
    const remote = new Elsewhere();
    for (let i = 0; i < 1000; i++) remote.set(`e${i}`);
    const announced = claims.announced(nobodyHere, remote);
    announced();
    remote.read = 0;
    remote.set("e7", "203.0.113.10");
    assert.deepEqual(announced(), ["203.0.113.10"]);
    assert.equal(remote.read, 1);
  });
});
