/** The gate that stops pass, as a part of the agent: it is open before there is anything behind it. */
import { dirname, join } from "node:path";
import { messageOf } from "../../drivers/error.ts";
import { GATE_NAME } from "../../install/stop-gate.ts";
import { StopGate } from "../../plugin/docker/stop-gate.ts";
import type { Health } from "../health.ts";
import type { Logger } from "../log.ts";
import type { AgentOptions } from "../options.ts";
import type { Services } from "./open.ts";

export interface GateParts {
  readonly options: Pick<AgentOptions, "pluginSocket">;
  /** Undefined while the agent starts: containers that end meanwhile end as they would without it. */
  readonly services: () => Services | undefined;
  readonly health: Health;
  readonly log: Logger;
}

/** An agent without it works: stops are heard of a little late. */
export async function openStopGate(
  { options, services, health, log }: GateParts,
  undo: AsyncDisposableStack,
): Promise<void> {
  try {
    undo.use(
      await StopGate.start({
        socketPath: join(dirname(options.pluginSocket), `${GATE_NAME}.sock`),
        before: async ({ container, timeout }, signal) => void (await services()?.drain(container, timeout, signal)),
        log: (level, message, fields) => log[level](fields ?? {}, message),
      }),
    );
  } catch (error) {
    health.raise("stop-gate", messageOf(error));
  }
}
