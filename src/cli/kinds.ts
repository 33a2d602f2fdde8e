/** Kinds as users call them: `gnp`, `GlobalNetworkPolicy`, `globalnetworkpolicies`; and `NAME` or `NAMESPACE/NAME`. */

import { isNear } from "../core/model/issues.ts";
import { findKind, KINDS, type KindInfo } from "../core/model/kinds.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";
import { kindHint } from "./hints.ts";

/** @throws CliError with the kinds there are */
export function kindCalled(name: string): KindInfo {
  const info = findKind(name);
  if (info !== undefined) return info;
  const [kind = "", ...rest] = name.split("/");
  if (rest.length > 0 && findKind(kind) !== undefined)
    throw new CliError(EXIT.usage, `Cannot find the kind "${name}"`, `Write two words: ${kind} ${rest.join("/")}`);
  const called = (fits: (one: string) => boolean): KindInfo | undefined =>
    KINDS.find(({ kind, aliases }) => [kind.toLowerCase(), ...aliases].some(fits));
  const text = name.toLowerCase();
  const hint = kindHint(text);
  const near =
    called((one) => one.startsWith(text)) ?? (text.length < 4 ? undefined : called((one) => isNear(one, text)));
  throw new CliError(
    EXIT.usage,
    `Cannot find the kind "${name}": there is none of that name`,
    hint !== undefined
      ? `Try: ${hint}`
      : `${near === undefined ? "" : `Did you mean ${near.kind}? `}manx explain lists the kinds.`,
  );
}

/** Several kinds, as in `get tier,gnp`; `all` is every kind that can be applied again. */
export function kindsCalled(text: string): readonly KindInfo[] {
  return text === "all"
    ? KINDS.filter(({ readOnly }) => !readOnly)
    : text.split(",").map((name) => kindCalled(name.trim()));
}

/** What is asked of one namespace must not be done in all of them. @throws CliError where none of the kinds has namespaces */
export function checkNamespace(infos: readonly KindInfo[], namespace: string | undefined): void {
  const [first] = infos;
  if (namespace === undefined || first === undefined || infos.some(({ namespaced }) => namespaced)) return;
  throw new CliError(
    EXIT.usage,
    `Cannot look in the namespace "${namespace}": a ${first.kind} has none`,
    "Leave -n out.",
  );
}

/** `shop/web` names its namespace itself; otherwise the flag does, and for kinds without namespaces nothing. */
export function nameOf(
  word: string,
  info: KindInfo,
  namespace: string | undefined,
): { name: string; namespace?: string } {
  const slash = word.indexOf("/");
  if (!info.namespaced) return { name: word };
  if (slash > 0) return { namespace: word.slice(0, slash), name: word.slice(slash + 1) };
  return { namespace: namespace ?? "default", name: word };
}
