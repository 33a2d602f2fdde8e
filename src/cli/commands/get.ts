/** `manx get KIND [NAME...]`: resources, to read or to apply again. */
import { InvalidArgumentError, Option } from "commander";
import type { AgentClient } from "../../api/client.ts";
import { isMadeFromLabels } from "../../core/calc/label-policies.ts";
import { BUILT_IN } from "../../core/model/built-in.ts";
import { type KindInfo, kindInfo } from "../../core/model/kinds.ts";
import { labelsOf } from "../../core/model/labels.ts";
import type { AnyResource } from "../../core/model/resources.ts";
import { type AgentFlags, agentOptions, type Cli, type Define, examples } from "../cli.ts";
import { CUSTOM_COLUMNS, customColumns } from "../custom-columns.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { type FileFlags, fileOption } from "../file-option.ts";
import { columnsOf } from "../kind-columns.ts";
import { checkNamespace, kindsCalled, nameOf } from "../kinds.ts";
import { filterByLabels } from "../label-filter.ts";
import { FORMATS, type Format, printData, printListing } from "../output.ts";
import { escapeQuoted } from "../text.ts";

type GetFormat = Format | `${typeof CUSTOM_COLUMNS}${string}`;

interface Flags extends AgentFlags, FileFlags {
  readonly output: GetFormat;
  readonly allNamespaces?: boolean;
  readonly selector?: string;
  readonly export?: boolean;
}

/** What other tools print, and what to use for it here. */
function parseFormat(text: string): GetFormat {
  const found = FORMATS.find((one) => one === text);
  if (found !== undefined) return found;
  if (text === "ps") return "table"; // calicoctl's word
  if (text.startsWith(CUSTOM_COLUMNS)) return text as GetFormat;
  throw new InvalidArgumentError(
    /^(go-template|jsonpath|template)/.test(text)
      ? `Templates are not read here: -o ${CUSTOM_COLUMNS}NAME:.metadata.name prints fields, and -o json is for jq.`
      : `Allowed choices are ${FORMATS.join(", ")}, ${CUSTOM_COLUMNS}TITLE:.path,...`,
  );
}

interface Found {
  readonly info: KindInfo;
  readonly revision: number;
  readonly items: readonly AnyResource[];
  /** Of the names that were asked for. */
  readonly missing: readonly CliError[];
}

export const define: Define = (command, cli) => {
  command
    .argument("[kind]", "one, several as tier,gnp, or all; manx explain lists them")
    .argument("[names...]", "names, or NAMESPACE/NAME; without them all")
    .option("-n, --namespace <namespace>", "a compose project; without it all of them")
    .addOption(new Option("-A, --all-namespaces", "as without -n").conflicts("namespace"))
    .addOption(new Option("-a").hideHelp().conflicts("namespace")) // calicoctl's
    .option("-l, --selector <selector>", "only what the labels select")
    .option("--export", "without what the store adds: uid, version, time")
    .addOption(
      new Option("-o, --output <format>", `how to print; also ${CUSTOM_COLUMNS}TITLE,... or TITLE:.path,...`)
        .choices(FORMATS)
        .default("table")
        .argParser(parseFormat),
    );
  fileOption(command);
  agentOptions(command);
  examples(command, [
    ["manx get networkpolicy", "all of a kind"],
    ["manx get np,gnp -o wide", "with their rules"],
    ["manx get gnp allow-web -o yaml > web.yaml", "one, as a file for manx apply"],
    [
      "manx get all -o yaml > backup.yaml",
      "all that can be applied again: not what labels and networks of Docker make",
    ],
    ["manx get -f web.yaml", "what the file names, as it is now"],
    ["manx get wep -l 'role == \"db\"'", "containers as policy sees them"],
    ["manx get gnp -o custom-columns=NAME,NETS:.spec.ingress[*].source.nets", "columns of your own"],
    ["manx get gnp -l 'projectcalico.org/tier == \"security\"'", "of a tier"],
  ]);
  command.action(async (kind: string | undefined, names: string[], flags: Flags) => {
    const agent = cli.agent(flags);
    const asked = flags.file === undefined ? called(kind, names) : await inFiles(kind, flags);
    const infos = asked.map(({ info }) => info);
    checkNamespace(infos, flags.namespace);
    const every = await Promise.all(asked.map((one) => find(agent, one.info, one.names, flags)));
    const found = kind === "all" ? every.map(written) : flags.export === true ? every.map(exported) : every;
    const missing = every.flatMap((one) => one.missing);
    // What there is, is shown; the exit status tells that not all is there.
    if (missing.length === 0 || found.some(({ items }) => items.length > 0))
      await print(found, asked.length === 1 && asked[0]?.names.length === 1, flags, cli);
    const [first, ...more] = missing;
    if (first === undefined) return;
    throw more.length === 0 ? first : new CliError(EXIT.notFound, missing.map(({ message }) => message).join("\n"));
  });
};

interface Asked {
  readonly info: KindInfo;
  /** Names, or NAMESPACE/NAME; none: all. */
  readonly names: readonly string[];
}

function called(kind: string | undefined, names: readonly string[]): readonly Asked[] {
  if (kind === undefined)
    throw new CliError(
      EXIT.usage,
      "Cannot get: what?",
      "manx get KIND [NAME...], or manx get -f FILE; manx explain lists the kinds",
    );
  return kindsCalled(kind).map((info) => ({ info, names }));
}

