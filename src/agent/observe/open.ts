/** What watches flows and drops on this host, and writes them down where somebody wants that. */
import { dirname, join } from "node:path";
import type { Health } from "../health.ts";
import type { Logger } from "../log.ts";
import type { AgentOptions } from "../options.ts";
import { writeFlows } from "./flow-log.ts";
import type { HostNames } from "./host-names.ts";
import { keepFlows, restoreFlows } from "./kept-flows.ts";
import { kernelSources } from "./kernel-sources.ts";
import { Observer, type ObserverSources } from "./observer.ts";

export interface ObserveNeeds {
  readonly options: Pick<AgentOptions, "logGroup" | "flowLog" | "stateFile">;
  readonly names: HostNames;
  readonly health: Health;
  readonly log: Logger;
  readonly trace: ObserverSources["trace"];
  readonly run: (work: Promise<void>) => void;
}

/** Without a log group it watches nothing. */
export function openObserver(needs: ObserveNeeds, signal: AbortSignal): Observer {
  const { options, names, health, log, trace, run } = needs;
  const { logGroup, flowLog } = options;
  const observer = new Observer(kernelSources({ logGroup, names, health, log, trace }));
  if (logGroup === undefined) return observer;
  const file = join(dirname(options.stateFile), "flows.gz");
  run(
    restoreFlows(observer.ledger, file, log).then(async () => {
      await Promise.all([observer.run(signal), keepFlows(observer.ledger, file, log, signal)]);
    }),
  );
  if (flowLog !== undefined)
    run(writeFlows(observer, flowLog, (what, why) => health.set("flow-log-failed", why, what), signal));
  return observer;
}
