/** This host's Node for BGP: addresses as they are now, everything else as it is stored. */
import type { Node } from "../../core/model/resources.ts";

/** Remembers its last answer, so that what has not changed is the same object. */
export class SelfNode {
  #from: readonly unknown[] = [];
  #node: Node | undefined;

  /** `connected`: CIDRs of the host's own addresses. A stored address counts only while the host has it. */
  merge(found: Node, stored: Node | undefined, connected: readonly string[]): Node {
    if (this.#node !== undefined && [found, stored, connected].every((one, index) => one === this.#from[index]))
      return this.#node;
    this.#from = [found, stored, connected];
    const has = (address: string | undefined): boolean =>
      address !== undefined && connected.some((cidr) => bare(cidr) === bare(address));
    const asked = stored?.spec.bgp ?? {};
    const { ipv4Address, ipv6Address, ...rest } = asked;
    this.#node = {
      ...found,
      metadata: { ...stored?.metadata, ...found.metadata },
      spec: {
        ...found.spec,
        bgp: {
          ...found.spec.bgp,
          ...(ipv4Address !== undefined && has(ipv4Address) ? { ipv4Address } : {}),
          ...(ipv6Address !== undefined && has(ipv6Address) ? { ipv6Address } : {}),
          ...rest,
        },
      },
    };
    return this.#node;
  }
}

function bare(text: string): string {
  return text.replace(/\/.*/s, "");
}
