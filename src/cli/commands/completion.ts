/** `manx completion SHELL`: prints what the shell has to load. */
import { Argument } from "commander";
import { type Define, examples } from "../cli.ts";
import { SCRIPTS, SHELLS, type Shell } from "../completion-scripts.ts";

export const define: Define = (command, cli) => {
  command.addArgument(new Argument("<shell>", "whose completion").choices([...SHELLS]));
  examples(command, [
    ["source <(manx completion bash)", "now; in ~/.bashrc: for good"],
    ["manx completion zsh > ~/.zsh/_manx", "with ~/.zsh in fpath"],
    ["manx completion fish > ~/.config/fish/completions/manx.fish", ""],
  ]);
  command.action((shell: Shell) => cli.terminal.raw(SCRIPTS[shell]));
};
