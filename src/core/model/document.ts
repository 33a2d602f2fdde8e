/**
 * A YAML document as a plain value, and back from a path to the place in the text. Plain means: what JSON can hold, maps by
 * their own keys only. Aliases are followed, but what they multiply is bounded; keys must be text.
 *
 * Calico reads YAML 1.1, we read 1.2. Where they disagree the text is refused (`010`, `yes` as a label), but for `yes`, `no`,
 * `on`, `off`, `y` and `n` where only a truth value can stand. As Calico does, a number or truth value is taken as text where only text
 * can stand, if it is written as it would be printed: `version: 1`, but not `1.0`.
 */
import { type Alias, type Document, isAlias, isMap, isNode, isPair, isScalar, isSeq, type Node, type Pair } from "yaml";
import type { Segment } from "./loose.ts";

export type YamlDocument = Document<Node, boolean>;

export interface Source {
  readonly document: YamlDocument;
  /** Place of an offset into the text. */
  at(offset: number): { file: string; line: number; column: number };
}

export interface YamlProblem {
  readonly offset: number;
  readonly segments: readonly Segment[];
  readonly message: string;
}

/** Values that the aliases of one document may stand for, all together. */
const MAX_ALIASED = 200_000;
const MAX_DEPTH = 100;

export function toValue(document: YamlDocument): { value: unknown; problems: readonly YamlProblem[] } {
  if (document.directives?.yaml.version === "1.1")
    return {
      value: undefined,
      problems: [
        { offset: startOfDocument(document), segments: [], message: "is said to be YAML 1.1: 1.2 is read here" },
      ],
    };
  const reader = new Reader(document);
  try {
    return { value: reader.read(document.contents, []), problems: reader.problems };
  } catch (error) {
    if (!(error instanceof TooMuch)) throw error;
    return {
      value: undefined,
      problems: [{ offset: startOfDocument(document), segments: [], message: error.message }],
    };
  }
}

/** Stops the reading of a whole document. */
class TooMuch extends Error {}

class Reader {
  readonly problems: YamlProblem[] = [];
  readonly #document: YamlDocument;
  /** What each anchor means at this point of the text, and what each alias meant at its own. */
  readonly #anchors = new Map<string, Node>();
  readonly #targets = new Map<Alias, Node | undefined>();
  #insideAliases = 0;
  #aliased = 0;

  constructor(document: YamlDocument) {
    this.#document = document;
  }

