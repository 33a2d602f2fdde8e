/** Text for a terminal: nothing that a name or a label contains may move the cursor, change colours or reorder letters. */

/** C0, DEL, C1; marks that change the direction or are not seen; line separators; lone surrogates. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

/** As it can be shown: what is unsafe stands there as `\n`, `\x1b` or `\u202e`. */
export function plain(text: string): string {
  return text.replaceAll(UNSAFE, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** As `plain`, where line breaks are meant: messages of several lines. */
export function plainLines(text: string): string {
  return text.split("\n").map(plain).join("\n");
}

export function isUnsafe(text: string): boolean {
  return text.search(UNSAFE) >= 0;
}

/** Inside the quotes of JSON, and of YAML's double-quoted strings, `\uXXXX` means the same as the character itself. */
export function escapeQuoted(text: string): string {
  return text.replaceAll(UNSAFE, (character) =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });
const ASCII = /^[\x20-\x7e]*$/;
const WIDE =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
const MARKS = /^[\p{Mn}\p{Me}]+$/u;

/** Columns that the text takes on a terminal (Unicode Standard Annex 11: wide and fullwidth take two). */
export function width(text: string): number {
  if (ASCII.test(text)) return text.length;
  // A space takes a column of its own, also after a mark that joins with what follows (U+0600).
  const words = text.split(" ");
  let columns = words.length - 1;
  for (const word of words)
    for (const { segment } of graphemes.segment(word)) columns += MARKS.test(segment) ? 0 : WIDE.test(segment) ? 2 : 1;
  return columns;
}

export function padEnd(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - width(text)));
}
