/** `manx ui`: the way into the dashboard. */
import { type AgentFlags, agentOptions, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type OutputFlags, outputOption, printData } from "../output.ts";

interface UiFlags extends OutputFlags, AgentFlags {
  readonly renew?: boolean;
}

export const define: Define = (command, cli) => {
  command.option("--renew", "make another token; whoever is logged in has to log in again");
  examples(command, [
    ["manx ui", "a link to open in a browser; it lets in whoever has it, so keep it to yourself"],
    ["ssh -L 7441:127.0.0.1:7441 HOST", "before that, where the browser is on another machine"],
    ["manx ui --renew", "the old link opens nothing any more"],
    ["manx ui -o json", "url, token and link, for a program"],
  ]);
  agentOptions(outputOption(command)).action(async (flags: UiFlags) => {
    const view = await cli.agent(flags).ui({ renew: flags.renew === true });
    if (view.state !== "on") cli.exit = EXIT.no;
    if (flags.output === "json" || flags.output === "yaml") return printData(cli.terminal, flags.output, view);
    if (view.state === "off")
      throw new CliError(
        EXIT.no,
        `There is no dashboard: ${view.why ?? "it is off"}.`,
        "MANX_UI=127.0.0.1:7441 turns it on.",
      );
    if (view.state === "failed")
      throw new CliError(EXIT.no, view.why ?? "Cannot serve the dashboard", "MANX_UI sets another address.");
    cli.terminal.line(view.link ?? "");
  });
};
