/** `-f`, apart from what reads the files: a command that may do without them starts without a YAML parser. */
import { type Command, Option } from "commander";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";

export interface FileFlags {
  readonly file?: readonly string[];
  readonly skipEmpty?: boolean;
  /** Of resources that name none. */
  readonly namespace?: string;
}

export function fileOption(command: Command): Command {
  return (
    command
      .option("-f, --file <path...>", "a file, a folder of .yaml, .yml and .json files, or - for standard input")
      .option("--skip-empty", "files without resources are well")
      // What calicoctl and kubectl must be told to do: a folder is read with those in it.
      .addOption(new Option("-R, --recursive").hideHelp())
      .allowExcessArguments()
      .hook("preAction", (_, { args, registeredArguments: { length } }) => {
        const [extra] = args;
        if (extra === undefined || length > 0) return; // what takes words counts them itself
        const typed = `manx ${command.name()} -f ${args.join(" ")}`;
        throw new CliError(EXIT.usage, `Cannot tell what "${extra}" is: files are given with -f`, typed);
      })
  );
}

/** `-n`, where it says nothing but whose the resources of the files are. */
export function namespaceOfFiles(command: Command): Command {
  return command.option("-n, --namespace <namespace>", "a compose project, for resources that name none");
}
