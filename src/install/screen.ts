/** What ./quickstart and `manx uninstall` show: lines, progress, a question. */
import { createInterface } from "node:readline/promises";
import { styleText } from "node:util";

export interface Screen {
  line(text?: string): void;
  heading(text: string): void;
  /** Runs a step with its name before and its outcome behind it. */
  step<T>(title: string, work: (progress: (text: string) => void) => Promise<T>): Promise<T>;
  /** Yes or no. Without a terminal there is nobody to ask: undefined. */
  ask(question: string): Promise<boolean | undefined>;
}

/** Seconds after which a step that says nothing says that it goes on. */
const PATIENCE = 10;

export function terminalScreen(): Screen {
  const out = process.stdout;
  const line = (text = ""): void => void out.write(`${text}\n`);
  const bold = (text: string): string => styleText("bold", text, { stream: out });
  return {
    line,
    heading: (text) => line(`\n${bold(text)}`),
    async step(title, work) {
      const begun = Date.now();
      const seconds = (): number => Math.round((Date.now() - begun) / 1000);
      line(`${title} ...`);
      const timer = setInterval(() => line(`  still at it after ${seconds()} s`), PATIENCE * 1000);
      try {
        const result = await work((text) => line(`  ${text}`));
        line(`  ${styleText("green", "done", { stream: out })}${seconds() < 2 ? "" : ` in ${seconds()} s`}`);
        return result;
      } finally {
        clearInterval(timer);
      }
    },
    async ask(question) {
      if (!process.stdin.isTTY) return undefined;
      const lines = createInterface({ input: process.stdin, output: out });
      try {
        return /^(y|yes)$/i.test((await lines.question(`${question} [y/N] `)).trim());
      } finally {
        lines.close();
      }
    },
  };
}
