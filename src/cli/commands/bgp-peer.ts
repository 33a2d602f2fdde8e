/** The BGPPeer that `manx bgp add` makes. */

import { parsePeerAddress } from "../../core/model/bgp.ts";
import { annotationKey } from "../../core/model/bgp-annotations.ts";
import { readAsNumber } from "../../core/model/fields.ts";
import type { BGPPeer } from "../../core/model/resources.ts";
import { parseCidr } from "../../core/net/cidr.ts";

export interface PeerFlags {
  readonly as: string;
  readonly name?: string;
  readonly node?: string;
  readonly hosts?: string;
  readonly localAs?: string;
  readonly password?: string;
  /** True: the option without a value. */
  readonly bfd?: string | true;
  readonly hops?: string;
  readonly filter?: readonly string[];
  readonly families?: string;
  readonly passive?: boolean;
}

/** The resource, or why there is none. The rest is checked by the agent, as for every resource. */
export function peerResource(peer: string, flags: PeerFlags): BGPPeer | string {
  const [address = "", zone] = peer.split("%", 2);
  const isRange = parseCidr(peer) !== undefined;
  if (!isRange && parsePeerAddress(address) === undefined)
    return "it is no address, no ADDRESS%INTERFACE, no IPV4:PORT or [IPV6]:PORT, and no CIDR";
  const asNumber = readAsNumber(flags.as);
  const localAs = flags.localAs === undefined ? undefined : readAsNumber(flags.localAs);
  if (asNumber === undefined || (flags.localAs !== undefined && localAs === undefined))
    return "an AS number is 1-4294967295, or two numbers with a dot between them";
  const [secret, key] = flags.password?.split("/", 2) ?? [];
  if (flags.password !== undefined && (!secret || !key)) return "the password is named as NAME/KEY";
  const annotations = Object.fromEntries([
    ...(isRange ? [[annotationKey("range"), peer]] : []),
    ...(zone === undefined ? [] : [[annotationKey("interface"), zone]]),
    ...(flags.bfd === undefined ? [] : [[annotationKey("bfd"), flags.bfd === true ? "on" : flags.bfd]]),
    ...(flags.families === undefined ? [] : [[annotationKey("families"), flags.families]]),
    ...(flags.passive === true ? [[annotationKey("passive"), "true"]] : []),
  ]) as Record<string, string>;
  return {
    apiVersion: "projectcalico.org/v3",
    kind: "BGPPeer",
    metadata: {
      name: flags.name ?? nameOf(peer),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    spec: {
      sourceAddress: "UseNodeIP",
      ...(!isRange && { peerIP: address }),
      asNumber,
      ...(flags.node !== undefined && { node: flags.node }),
      ...(flags.hosts !== undefined && { nodeSelector: flags.hosts }),
      ...(localAs !== undefined && { localASNumber: localAs }),
      ...(secret && key && { password: { secretKeyRef: { name: secret, key } } }),
      ...(flags.hops !== undefined && { ttlSecurity: Number(flags.hops) }),
      ...(flags.filter !== undefined && { filters: [...flags.filter] }),
    },
  };
}

/** `peer-192-168-1-1`: a name has no dots beside each other and no colons. */
function nameOf(peer: string): string {
  return `peer-${peer
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")}`;
}
