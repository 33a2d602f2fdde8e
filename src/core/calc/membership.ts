/** Whom selectors match in a snapshot, asked address by address: for telling who decided, not for deciding. */
import { address } from "../net/address.ts";
import { type Cidr, cidr, contains } from "../net/cidr.ts";
import type { Membership } from "../rules/decider.ts";
import { match } from "../selector/match.ts";
import { selector as parse } from "../selector/parse.ts";
import { inherit, type Labels } from "./labels.ts";
import { peersOf } from "./peers.ts";
import type { Snapshot } from "./snapshot.ts";

/** Costs nothing until it is asked for the first time, then little. */
export function membershipOf(snapshot: Snapshot): Membership {
  let directory: Directory | undefined;
  return {
    has(selector, text) {
      directory ??= new Directory(snapshot);
      const parsed = parse(selector);
      return directory.labelsAt(text).some((labels) => match(parsed, labels));
    },
  };
}

class Directory {
  readonly #byAddress = new Map<string, Labels[]>();
  readonly #nets: (readonly [Cidr, Labels])[] = [];

  constructor(snapshot: Snapshot) {
    const profiles = new Map(snapshot.profiles.map((profile) => [profile.metadata.name, profile]));
    for (const { labels, parents, addresses, nets } of peersOf(snapshot)) {
      const seen = inherit(labels, parents, profiles);
      for (const text of addresses) {
        const there = this.#byAddress.get(text);
        if (there === undefined) this.#byAddress.set(text, [seen]);
        else there.push(seen);
      }
      for (const text of nets) this.#nets.push([cidr(text), seen]);
    }
  }

  labelsAt(text: string): Labels[] {
    const at = address(text);
    const around = this.#nets.filter(([net]) => contains(net, at)).map(([, labels]) => labels);
    return [...(this.#byAddress.get(text) ?? []), ...around];
  }
}
