/** `manx validate -f`: whether files are good, without an agent. */
import { type Define, examples } from "../cli.ts";
import { type FileFlags, fileOption } from "../file-option.ts";
import { readResources } from "../resource-files.ts";

export const define: Define = (command, cli) => {
  command.argument("[files...]", "as with -f");
  fileOption(command);
  examples(command, [
    ["manx validate policies/", "exit 0: good; 2: not, with every problem, its line and column"],
    ["manx explain gnp.spec", "what is allowed"],
  ]);
  command.action(async (files: string[], flags: FileFlags) => {
    const { resources } = await readResources({ file: [...files, ...(flags.file ?? [])] });
    cli.terminal.say(`Good: ${resources.length} ${resources.length === 1 ? "resource" : "resources"}.`);
  });
};
