/**
 * Prints failures, and how long each file took, and closes with `N passed, N failed, N skipped`. A skipped test is named: a skip is
 * loud. Of files that run side by side, Node tells one after the other; what had not ended when the run was broken off is a failure.
 */
import { inspect } from "node:util";

interface TestEvent {
  readonly type: string;
  readonly data: {
    readonly name?: string;
    readonly file?: string;
    readonly line?: number;
    readonly skip?: string | boolean;
    readonly todo?: string | boolean;
    readonly details?: {
      readonly type?: string;
      readonly error?: { readonly cause?: unknown; readonly failureType?: string };
    };
    readonly message?: string;
    /** Of a whole file. */
    readonly duration_ms?: number;
    /** Of `test:interrupted`: the files that were running. */
    readonly tests?: readonly { readonly name: string }[];
  };
}

// oxlint-disable-next-line import/no-default-export -- node:test asks for it
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of source) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message ?? "";
    if (type === "test:summary" && data.file !== undefined) yield took(data.file, data.duration_ms ?? 0);
    if (type === "test:interrupted") {
      // Nothing comes after it: the closing line is due now.
      for (const { name } of data.tests ?? []) yield `FAILED ${name} had not ended when the run was broken off\n`;
      count.failed += data.tests?.length ?? 0;
      yield closing(count);
    }
    if (type !== "test:pass" && type !== "test:fail") continue;
    // A suite fails with its tests; it counts by itself only where something else broke (a hook, an import).
    const error = data.details?.error;
    const isSuite = data.details?.type === "suite" && (error === undefined || error.failureType === "subtestsFailed");
    const where = `${within(data.file ?? "")}:${data.line ?? 0}`;
    if (data.skip !== undefined && data.skip !== false) {
      count.skipped++;
      yield `SKIPPED ${where} ${data.name}: ${data.skip}\n`;
    } else if (type === "test:fail") {
      if (!isSuite) count.failed++;
      if (!isSuite) yield `FAILED ${where} ${data.name}\n${inspect(error?.cause ?? error)}\n`;
    } else if (!isSuite) {
      count.passed++;
    }
  }
  yield closing(count);
}

function within(file: string): string {
  return file.replace(`${process.cwd()}/`, "");
}

function took(file: string, milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1).padStart(7)} s  ${within(file)}\n`;
}

function closing({ passed, failed, skipped }: { passed: number; failed: number; skipped: number }): string {
  return `\n${passed} passed, ${failed} failed, ${skipped} skipped\n`;
}
