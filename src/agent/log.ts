/** Lines of JSON on standard error: what changed, once; what is repeated only at level debug. */
import { destination, type Logger, pino } from "pino";

export type { Logger };

export function openLog(level: string): Logger {
  return pino(
    { level, base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    destination({ fd: 2, sync: true }),
  );
}
