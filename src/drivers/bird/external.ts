/**
 * A BIRD that the host has for itself: it is neither started nor ended here. Its owner writes `include "FILE";` into its configuration
 * once; we keep the file and ask it to read its configuration again.
 */
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DriverError } from "../error.ts";
import type { Applied, Bird } from "./bird.ts";
import { Control, type Reply, refusal } from "./control.ts";

/** Where Debian's, Fedora's and BIRD's own packages put the control socket. */
const SOCKETS = ["/run/bird/bird.ctl", "/run/bird.ctl", "/var/run/bird.ctl"];
const CONFIGURE_MS = 60_000;

export interface ExternalBirdOptions {
  /** The file that the host's configuration includes. */
  readonly file: string;
  readonly sockets?: readonly string[];
}

export class ExternalBird implements Bird, Disposable {
  readonly #options: ExternalBirdOptions;
  #control: Control | undefined;
  #config: string | undefined;

  constructor(options: ExternalBirdOptions) {
    this.#options = options;
  }

  get running(): boolean {
    return this.#control?.isOpen === true;
  }

  async apply(config: string): Promise<Applied> {
    if (this.running && this.#config === config) return "unchanged";
    await this.#write(config);
    const refused = refusal(await (await this.#open()).ask("configure", CONFIGURE_MS));
    if (refused !== undefined)
      throw new DriverError(
        "invalid",
        `Cannot use the BGP configuration: the host's BIRD says ${refused.slice(0, 500)}`,
      );
    this.#config = config;
    return "reconfigured";
  }

  /** Takes what is ours out of the host's BIRD. Nothing to do where nothing of it was put in. */
  async stop(): Promise<void> {
    if (this.#config === undefined) return;
    await this.#write("# Nothing: this host has no peers.\n");
    await (await this.#open()).ask("configure", CONFIGURE_MS);
    this.#config = undefined;
  }

  async ask(command: string): Promise<Reply> {
    return await (await this.#open()).ask(command);
  }

  log(): Promise<string> {
    return Promise.resolve(""); // it is where the host's BIRD logs to
  }

  /** Passwords are in it: BIRD, which has a group of its own, is let in by its owner (docs/bgp.md). */
  async #write(config: string): Promise<void> {
    const { file } = this.#options;
    await mkdir(dirname(file), { recursive: true, mode: 0o750 });
    const work = `${file}.new`;
    await rm(work, { force: true });
    await writeFile(work, config, { mode: 0o640, flag: "wx" });
    await chmod(work, 0o640);
    await rename(work, file);
  }

  async #open(): Promise<Control> {
    if (this.#control?.isOpen === true) return this.#control;
    for (const path of this.#options.sockets ?? SOCKETS) {
      this.#control = await Control.open(path);
      if (this.#control !== undefined) return this.#control;
    }
    throw new DriverError(
      "unavailable",
      `Cannot reach the host's BIRD: nobody listens at ${(this.#options.sockets ?? SOCKETS).join(", ")}. Start it with include "${this.#options.file}";`,
    );
  }

  [Symbol.dispose](): void {
    this.#control?.[Symbol.dispose]();
  }
}
