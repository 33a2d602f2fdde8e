/**
 * What a page of docs/ tells its reader to type. Indented blocks are shell, one command after the other; a backslash at the end of a
 * line and a here-document belong to one command. Marks, in the comments of the shell:
 *
 *     manx why web db 5432      # -> allowed               exit status 0, and prints this; `...` stands for anything
 *     manx why web db 5433      # exit 1 -> DENIED         another exit status
 *     # -> nearest                                         on a line of its own: of the command above
 *     # on h2                                              where the lines up to an empty one are typed
 *
 * A fenced block with a name after its language (```yaml web.yaml) is that file.
 */
export interface Command {
  readonly kind: "command";
  readonly line: number;
  readonly machine: string;
  readonly text: string;
  readonly exit: number;
  readonly prints: readonly string[];
}

export interface PageFile {
  readonly kind: "file";
  readonly line: number;
  readonly name: string;
  readonly text: string;
}

export type Step = Command | PageFile;

interface Block {
  readonly line: number;
  readonly lines: readonly string[];
  /** Of a fenced block: what stands after the fence; undefined: an indented one. */
  readonly info?: string;
}

export function parsePage(markdown: string): readonly Step[] {
  return blocks(markdown.split("\n")).flatMap((block): readonly Step[] =>
    block.info === undefined ? commands(block) : file(block),
  );
}

function blocks(lines: readonly string[]): Block[] {
  const found: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line.startsWith("```")) {
      const end = lines.indexOf("```", at + 1);
      if (end < 0) throw new Error(`line ${at + 1}: a fenced block without an end`);
      found.push({ line: at + 2, lines: lines.slice(at + 1, end), info: line.slice(3).trim() });
      at = end;
    } else if (line.startsWith("    ") && (lines[at - 1] ?? "") === "") {
      let end = at;
      while (/^ {4}|^$/.test(lines[end] ?? "x")) end++;
      found.push({ line: at + 1, lines: lines.slice(at, end).map((each) => each.slice(4)) });
      at = end - 1;
    }
  }
  return found;
}

function file({ line, lines, info = "" }: Block): PageFile[] {
  const [, name] = info.split(" ");
  return name === undefined ? [] : [{ kind: "file", line, name, text: `${lines.join("\n")}\n` }];
}

const PROMISE = /(?:^|\s)# (?:exit (\d+))?\s*(?:-> (.+))?$/;

function commands({ line, lines }: Block): Command[] {
  const found: Command[] = [];
  let machine = "h1";
  for (let at = 0; at < lines.length; at++) {
    const first = lines[at] ?? "";
    const on = /^# on (\S+)$/.exec(first);
    const last = found.at(-1);
    if (first === "") machine = "h1";
    else if (on !== null) machine = on[1] ?? machine;
    else if (first.startsWith("# -> ") && last !== undefined)
      found[found.length - 1] = { ...last, prints: [...last.prints, first.slice(5)] };
    else if (!first.startsWith("#")) {
      const end = endOfCommand(lines, at);
      found.push(command(lines.slice(at, end + 1), line + at, machine));
      at = end;
    }
  }
  return found;
}

/** The last line of the command that begins at `at`. */
function endOfCommand(lines: readonly string[], at: number): number {
  const word = /<<'?(\w+)'?/.exec(lines[at] ?? "")?.[1];
  if (word !== undefined) return lines.indexOf(word, at);
  let end = at;
  while (lines[end]?.endsWith("\\")) end++;
  return end;
}

function command(lines: readonly string[], line: number, machine: string): Command {
  const [, exit, prints] = PROMISE.exec(lines.at(-1) ?? "") ?? [];
  const wanted = prints === undefined ? [] : [prints];
  return { kind: "command", line, machine, text: lines.join("\n"), exit: Number(exit ?? 0), prints: wanted };
}

/** Undefined where the command did what the page says, otherwise what differs. Space of any width is one space. */
export function broken(step: Command, code: number | null, output: string): string | undefined {
  if (code !== step.exit) return `exit status ${code}, not ${step.exit}`;
  const flat = output.replaceAll(/\s+/g, " ");
  const missing = step.prints.find((text) => !pattern(text).test(flat));
  return missing === undefined ? undefined : `it does not print "${missing}"`;
}

const pattern = (text: string): RegExp =>
  new RegExp(
    text
      .trim()
      .split("...")
      .map((part) => RegExp.escape(part.trim().replaceAll(/\s+/g, " ")))
      .join(".*"),
  );
