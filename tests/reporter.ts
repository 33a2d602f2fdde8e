/** Prints failures as they come and closes with `N passed, N failed, N skipped`. A skipped test is named: a skip is loud. */
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
  };
}

// oxlint-disable-next-line import/no-default-export -- node:test asks for it
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const count = { passed: 0, failed: 0, skipped: 0 };
  for await (const { type, data } of source) {
    if (type === "test:stderr" || type === "test:stdout") yield data.message ?? "";
    if (type !== "test:pass" && type !== "test:fail") continue;
    // A suite fails with its tests; it counts by itself only where something else broke (a hook, an import).
    const error = data.details?.error;
    const isSuite = data.details?.type === "suite" && (error === undefined || error.failureType === "subtestsFailed");
    const where = `${data.file?.replace(`${process.cwd()}/`, "") ?? ""}:${data.line ?? 0}`;
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
  yield `\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`;
}
