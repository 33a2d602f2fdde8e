/** `manx agent`: runs the agent in the foreground; what systemd starts. */
import { type Define, examples } from "../cli.ts";
import type { ExitCode } from "../exit-codes.ts";

export const define: Define = (command, cli) => {
  examples(command, [
    ["manx agent", "as the systemd unit runs it; ends on SIGTERM, and containers keep their traffic"],
    ["MANX_LOG_LEVEL=debug manx agent", "say more on standard error"],
  ]);
  command.action(async () => {
    const { loadAgentOptions, runAgent } = await import("../../agent/main.ts");
    cli.exit = (await runAgent(await loadAgentOptions(cli.env))) as ExitCode;
  });
};
