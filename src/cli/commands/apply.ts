/** `manx apply|create|replace -f`: resources from files, as one whole. */

import { type ChangeFlags, changeOptions, makeChange } from "../change.ts";
import { agentOptions, type Define, examples } from "../cli.ts";
import { type FileFlags, fileOption, namespaceOfFiles } from "../file-option.ts";
import { readResources } from "../resource-files.ts";

const EXAMPLES = {
  apply: [
    ["manx apply -f web.yaml", "make or change what the file says; a second time nothing changes"],
    ["manx apply -f policies/ --dry-run", "a folder: what would change"],
    ["manx apply -f web.yaml --confirm 60s", "undone after a minute, unless manx confirm is typed"],
    ["manx get gnp -o yaml | sed ... | manx apply -f -", "from standard input"],
  ],
  create: [
    ["manx create -f web.yaml", "refused where one of them exists"],
    ["manx create -f defaults/ --skip-exists", "only those that do not: what exists stays as it is"],
  ],
  replace: [["manx replace -f web.yaml", "refused where one of them does not exist"]],
} as const;

/** All resources of the files are checked and changed together, or none of them. */
function defineChange(mode: keyof typeof EXAMPLES): Define {
  return (command, cli) => {
    namespaceOfFiles(fileOption(command));
    if (mode === "create") command.option("--skip-exists", "leave what exists as it is");
    agentOptions(changeOptions(command));
    examples(command, EXAMPLES[mode]);
    command.action(async (flags: FileFlags & ChangeFlags & { readonly skipExists?: boolean }) => {
      const { resources, locate } = await readResources(flags);
      const request = { mode, resources, ...(flags.skipExists && { ignoreExisting: true }) };
      await makeChange(request, flags, cli).catch((error: unknown) => {
        throw locate(error);
      });
    });
  };
}

export const apply = defineChange("apply");
export const create = defineChange("create");
export const replace = defineChange("replace");
