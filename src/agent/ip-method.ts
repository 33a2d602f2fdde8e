/** How the node's own address is found where the first one does not do: Calico's "IP autodetection methods", in its words. */
import { type Address, type Family, formatAddress, parseAddress } from "../core/net/address.ts";
import { type Cidr, contains, parseCidr } from "../core/net/cidr.ts";
import { DriverError } from "../drivers/error.ts";

export type IpMethod =
  | { readonly kind: "first-found" }
  /** No address of this family. */
  | { readonly kind: "none" }
  | { readonly kind: "explicit"; readonly address: string }
  /** Of the first interface that one of them matches, in their order. */
  | { readonly kind: "interface"; readonly patterns: readonly RegExp[] }
  | { readonly kind: "skip-interface"; readonly patterns: readonly RegExp[] }
  /** The one that the kernel would send from. */
  | { readonly kind: "can-reach"; readonly target: Address }
  | { readonly kind: "cidr"; readonly cidrs: readonly Cidr[] };

export const FIRST_FOUND: IpMethod = { kind: "first-found" };

const ALLOWED =
  "first-found, none, an address, interface=REGEX, skip-interface=REGEX, can-reach=ADDRESS or cidr=CIDR (several with commas)";

/** `name` is the setting's, for the error. @throws DriverError "invalid" */
export function parseIpMethod(name: string, text: string, family: Family): IpMethod {
  const bad = (why: string): DriverError =>
    new DriverError("invalid", `Cannot start: ${name} is "${text}": ${why}. Allowed: ${ALLOWED}`);
  const [, word = text, argument] = /^([a-z-]+)=(.*)$/s.exec(text) ?? [];
  const parts = (argument ?? "").split(",").map((part) => part.trim());
  const each = <T>(read: (part: string) => T | undefined, what: string): readonly T[] =>
    parts.map((part) => {
      const found = part === "" ? undefined : read(part);
      if (found === undefined) throw bad(`"${part}" is no ${what}`);
      return found;
    });
  const inFamily = <T extends { readonly family: Family }>(found: T | undefined): T | undefined =>
    found?.family === family ? found : undefined;
  switch (word) {
    case "first-found":
    case "autodetect":
      return FIRST_FOUND;
    case "none":
      return { kind: "none" };
    case "interface":
    case "skip-interface":
      return { kind: word, patterns: each(regExp, "regular expression") };
    case "can-reach": {
      const target = inFamily(parseAddress(argument ?? ""));
      if (target === undefined) throw bad(`"${argument ?? ""}" is no IPv${family} address`);
      return { kind: "can-reach", target };
    }
    case "cidr":
      return { kind: "cidr", cidrs: each((part) => inFamily(parseCidr(part)), `CIDR of IPv${family}`) };
    default: {
      const address = inFamily(parseAddress(text.split("/")[0] ?? ""));
      if (address === undefined) throw bad(`that is neither a method nor an IPv${family} address`);
      return { kind: "explicit", address: formatAddress(address) };
    }
  }
}

function regExp(text: string): RegExp | undefined {
  try {
    return new RegExp(text, "u");
  } catch {
    return undefined;
  }
}

/** The most specific route to the target. */
export function routeTo<T extends { readonly destination: string; readonly metric: number }>(
  target: Address,
  routes: readonly T[],
): T | undefined {
  const lengthOf = ({ destination }: T): number => parseCidr(destination)?.length ?? -1;
  return routes
    .filter(({ destination }) => {
      const range = parseCidr(destination);
      return range !== undefined && contains(range, target);
    })
    .sort((a, b) => lengthOf(b) - lengthOf(a) || a.metric - b.metric)[0];
}
