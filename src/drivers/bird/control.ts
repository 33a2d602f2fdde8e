/**
 * BIRD's control socket, spoken directly (BIRD User's Guide chapter 4; doc/reply_codes in its source): commands are lines, answers are
 * lines with a code of four digits. `CODE-` and a space at the beginning mean that more follows, `CODE ` ends the answer.
 *
 *     0xxx  done     1xxx  rows of tables     2xxx  heads of tables     8xxx  refused     9xxx  not understood
 */
import { connect, type Socket } from "node:net";
import { DriverError } from "../error.ts";

export interface ReplyLine {
  readonly code: number;
  readonly text: string;
}
export type Reply = readonly ReplyLine[];

/** Takes answers apart as bytes arrive. */
export class ReplyParser {
  #rest = "";
  #lines: ReplyLine[] = [];

  /** @returns the answers that are whole now. @throws DriverError `invalid` for what is no such protocol */
  push(chunk: string): Reply[] {
    const whole: Reply[] = [];
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) if (this.#line(line)) whole.push(this.#take());
    return whole;
  }

  #line(line: string): boolean {
    if (line.startsWith("+")) return false; // a log message (`echo`), not part of an answer
    const before = this.#lines.at(-1);
    if (line.startsWith(" ") && before !== undefined) {
      this.#lines.push({ code: before.code, text: line.slice(1) });
      return false;
    }
    const code = Number(line.slice(0, 4));
    const end = line[4];
    if (!/^[0-9]{4}$/.test(line.slice(0, 4)) || (end !== " " && end !== "-"))
      throw new DriverError("invalid", `Cannot understand BIRD: it says ${JSON.stringify(line.slice(0, 80))}`);
    this.#lines.push({ code, text: line.slice(5) });
    return end === " ";
  }

  #take(): Reply {
    const reply = this.#lines;
    this.#lines = [];
    return reply;
  }
}

interface Waiter {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
}

const ANSWER_MS = 10_000;

/** One open connection; one command at a time, in the order asked. */
export class Control implements Disposable {
  readonly #socket: Socket;
  readonly #parser = new ReplyParser();
  readonly #waiting: Waiter[] = [];
  readonly closed: Promise<void>;
  #open = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#take(chunk));
    socket.on("error", () => {}); // "close" follows
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#open = false;
        const gone = new DriverError("unavailable", "Cannot ask BIRD: it has closed its control socket");
        for (const { reject } of this.#waiting.splice(0)) reject(gone);
        resolve();
      });
    });
  }

  /** Undefined if nobody listens there. @throws DriverError if somebody does who is not BIRD, or does not answer */
  static async open(path: string): Promise<Control | undefined> {
    const socket = await connected(path);
    if (socket === undefined) return undefined;
    const control = new Control(socket);
    const [hello] = await control.#answer(ANSWER_MS).catch((error: unknown) => {
      control[Symbol.dispose]();
      throw error;
    });
    if (hello?.code === 1) return control;
    control[Symbol.dispose]();
    throw new DriverError("invalid", `Cannot speak with BIRD at ${path}: it says "${hello?.text ?? ""}"`);
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends one command. The answer is whole, refusals (8xxx, 9xxx) included. @throws DriverError `timeout`, `unavailable` */
  async ask(command: string, timeoutMs = ANSWER_MS): Promise<Reply> {
    if (/[\n\r\0]/.test(command)) throw new DriverError("invalid", "Cannot ask BIRD: a command is one line");
    if (!this.#open) throw new DriverError("unavailable", "Cannot ask BIRD: it has closed its control socket");
    const answer = this.#answer(timeoutMs);
    this.#socket.write(`${command}\n`);
    return await answer;
  }

  async #answer(timeoutMs: number): Promise<Reply> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        timer = setTimeout(() => {
          // Later answers could not be told apart any more.
          this.#socket.destroy();
          reject(new DriverError("timeout", `Cannot ask BIRD: no answer within ${timeoutMs / 1000} s`));
        }, timeoutMs);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #take(chunk: string): void {
    try {
      for (const reply of this.#parser.push(chunk)) this.#waiting.shift()?.resolve(reply);
    } catch (error) {
      this.#waiting.shift()?.reject(error);
      this.#socket.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(socket));
    socket.once("error", () => resolve(undefined));
  });
}

/** What BIRD refused, in its own words; undefined if it did as told. */
export function refusal(reply: Reply): string | undefined {
  const last = reply.at(-1);
  return last === undefined || last.code >= 8000 ? (last?.text ?? "it says nothing") : undefined;
}
