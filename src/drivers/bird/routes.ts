/**
 * The answer to `show route ... all` (BIRD's doc/reply_codes: 1007 a route, 1008 its type, 1012 an attribute). A prefix stands in the first
 * of its routes only; next hops are indented.
 */
import type { Reply } from "./control.ts";

export interface BirdRoute {
  readonly prefix: string;
  readonly kind: string;
  /** Name of the protocol that has it. */
  readonly protocol: string;
  readonly isBest: boolean;
  /** `via 192.0.2.2 on eth0` */
  readonly nextHops: readonly string[];
  /** As BIRD names them: `BGP.as_path`, `Kernel.source`, ... */
  readonly attributes: Readonly<Record<string, string>>;
}

const ROUTE = 1007;
const ATTRIBUTE = 1012;

interface Open {
  route: BirdRoute;
  nextHops: string[];
  attributes: Record<string, string>;
}

export function parseRoutes(reply: Reply): BirdRoute[] {
  const out: BirdRoute[] = [];
  let open: Open | undefined;
  let prefix = "";
  const close = (): void => {
    if (open !== undefined) out.push({ ...open.route, nextHops: open.nextHops, attributes: open.attributes });
    open = undefined;
  };
  for (const { code, text } of reply) {
    if (code === ROUTE && (text === "" || text.startsWith("Table "))) close();
    else if (code === ROUTE && text.startsWith("\t")) open?.nextHops.push(text.trim());
    else if (code === ROUTE) {
      close();
      open = opened(text, prefix);
      prefix = open.route.prefix;
    } else if (code === ATTRIBUTE && open !== undefined) {
      const colon = text.indexOf(":");
      open.attributes[text.slice(0, colon).trim()] = text.slice(colon + 1).trim();
    }
  }
  close();
  return out;
}

/** `10.99.0.0/16         unicast [peer-192.0.2.2 17:09:09.627] * (100) [AS65001i]` */
function opened(text: string, before: string): Open {
  const words = text.trim().split(/ +/);
  const prefix = text.startsWith(" ") ? before : (words.shift() ?? "");
  const bracket = words.findIndex((word) => word.startsWith("["));
  const closing = words.findIndex((word, index) => index >= bracket && word.endsWith("]"));
  const route = {
    prefix,
    kind: words.slice(0, bracket).join(" "),
    protocol: words[bracket]?.slice(1).replace(/\]$/, "") ?? "",
    isBest: words[closing + 1] === "*",
  };
  return { route: { ...route, nextHops: [], attributes: {} }, nextHops: [], attributes: {} };
}
