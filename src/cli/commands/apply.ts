/** `manx apply|create|replace -f`: resources from files, as one whole. */

import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { agentOptions, type Define, examples } from "../cli.ts";
import { type FileFlags, fileOption } from "../file-option.ts";
import { readResources } from "../resource-files.ts";

const EXAMPLES = {
  apply: [
    ["manx apply -f web.yaml", "make or change what the file says; a second time nothing changes"],
    ["manx apply -f policies/ --dry-run", "a folder: what would change"],
    ["manx apply -f web.yaml --confirm 60s", "undone after a minute, unless manx confirm is typed"],
    ["manx get gnp -o yaml | sed ... | manx apply -f -", "from standard input"],
  ],
  create: [["manx create -f web.yaml", "refused where one of them exists"]],
  replace: [["manx replace -f web.yaml", "refused where one of them does not exist"]],
} as const;

/** All resources of the files are checked and changed together, or none of them. */
function defineChange(mode: keyof typeof EXAMPLES): Define {
  return (command, cli) => {
    fileOption(command);
    agentOptions(changeOptions(command));
    examples(command, EXAMPLES[mode]);
    command.action(async (flags: FileFlags & ChangeFlags) => {
      const { resources, locate } = await readResources(flags);
      await makeChange({ mode, resources }, flags, cli).catch((error: unknown) => {
        throw locate(error);
      });
    });
  };
}

export const apply = defineChange("apply");
export const create = defineChange("create");
export const replace = defineChange("replace");
