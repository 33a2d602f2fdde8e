/**
 * Flows and drops for who keeps them elsewhere: lines of JSON in a file, messages to syslog. Who writes slowly gets each flow once, as it
 * is then, and so many at the most (`followFlows`): nothing waits for a disk, and nothing grows.
 */
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { flowView } from "../../api/flow-view.ts";
import type { FlowView } from "../../api/schema/flow.ts";
import type { FlowVerdict } from "../../core/flows/flow.ts";
import { messageOf } from "../../drivers/error.ts";
import { append, type RotatingFile } from "../../drivers/log/rotating-file.ts";
import { type Facility, sendToSyslog } from "../../drivers/log/syslog.ts";
import type { Observer } from "./observer.ts";
import { followFlows } from "./report.ts";

export interface FlowLogOptions {
  /** Absent: all. */
  readonly verdicts?: readonly FlowVerdict[];
  readonly file?: RotatingFile;
  readonly syslog?: { readonly socket: string; readonly facility: Facility };
}

/** Messages to syslog at a time, and of one batch; the rest of it is not told there. */
const AT_ONCE = 100;
const MOST = 1_000;
/** Milliseconds until it is tried again where its queue is full, and for which that goes on. */
const FULL = 5;
const PATIENCE = 2_000;
/** Milliseconds until it is tried again where it failed. */
const RETRY = 5_000;

/** Writes until the signal aborts. `onTrouble`: told why one of them cannot be written, and (undefined) that it can again. */
export async function writeFlows(
  observer: Pick<Observer, "follow">,
  { verdicts, file, syslog }: FlowLogOptions,
  onTrouble: (what: "file" | "syslog", why: string | undefined) => void,
  signal: AbortSignal,
): Promise<void> {
  const filter = verdicts === undefined ? {} : { verdicts };
  const each = async (what: "file" | "syslog", write: (flows: readonly FlowView[]) => Promise<void>): Promise<void> => {
    for await (const batch of followFlows(observer, filter, signal))
      try {
        await write(batch.map((flow) => flowView(flow)));
        onTrouble(what, undefined);
      } catch (error) {
        onTrouble(what, messageOf(error));
        await sleep(RETRY, undefined, { signal, ref: false }).catch(() => undefined);
      }
  };
  await Promise.all([
    file &&
      each("file", (flows) =>
        append(
          file,
          flows.map((flow) => JSON.stringify(flow)),
        ),
      ),
    syslog && each("syslog", (flows) => tell(flows, syslog)),
  ]);
}

async function tell(
  flows: readonly FlowView[],
  { socket, facility }: NonNullable<FlowLogOptions["syslog"]>,
): Promise<void> {
  const end = Math.min(flows.length, MOST);
  const until = Date.now() + PATIENCE;
  for (let from = 0; from < end; ) {
    const messages = flows.slice(from, Math.min(from + AT_ONCE, end)).map((flow) => ({
      severity: flow.verdict === "deny" ? ("warning" as const) : ("info" as const),
      text: JSON.stringify(flow),
    }));
    const taken = sendToSyslog(socket, facility, messages, new Date());
    from += taken;
    if (taken === messages.length) await turn();
    else if (Date.now() < until) await sleep(FULL);
    else throw new Error(`Cannot send to ${socket}: its queue is full, and nobody empties it`);
  }
}
