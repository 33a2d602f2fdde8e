/** Network namespaces of a test's own. They are gone when the test ends, however it ends. */
import { execFileSync } from "node:child_process";
import { freshSettings } from "../../src/lab/fresh.ts";

let made = 0;

export class Namespace implements Disposable {
  readonly name = `mnx-${process.pid}-${made++}`;
  readonly path = `/run/netns/${this.name}`;

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    this.run("busybox", "sysctl", "-qw", ...freshSettings());
  }

  /** Runs a program inside; its output. */
  run(command: string, ...args: string[]): string {
    return execFileSync("ip", ["netns", "exec", this.name, command, ...args], {
      encoding: "utf8",
      maxBuffer: 1 << 28,
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  ip(command: string): string {
    return this.run("ip", ...command.split(" "));
  }

  [Symbol.dispose](): void {
    execFileSync("ip", ["netns", "delete", this.name]);
  }
}
