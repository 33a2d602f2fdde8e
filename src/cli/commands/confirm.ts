/** `manx confirm`: keeps a change that was made with `--confirm`. */
import { type AgentFlags, agentOptions, type Define, examples } from "../cli.ts";

export const define: Define = (command, cli) => {
  agentOptions(command);
  examples(command, [
    ["manx apply -f web.yaml --confirm 60s", "a change that is undone after a minute"],
    ["manx confirm", "it stays"],
  ]);
  command.action(async (flags: AgentFlags) => {
    const { confirmed } = await cli.agent(flags).confirm();
    cli.terminal.say(`Confirmed: ${confirmed} ${confirmed === 1 ? "resource stays" : "resources stay"} as changed.`);
  });
};
