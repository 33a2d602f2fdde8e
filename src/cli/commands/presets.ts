/** `manx allow|deny|isolate|egress`: one-line policies. Each prints the YAML it made, so that it can become a file. */
import type { Command } from "commander";
import { type Preset, presetNames, presetResources } from "../../core/calc/presets.ts";
import { printResources } from "../../core/model/print.ts";
import type { AnyResource } from "../../core/model/resources.ts";
import { formatProblems } from "../../core/problem.ts";
import { type ChangeFlags, changeOptions, makeChange, orIfMissing, titleOfResult } from "../change.ts";
import { agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { printData } from "../output.ts";
import { escapeQuoted, plain } from "../text.ts";

type Flags = ChangeFlags & { readonly remove?: boolean };

function presetOptions(command: Command, verb: string): Command {
  return agentOptions(
    changeOptions(command.option("--remove", `take back what manx ${verb} made from the same words`)),
  );
}

function between(verb: "allow" | "deny"): Define {
  return (command, cli) => {
    command
      .argument("<from>", "a container or compose service, several as a,b, or a selector")
      .argument("<to>", "the same")
      .argument("[ports]", "5432/tcp, 80,443/tcp, 53/udp; without them everything");
    presetOptions(command, verb);
    examples(command, [
      [`manx ${verb} web db 5432/tcp`, "between two containers"],
      [`manx ${verb} web db 5432/tcp --dry-run`, "only print the policy"],
      [`manx ${verb} web db 5432/tcp --remove`, "take it back"],
    ]);
    command.action((from: string, to: string, ports: string | undefined, flags: Flags) =>
      run({ verb, from, to, ...(ports !== undefined && { ports }) }, flags, cli),
    );
  };
}

export const allow = between("allow");
export const deny = between("deny");

export const isolate: Define = (command, cli) => {
  command.argument("<container>", "a container or compose service");
  presetOptions(command, "isolate");
  examples(command, [
    ["manx isolate db", "nothing in, nothing out, but for what manx allow opens"],
    ["manx isolate db --remove", "take it back"],
  ]);
  command.action((name: string, flags: Flags) => run({ verb: "isolate", name }, flags, cli));
};

export const egress: Define = (command, cli) => {
  command
    .argument("<container>", "a container or compose service")
    .argument(
      "[to]",
      "none, internet (not private ranges and the LAN), dns, all, or a selector; several as dns,internet",
    );
  presetOptions(command, "egress");
  examples(command, [
    ["manx egress sandbox internet", "the internet yes, private ranges and the LAN no"],
    ["manx egress sandbox none", "nothing"],
    ["manx egress sandbox --remove", "take it back"],
  ]);
  command.action((name: string, to: string | undefined, flags: Flags) => {
    if (to === undefined && !flags.remove)
      throw new CliError(
        EXIT.usage,
        "Cannot make a policy of that: where to?",
        "manx egress NAME none|internet|dns|all",
      );
    // There is one such policy for a container, wherever it lets it go.
    return run({ verb: "egress", name, to: to ?? "none" }, flags, cli);
  });
};

async function run(preset: Preset, flags: Flags, cli: Cli): Promise<void> {
  const made = presetResources(preset);
  if (!made.ok) throw new CliError(EXIT.usage, `Cannot make a policy of that:\n${formatProblems(made.problems)}`);
  if (flags.remove) {
    // The tier stays: other presets live in it, and an empty one decides nothing.
    const resources = made.value.filter(({ kind }) => kind !== "Tier");
    await makeChange({ mode: "delete", resources }, flags, cli).catch(
      orIfMissing("It is taken back with the words it was made with. manx get gnp shows what there is."),
    );
    return;
  }
  if (flags.output === "table") cli.terminal.raw(escapeQuoted(printResources(made.value)));
  else if (flags.dryRun) await printMade(made.value, flags, cli);
  if (flags.dryRun) return;
  // What became of each goes to the messages: standard output is the policy, ready for a file.
  await makeChange({ mode: "apply", resources: made.value }, flags, cli, "messages");
  await sayUnknown(presetNames(preset), flags, cli);
}

async function printMade(made: readonly AnyResource[], { output }: Flags, { terminal }: Cli): Promise<void> {
  if (output === "json" || output === "yaml") return printData(terminal, output, made);
  for (const { kind, metadata } of made) terminal.line(plain(titleOfResult({ kind, ...metadata })));
}

/** A policy may come before its containers; a name that nobody has may as well be misspelt. */
async function sayUnknown(names: readonly string[], flags: Flags, cli: Cli): Promise<void> {
  const endpoints = await cli.agent(flags).endpoints();
  const known = new Set(endpoints.flatMap(({ container, labels }) => [container, labels["manx/service"]]));
  for (const name of new Set(names))
    if (!known.has(name))
      cli.terminal.say(
        `No container or compose service is called "${plain(name)}" now: the policy waits for one.`,
        "warn",
      );
}
