/** A BIRD for tests: remembers its configuration, and what was done to it. */
import { DriverError } from "../error.ts";
import type { Applied, Bird } from "./bird.ts";
import type { Reply } from "./control.ts";

export class FakeBird implements Bird {
  config: string | undefined;
  /** What it was asked to do, in order. */
  readonly done: string[] = [];
  /** Thrown by the next apply. */
  failure: DriverError | undefined;

  get running(): boolean {
    return this.config !== undefined;
  }

  apply(config: string): Promise<Applied> {
    const { failure } = this;
    this.failure = undefined;
    if (failure !== undefined) return Promise.reject(failure);
    if (this.config === config) return Promise.resolve("unchanged");
    const applied = this.config === undefined ? "started" : "reconfigured";
    this.config = config;
    this.done.push(applied);
    return Promise.resolve(applied);
  }

  stop(): Promise<void> {
    if (this.running) this.done.push("stopped");
    this.config = undefined;
    return Promise.resolve();
  }

  log(): Promise<string> {
    return Promise.resolve("");
  }

  ask(): Promise<Reply> {
    return this.running
      ? Promise.resolve([{ code: 0, text: "" }])
      : Promise.reject(new DriverError("unavailable", "Cannot ask BIRD: it does not run"));
  }
}