  read(node: unknown, at: readonly Segment[]): unknown {
    if (this.#insideAliases > 0 && ++this.#aliased > MAX_ALIASED)
      throw new TooMuch(`becomes more than ${MAX_ALIASED} values when its aliases are followed`);
    if (at.length > MAX_DEPTH) throw new TooMuch(`is nested more than ${MAX_DEPTH} levels deep`);
    if (isAlias(node)) return this.#alias(node, at);
    if (isNode(node) && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isScalar(node)) return this.#scalar(node, at);
    if (isSeq(node)) return node.items.map((item, index) => this.read(item, [...at, index]));
    return isMap(node) ? this.#map(node.items, at) : null;
  }

  #alias(node: Alias, at: readonly Segment[]): unknown {
    if (!this.#targets.has(node)) this.#targets.set(node, this.#anchors.get(node.source));
    const target = this.#targets.get(node);
    if (target === undefined) {
      this.#tell(node, at, `there is no anchor "${node.source}" before this alias`);
      return null;
    }
    this.#insideAliases++;
    const value = this.read(target, at);
    this.#insideAliases--;
    return value;
  }

  #scalar(node: ScalarNode, at: readonly Segment[]): unknown {
    if (node.tag !== undefined && !/^tag:yaml\.org,2002:(str|int|float|bool|null)$/.test(node.tag))
      this.#tell(node, at, `the tag ${node.tag} means nothing here`);
    if (node.type === "PLAIN" && /^[-+]?0[0-9_]+$/.test(node.source ?? "") && typeof node.value === "number")
      this.#tell(
        node,
        at,
        `${node.source} is read in two ways (the leading zero can mean octal): write it without, or in quotes`,
      );
    if (typeof node.value === "number" && !Number.isFinite(node.value))
      this.#tell(node, at, `${node.source ?? "this"} is not a number that JSON has`);
    if (node.tag === "tag:yaml.org,2002:null" && node.value !== null)
      this.#tell(node, at, `${node.source ?? "this"} is text, not null`);
    if (isOldNumber(node)) this.#tell(node, at, twoNumbers(node));
    if (isTextPlace(at)) return this.#text(node, at);
    if (isOldTruth(node)) {
      if (TRUTHS.has(String(at.at(-1)))) return /^(y|yes|on)$/i.test(String(node.value));
      this.#tell(node, at, twoWays(node));
    }
    return typeof node.value === "bigint" ? Number(node.value) : node.value;
  }

  /** Where only text can stand. */
  #text(node: ScalarNode, at: readonly Segment[]): unknown {
    const { value, source } = node;
    if (isOldTruth(node)) this.#tell(node, at, twoWays(node));
    if (typeof value !== "number" && typeof value !== "boolean" && typeof value !== "bigint") return value;
    if (source === String(value)) return source;
    this.#tell(node, at, `${source} would become "${value}": put it in quotes`);
    return String(value);
  }

  #map(pairs: readonly unknown[], at: readonly Segment[]): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    for (const pair of pairs) {
      if (!isPair(pair)) continue;
      if (isMerge(pair)) this.#merge(pair, out, at);
      else this.#put(pair, out, at);
    }
    return out;
  }

  #put(pair: Pair, out: Record<string, unknown>, at: readonly Segment[]): void {
    const key = isScalar(pair.key) ? keyOf(pair.key as ScalarNode) : undefined;
    if (isScalar(pair.key) && isOldTruth(pair.key as ScalarNode))
      this.#tell(pair.key, at, twoWays(pair.key as ScalarNode));
    if (isScalar(pair.key) && isOldNumber(pair.key as ScalarNode))
      this.#tell(pair.key, at, twoNumbers(pair.key as ScalarNode));
    if (key === undefined) this.#tell(pair.key, at, "a key must be text: put it in quotes");
    else define(out, key, this.read(pair.value, [...at, key]));
  }

  /** `<<: *defaults`: the map's own keys win. */
  #merge(pair: Pair, out: Record<string, unknown>, at: readonly Segment[]): void {
    const sources = isSeq(pair.value) ? pair.value.items : [pair.value];
    for (const source of sources) {
      const merged = this.read(source, at);
      if (typeof merged !== "object" || merged === null || Array.isArray(merged))
        this.#tell(pair.value, at, "<< takes a map, or a list of maps");
      else for (const [key, value] of Object.entries(merged)) if (!Object.hasOwn(out, key)) define(out, key, value);
    }
  }

  #tell(node: unknown, segments: readonly Segment[], message: string): void {
    this.problems.push({ offset: startOf(node) ?? startOfDocument(this.#document), segments, message });
  }
}

type ScalarNode = Node & { value: unknown; source?: string; type?: string };

/** Fields that hold a truth value. */
const TRUTHS: ReadonlySet<string> = new Set([
  "natOutgoing",
  "disabled",
  "disableBGPExport",
  "doNotTrack",
  "preDNAT",
  "applyOnForward",
  "strictAffinity",
  "autoAllocateBlocks",
  "nodeToNodeMeshEnabled",
  "keepOriginalNextHop",
  "optional",
  "internal",
  "sticky",
  "external",
]);
/** Maps of text to text. */
const TEXT_MAPS: ReadonlySet<Segment | undefined> = new Set(["labels", "annotations", "labelsToApply"]);

/** Fields that hold nothing but text, for which a number or a truth value can be meant. */
const TEXTS: ReadonlySet<Segment | undefined> = new Set([
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "tier",
  "node",
  "nodeName",
  "interfaceName",
  "orchestrator",
  "workload",
  "endpoint",
  "containerID",
]);
/** Lists of such. */
const TEXT_LISTS: ReadonlySet<Segment | undefined> = new Set(["profiles", "filters"]);

function isTextPlace(at: readonly Segment[]): boolean {
  const [map, key] = at.slice(-2);
  return TEXT_MAPS.has(map) || TEXT_LISTS.has(map) || TEXTS.has(key);
}

const TEXT_TAG = "tag:yaml.org,2002:str";

/** A truth value in YAML 1.1, text in 1.2. */
function isOldTruth({ type, value, tag }: ScalarNode): boolean {
  if (tag === TEXT_TAG) return false;
  return (
    type === "PLAIN" && typeof value === "string" && /^(y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$/.test(value)
  );
}

function twoWays({ value }: ScalarNode): string {
  return `${String(value)} is read in two ways (text, or a truth value): put it in quotes`;
}

/** A number in YAML 1.1 as Go reads it (`1_000`, `0b11`, `-0x1f`), text in 1.2. */
function isOldNumber({ type, value, tag }: ScalarNode): boolean {
  if (type !== "PLAIN" || tag !== undefined || typeof value !== "string" || !/^[-+0-9]/.test(value)) return false;
  const digits = value.replaceAll("_", "");
  return (
    /^[-+]?0([bB][01]+|[oO][0-7]+|[xX][0-9a-fA-F]+)$/.test(digits) ||
    /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/.test(digits)
  );
}

function twoNumbers({ value }: ScalarNode): string {
  return `${String(value)} is read in two ways (text, or a number): put it in quotes, or write the number plainly`;
}

/** Undefined for what is no text; a number or truth value is text if it is written as it would be printed. */
function keyOf({ value, source }: ScalarNode): string | undefined {
  if (typeof value === "string") return value;
  const isOther = typeof value === "number" || typeof value === "bigint" || typeof value === "boolean";
  return isOther && source === String(value) ? source : undefined;
}

/** As an own property whatever it is called: `__proto__` too. */
function define(out: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
}

function isMerge(pair: Pair): boolean {
  return isScalar(pair.key) && (pair.key.value === "<<" || typeof pair.key.value === "symbol");
}

function startOfDocument(document: YamlDocument): number {
  return document.range?.[0] ?? 0;
}

function startOf(node: unknown): number | undefined {
  return typeof node === "object" && node !== null && "range" in node && Array.isArray(node.range)
    ? (node.range[0] as number)
    : undefined;
}

/**
 * Where in the text the value at a path stands. What is not there (a missing field) is placed at what should hold it, an
 * unknown field at its key.
 */
export function placeOf(document: YamlDocument, segments: readonly Segment[], atKey = false): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? startOfDocument(document);
  for (const [depth, part] of segments.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const isLast = depth === segments.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && keyOf(key as ScalarNode) === part);
      if (pair === undefined) return offset;
      node = pair.value;
      offset =
        (isLast && !atKey && isScalar(node) && node.value !== null ? startOf(node) : startOf(pair.key)) ?? offset;
    } else if (isSeq(node) && typeof part === "number" && part < node.items.length) {
      node = node.items[part];
      offset = startOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}
