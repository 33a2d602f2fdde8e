/**
 * What must stand in somebody else's FORWARD chain so that packets of Manx interfaces reach our own table: an accept in an nftables
 * table of ours does not lift a drop of theirs, an accept in their chain does, and our own drop still wins. Pure: from what
 * `iptables -S` prints to the commands that are missing.
 */
const COMMENT = "manx";
/** All host sides of our veth pairs. */
const INTERFACES = "manx+";
const DOCKER_USER = "DOCKER-USER";

/** The filter table as `iptables -S` prints it. */
export interface FilterTable {
  /** Policy of FORWARD. */
  readonly policy: string;
  /** Rules by chain, each as its arguments after `-A CHAIN`. */
  readonly chains: ReadonlyMap<string, readonly (readonly string[])[]>;
}

/** Arguments of one iptables command, without the program. */
export type Command = readonly string[];

const RULE = `${INTERFACES} -m comment --comment ${COMMENT} -j ACCEPT`;
export const ACCEPTS: readonly (readonly string[])[] = [`-i ${RULE}`, `-o ${RULE}`].map((rule) => rule.split(" "));

export function parseTable(text: string): FilterTable {
  const chains = new Map<string, string[][]>();
  let policy = "ACCEPT";
  for (const line of text.split("\n")) {
    const [option, chain = "", ...rest] = words(line);
    if (option === "-P" && chain === "FORWARD") policy = rest[0] ?? policy;
    if (option === "-P" || option === "-N") chains.set(chain, []);
    if (option === "-A") chains.get(chain)?.push(rest);
  }
  return { policy, chains };
}

/** iptables quotes words with spaces, and `"` and `\` within them by `\`. */
function words(line: string): string[] {
  const pieces = line.match(/"(?:\\.|[^"\\])*"|\S+/g) ?? [];
  return pieces.map((piece) => (piece.startsWith('"') ? piece.slice(1, -1).replace(/\\(.)/g, "$1") : piece));
}

/** Commands as one transaction for `iptables-restore --noflush`. */
export function transaction(commands: readonly Command[]): string {
  const quoted = (word: string): string =>
    /^[\w./:,!+-]+$/.test(word) ? word : `"${word.replace(/["\\]/g, (character) => `\\${character}`)}"`;
  return ["*filter", ...commands.map((command) => command.map(quoted).join(" ")), "COMMIT", ""].join("\n");
}

export function isOurs(rule: readonly string[]): boolean {
  const at = rule.indexOf("--comment");
  return at >= 0 && rule[at + 1] === COMMENT;
}

const equal = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((word, index) => word === b[index]);

/**
 * The chain that needs our rules: Docker's chain for users where it comes first, so that a user's own rules in it go before ours; else
 * FORWARD, where something else decides; undefined where nothing does, so that no table is made for nothing.
 */
export function chooseChain(table: FilterTable): string | undefined {
  const forward = (table.chains.get("FORWARD") ?? []).filter((rule) => !isOurs(rule));
  const first = forward[0];
  if (first !== undefined && equal(first, ["-j", DOCKER_USER]) && table.chains.has(DOCKER_USER)) return DOCKER_USER;
  return table.policy === "ACCEPT" && forward.length === 0 ? undefined : "FORWARD";
}

/** Whether packets of our interfaces get past this table's FORWARD. */
export function isAccepted(table: FilterTable): boolean {
  return missing(table).length === 0;
}

/**
 * What makes the table right. Removals of copies that are in the wrong place come first: `-D` takes the first rule that equals,
 * and that must not be the one just added.
 */
export function missing(table: FilterTable): Command[] {
  const chain = chooseChain(table);
  const isRight = chain === undefined || stands(table, chain);
  const stale = removals(table).filter(([, name]) => name !== chain || !isRight);
  return isRight ? stale : [...stale, ...insertions(table, chain)];
}

/** All of ours, wherever it is. */
export function removals(table: FilterTable): Command[] {
  return [...table.chains].flatMap(([name, rules]) => rules.filter(isOurs).map((rule) => ["-D", name, ...rule]));
}

/** Ours are there exactly once, and in a place where they count. */
function stands(table: FilterTable, chain: string): boolean {
  const rules = table.chains.get(chain) ?? [];
  const places = ACCEPTS.map((accept) => rules.findIndex((rule) => equal(rule, accept)));
  if (places.includes(-1) || rules.filter(isOurs).length !== ACCEPTS.length) return false;
  const limit = chain === DOCKER_USER ? endOf(rules) : ACCEPTS.length;
  return places.every((place) => place < limit);
}

function insertions(table: FilterTable, chain: string): Command[] {
  if (chain !== DOCKER_USER) return ACCEPTS.map((accept, index) => ["-I", chain, `${index + 1}`, ...accept]);
  const others = (table.chains.get(chain) ?? []).filter((rule) => !isOurs(rule));
  const end = endOf(others);
  return ACCEPTS.map((accept, index) =>
    end === others.length ? ["-A", chain, ...accept] : ["-I", chain, `${end + 1 + index}`, ...accept],
  );
}

/** Index of the rule behind which none is reached: `-j RETURN` without a condition, which Docker up to 27 puts at the end. */
function endOf(rules: readonly (readonly string[])[]): number {
  const at = rules.findIndex((rule) => equal(rule, ["-j", "RETURN"]));
  return at < 0 ? rules.length : at;
}
