/**
 * What makes an IPPool one of the host's own LAN, written as annotations so that the schema stays Calico's:
 *
 *     manx/lan          eth0     containers of the pool are answered for on this interface, inside its own subnet
 *     manx/lan-follow   true     the pool (IPv6) moves along when the router advertises another prefix
 *     manx/lan-name     lan6     networks that name this pool mean this one too: it has taken the place of that one
 */
import { parseCidr } from "../net/cidr.ts";
import { isInterfaceName } from "./bgp-annotations.ts";
import { entriesOf, field, isTrue, type Report, textField } from "./loose.ts";

const PREFIX = "manx/lan";
export const LAN = PREFIX;
export const LAN_FOLLOW = `${PREFIX}-follow`;
export const LAN_NAME = `${PREFIX}-name`;

interface Annotated {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
}

function annotationOf({ metadata: { annotations } }: Annotated, key: string): string | undefined {
  return annotations !== undefined && Object.hasOwn(annotations, key) ? annotations[key] : undefined;
}

/** The interface that the pool's containers are to be answered for on; undefined: the pool is no LAN pool. */
export function lanInterfaceOf(pool: Annotated): string | undefined {
  return annotationOf(pool, LAN);
}

export function followsPrefix(pool: Annotated): boolean {
  return lanInterfaceOf(pool) !== undefined && annotationOf(pool, LAN_FOLLOW) === "true";
}

/** By which networks ask for the pool. */
export function lanName(pool: Annotated): string {
  return (lanInterfaceOf(pool) === undefined ? undefined : annotationOf(pool, LAN_NAME)) ?? pool.metadata.name;
}

/** As strict about what Manx adds to an IPPool as about the rest. */
export function checkLanAnnotations(pool: unknown, report: Report): void {
  const annotations = field(field(pool, "metadata"), "annotations");
  const at = (key: string): string[] => ["metadata", "annotations", key];
  for (const [key, value] of entriesOf(annotations)) {
    const why = typeof value === "string" ? whyNot(key, value) : undefined;
    if (why !== undefined) report(at(key), `${JSON.stringify(value)} ${why}`);
    else if (key.startsWith(`${PREFIX}-`) && field(annotations, LAN) === undefined) report(at(key), `needs ${LAN}`);
  }
  if (field(annotations, LAN) === undefined) return;
  const spec = field(pool, "spec");
  if (isTrue(spec, "natOutgoing"))
    report(["spec", "natOutgoing"], `cannot be true beside ${LAN}: the LAN knows the way back`);
  const range = parseCidr(textField(spec, "cidr") ?? "");
  if (field(annotations, LAN_FOLLOW) === "true" && range !== undefined && (range.family !== 6 || range.length <= 64))
    report(at(LAN_FOLLOW), "is for an IPv6 pool that is a part of a /64");
}

function whyNot(key: string, value: string): string | undefined {
  switch (key) {
    case LAN:
      return isInterfaceName(value) ? undefined : "is not the name of an interface";
    case LAN_FOLLOW:
      return value === "true" || value === "false" ? undefined : 'is neither "true" nor "false"';
    case LAN_NAME:
      return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value) ? undefined : "is not the name of a pool";
    default:
      return key.startsWith(`${PREFIX}-`) ? `is not known: ${LAN}, ${LAN_FOLLOW}, ${LAN_NAME}` : undefined;
  }
}
