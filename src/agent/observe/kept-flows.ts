/**
 * Flows over a restart of the agent: a file of one JSON object a line, packed, those seen last at its end. It is written when the agent
 * stops, and every ten minutes in which something was seen; an agent that is killed forgets that much. It is no more than a memory: where it
 * cannot be read or written, the agent goes on without.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { Flow } from "../../core/flows/flow.ts";
import type { Ledger } from "../../core/flows/ledger.ts";
import { messageOf } from "../../drivers/error.ts";
import { writeFileAtomic } from "../../drivers/system/files.ts";
import type { Logger } from "../log.ts";
import { FlowRecord } from "./flow-record.ts";

/** Milliseconds from one writing to the next. */
const PAUSE = 600_000;
/** Lines between which others have their turn. */
const AT_ONCE = 500;
/** Bytes, unpacked: twice what a full ledger of long names takes. */
const MOST = 64 * 1024 * 1024;

/** Reads what was kept into an empty ledger. Lines that are no flows are left out. */
export async function restoreFlows(ledger: Ledger, file: string, log: Logger, now = Date.now()): Promise<void> {
  try {
    const text = (await promisify(gunzip)(await readFile(file), { maxOutputLength: MOST })).toString();
    let lines = 0;
    for (const line of text.split("\n")) {
      const flow = flowOf(line);
      if (flow !== undefined) ledger.restore(flow, now);
      if (++lines % AT_ONCE === 0) await turn();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    log.warn({ file, why: messageOf(error) }, "the flows of before cannot be read");
  }
}

function flowOf(line: string): Flow | undefined {
  try {
    return FlowRecord.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Writes until the signal aborts, and then once more. */
export async function keepFlows(ledger: Ledger, file: string, log: Logger, signal: AbortSignal): Promise<void> {
  for (let written = ledger.last; ; ) {
    await sleep(PAUSE, undefined, { signal, ref: false }).catch(() => undefined);
    if (ledger.last !== written)
      await write(ledger, file).then(
        (last) => (written = last),
        (error: unknown) => log.warn({ file, why: messageOf(error) }, "flows cannot be kept"),
      );
    if (signal.aborted) return;
  }
}

/** @returns the last of them */
async function write(ledger: Ledger, file: string): Promise<Flow | undefined> {
  const flows = ledger.list(() => true).reverse();
  const lines: string[] = [];
  for (const flow of flows) {
    lines.push(`${JSON.stringify(flow)}\n`);
    if (lines.length % AT_ONCE === 0) await turn();
  }
  await writeFileAtomic(file, await promisify(gzip)(lines.join("")), 0o600);
  return flows.at(-1);
}
