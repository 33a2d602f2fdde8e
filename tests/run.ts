/**
 * Runs test files, each in a process of its own, in the order given: `node tests/run.ts CONCURRENCY FILE...`. Node's own command line
 * sorts them, and a long one at the end would run alone.
 */
import { run } from "node:test";
import report from "./reporter.ts";

/** Milliseconds. A test or a group of tests that takes longer hangs: ten times of what the longest takes on two quiet cores. */
const HANGS = 3_000_000;

const [concurrency, ...files] = process.argv.slice(2);
const broken = new AbortController();
process.once("SIGTERM", () => broken.abort());
const events = run({ files, concurrency: Number(concurrency), timeout: HANGS, signal: broken.signal });
events.once("test:fail", () => (process.exitCode = 1));
events.compose(report).pipe(process.stdout);