/** By kind, in the order in which the files name them first. */
async function inFiles(kind: string | undefined, flags: Flags): Promise<readonly Asked[]> {
  if (kind !== undefined) throw new CliError(EXIT.usage, "Cannot get by name and by file at once: give one of them");
  const { readResources } = await import("../resource-files.ts");
  const { resources } = await readResources(flags);
  const byKind = Map.groupBy(resources, (resource) => resource.kind);
  return [...byKind].map(([one, all]) => ({
    info: kindInfo(one),
    names: all.map(({ metadata: { namespace, name } }) => (namespace === undefined ? name : `${namespace}/${name}`)),
  }));
}

async function find(agent: AgentClient, info: KindInfo, names: readonly string[], flags: Flags): Promise<Found> {
  const { revision, items } = await agent.resources(info.kind, info.namespaced ? flags.namespace : undefined);
  const picked = names.map((word) => pick(items, word, info, flags));
  const missing = picked.filter((one) => one instanceof CliError);
  const wanted = names.length === 0 ? items : picked.flatMap((one) => (one instanceof CliError ? [] : one));
  const labelled = wanted.map((resource) => ({ resource, labels: labelsOf(resource) }));
  const selected = await filterByLabels(labelled, flags.selector);
  return { info, revision, items: selected.map(({ resource }) => resource), missing };
}

/**
 * What is to be applied again, whatever has changed since: a policy that container labels made would outlive its container, and
 * networks are Docker's.
 */
function written(found: Found): Found {
  const items = found.items.filter((one) => !isMadeFromLabels(one.metadata.annotations) && !isBuiltIn(one));
  return { ...found, items: found.info.kind === "Network" ? [] : items.map(withoutVersion) };
}

function isBuiltIn({ kind, metadata }: AnyResource): boolean {
  const isOne = BUILT_IN.some((one) => one.kind === kind && one.metadata.name === metadata.name);
  return isOne && metadata.resourceVersion === undefined;
}

function exported(found: Found): Found {
  return { ...found, items: found.items.map(withoutStamps) };
}

function withoutStamps(resource: AnyResource): AnyResource {
  const { resourceVersion: _version, uid: _uid, creationTimestamp: _at, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

function withoutVersion(resource: AnyResource): AnyResource {
  const { resourceVersion: _version, ...metadata } = resource.metadata;
  return { ...resource, metadata };
}

/** By name; where no namespace is given and only one has it, that is meant. */
function pick(
  items: readonly AnyResource[],
  word: string,
  info: KindInfo,
  flags: Flags,
): readonly AnyResource[] | CliError {
  const asked = nameOf(word, info, flags.namespace);
  const named = items.filter(({ metadata }) => metadata.name === asked.name);
  const found = named.filter(({ metadata }) => (metadata.namespace ?? "default") === (asked.namespace ?? "default"));
  if (found.length > 0) return found;
  if (named.length === 1 && flags.namespace === undefined && !word.includes("/")) return named;
  const elsewhere = named.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(", ");
  return new CliError(
    EXIT.notFound,
    `Cannot get the ${info.kind} "${word}": there is none of that name`,
    elsewhere === "" ? `manx get ${info.kind} shows those there are.` : `There are: ${elsewhere}`,
  );
}

async function print(found: readonly Found[], single: boolean, flags: Flags, cli: Cli): Promise<void> {
  const { terminal } = cli;
  const all = found.flatMap(({ items }) => items);
  if (flags.output === "json") return printData(terminal, "json", single ? all[0] : listOf(found));
  if (flags.output === "yaml") {
    const { printResources } = await import("../../core/model/print.ts");
    return terminal.raw(escapeQuoted(printResources(all)));
  }
  const { output } = flags;
  const chosen = output.startsWith(CUSTOM_COLUMNS) ? output.slice(CUSTOM_COLUMNS.length) : undefined;
  const format = FORMATS.find((one) => one === output) ?? "wide";
  const shown = found.filter(({ items }) => items.length > 0);
  if (shown.length === 0 && format !== "name") return terminal.say(nothing(found, flags));
  for (const [index, { info, items }] of shown.entries()) {
    if (shown.length > 1 && format !== "name")
      terminal.line(`${index > 0 ? "\n" : ""}${terminal.paint("dim", info.kind)}`);
    const columns = columnsOf(info.kind, info.namespaced);
    await printListing(terminal, format, {
      rows: items,
      columns: chosen === undefined ? columns : customColumns(chosen, columns),
      name: ({ metadata }) => (info.namespaced ? `${metadata.namespace ?? "default"}/${metadata.name}` : metadata.name),
      empty: "",
    });
  }
}

function nothing(found: readonly Found[], flags: Flags): string {
  const [first] = found;
  const kind = found.length === 1 && first !== undefined ? first.info.kind : "resource";
  if (flags.selector !== undefined || flags.namespace !== undefined) return `No ${kind} fits.`;
  return `No ${kind} yet. manx explain ${kind === "resource" ? "" : `${kind} `}says how to write one; manx apply -f FILE makes it.`;
}

/** As kubectl and calicoctl have it; manx apply reads it again. */
function listOf(found: readonly Found[]): unknown {
  const [first] = found;
  const items = found.flatMap((one) => one.items);
  if (found.length === 1 && first !== undefined)
    return {
      apiVersion: first.info.apiVersion,
      kind: `${first.info.kind}List`,
      metadata: { resourceVersion: String(first.revision) },
      items,
    };
  return { apiVersion: "v1", kind: "List", items };
}
