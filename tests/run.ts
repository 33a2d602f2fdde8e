/**
 * Runs test files, each in a process of its own, in the order given: `node tests/run.ts CONCURRENCY FILE...`. Node's own command line
 * sorts them, and a long one at the end would run alone.
 *
 * Where no more than `FEW` files fail, they are run again by themselves: what only then passes counts as passed, is named, and wants
 * mending, for it depends on what else the machine does.
 */
import { run } from "node:test";
import report from "./reporter.ts";

/** Milliseconds. A test or a group of tests that takes longer hangs: ten times of what the longest takes on two quiet cores. */
const HANGS = 3_000_000;
const FEW = 3;

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Files with failures. */
  readonly files: readonly string[];
}

const broken = new AbortController();
process.once("SIGTERM", () => broken.abort());

async function attempt(files: readonly string[], concurrency: number): Promise<Outcome> {
  const failing = new Set<string>();
  const events = run({ files: [...files], concurrency, timeout: HANGS, signal: broken.signal });
  events.on("test:fail", ({ file }) => failing.add(file ?? ""));
  let closing: readonly string[] = [];
  for await (const text of events.compose(report) as AsyncIterable<string | Uint8Array>) {
    process.stdout.write(text);
    closing = /^(\d+) passed, (\d+) failed, (\d+) skipped$/m.exec(String(text))?.slice(1) ?? closing;
  }
  const [passed = 0, failed = 0, skipped = 0] = closing.map(Number);
  return { passed, failed, skipped, files: [...failing] };
}

const [concurrency, ...files] = process.argv.slice(2);
const first = await attempt(files, Number(concurrency));
let { failed } = first;
if (failed > 0 && first.files.length <= FEW && !broken.signal.aborted) {
  process.stdout.write(`== once more, by themselves: ${first.files.join(" ")}\n`);
  const second = await attempt(first.files, 1);
  // Without any test nothing is proven.
  if (second.passed > 0) failed = second.failed;
  if (failed === 0) process.stdout.write(`SECOND TRY ${first.files.join(" ")}: what failed there passes by itself\n`);
  process.stdout.write(
    `\n${first.passed + first.failed - failed} passed, ${failed} failed, ${first.skipped} skipped\n`,
  );
}
process.exitCode = failed > 0 ? 1 : 0;
