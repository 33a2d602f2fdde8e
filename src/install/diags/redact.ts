/**
 * Takes secrets out of what leaves this host. Three nets, one behind the other: values that are known to be secret (of files and of
 * containers' environments) wherever they stand; fields whose name says it; text that looks like it. What is taken out is
 * remembered, so that the same value elsewhere, under a harmless name, goes as well. Rather too much than too little.
 */
export const REMOVED = "(removed)";

/** Shorter ones are words, and would tear holes into everything. */
const LEAST = 6;
const NAME =
  /pass(?:word|wd|phrase|code)?$|pass(?:word|wd|phrase)|pwd|secret|token|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|signing[-_.]?key|encryption[-_.]?key|(?:^|[-_.])(?:key|auth|psk|salt|dsn|cookie|session)$|authorization/i;

/** True for the name of a variable, a label or a field whose value is nobody's business. */
export function namesSecret(name: string): boolean {
  return NAME.test(name);
}

/** Random to the eye: long, without spaces, of mixed characters; or a digest of hexadecimal digits. */
export function looksSecret(value: string): boolean {
  if (/^[0-9a-f]{32,}$/i.test(value)) return true;
  if (!/^[A-Za-z0-9+/_=.~-]{20,}$/.test(value)) return false;
  return /[0-9]/.test(value) && /[a-z]/.test(value) && /[A-Z]/.test(value);
}

const SECRET_WORD =
  "[\\w.-]*(?:password|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)[\\w.-]*";
/** What the whole match becomes; groups that are kept come back as they are. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, REMOVED],
  [/(?:^[A-Za-z0-9+/=\\n ]{20,}\r?\n)+-----END [A-Z ]*PRIVATE KEY-----/gm, REMOVED],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@"']*):[^\s/@"']+@/gi, `$1:${REMOVED}@`],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9+/_=.~-]{6,}/gi, `$1 ${REMOVED}`],
  [/\bmanx1\.[A-Za-z0-9+/_=.-]+/g, REMOVED],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, REMOVED],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, REMOVED],
  [/\b(?:gh[pousr]_|glpat-|xox[abprs]-|sk-|hvs\.)[A-Za-z0-9_-]{16,}/g, REMOVED],
  [
    new RegExp(
      `(\\b${SECRET_WORD}\\\\?"?\\s*[:=]+\\s*)(?!\\(removed)(\\\\?"(?:[^"\\\\\\n]|\\\\[^"\\n])*\\\\?"|'[^'\\n]*'|[^\\s"',;})\\]]+)`,
      "gi",
    ),
    `$1${REMOVED}`,
  ],
  [new RegExp(`(--${SECRET_WORD}\\s+)("[^"\\n]*"|'[^'\\n]*'|[^\\s"'-][^\\s"']*)`, "gi"), `$1${REMOVED}`],
  [/\b(password|secret|passphrase)(\s+)("[^"\n]*"|'[^'\n]*')/gi, `$1$2${REMOVED}`],
];

export class Redactor {
  readonly #known = new Set<string>();
  #pattern: RegExp | undefined;

  /** A value that must be nowhere, in any of the writings in which it may stand. */
  learn(value: string): void {
    const trimmed = value.trim();
    if (trimmed.length < LEAST) return;
    const bytes = Buffer.from(trimmed);
    const writings = [
      trimmed,
      JSON.stringify(trimmed).slice(1, -1),
      encodeURIComponent(trimmed),
      bytes.toString("base64").replace(/=+$/, ""),
      bytes.toString("base64url"),
      bytes.toString("hex"),
    ];
    for (const one of writings) this.#known.add(one);
    this.#pattern = undefined;
  }

  /** Learns what fields of secret names, and labels that look secret, hold. To be shown everything before anything is written. */
  learnFrom(value: unknown): void {
    this.#walk(value, "", false, (text) => {
      if (text !== REMOVED) this.learn(text);
      return text;
    });
  }

  /** A copy of JSON-like data. */
  data(value: unknown): unknown {
    return this.#walk(
      value,
      "",
      false,
      () => REMOVED,
      (text) => this.text(text),
    );
  }

  text(text: string): string {
    this.#pattern ??= patternOf(this.#known);
    let out = this.#pattern === undefined ? text : text.replace(this.#pattern, REMOVED);
    for (const [pattern, instead] of PATTERNS) out = out.replace(pattern, instead);
    return out;
  }

  #walk(
    value: unknown,
    name: string,
    isLabel: boolean,
    secret: (text: string) => string,
    other: (text: string) => string = (text) => text,
  ): unknown {
    if (typeof value === "string" || typeof value === "number") {
      const text = String(value);
      if (namesSecret(name) || (isLabel && looksSecret(text))) return secret(text);
      return typeof value === "string" ? other(text) : value;
    }
    if (Array.isArray(value)) return value.map((item) => this.#walk(item, name, isLabel, secret, other));
    if (typeof value !== "object" || value === null) return value;
    // Where a secret lies is none, and its words ("password") must not be taken for one.
    if (/keyRef$/i.test(name))
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, typeof item === "string" ? other(item) : item]),
      );
    const inside = /^(labels|annotations)$/i.test(name);
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [other(key), this.#walk(item, key, inside, secret, other)]),
    );
  }
}

function patternOf(known: ReadonlySet<string>): RegExp | undefined {
  if (known.size === 0) return undefined;
  const longestFirst = [...known].sort((a, b) => b.length - a.length);
  return new RegExp(longestFirst.map((one) => one.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
}
