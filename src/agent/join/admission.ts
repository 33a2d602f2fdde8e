/** Whether a host may join, and what it then gets. Every check that the host can mend comes before its token is used up. */
import { createHash } from "node:crypto";
import { affinitiesOf } from "../../core/ipam/claim.ts";
import type { Node } from "../../core/model/resources.ts";
import { formatAddress, parseAddress } from "../../core/net/address.ts";
import type { Store } from "../../drivers/store/store.ts";
import type { JoinAnswer, JoinRequest } from "../../install/cluster/join-protocol.ts";
import type { Authority } from "../../install/pki/authority.ts";
import type { StoredToken, Token, Tokens } from "./tokens.ts";

const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
/** More than this between two hosts' clocks and certificates, leases and logs stop to make sense. */
const SKEW_S = 60;

/** The host is told why, in a sentence. */
export class Refused extends Error {
  override readonly name = "Refused";
}

export interface AdmissionOptions {
  readonly store: Store;
  readonly tokens: Tokens;
  readonly authority: Authority;
  readonly nodes: () => readonly Node[];
  /** How the hosts of this cluster open its store. */
  readonly access: (signal: AbortSignal) => Promise<JoinAnswer["store"]>;
  readonly now?: () => Date;
}

/** @throws Refused */
export async function admit(request: JoinRequest, options: AdmissionOptions, signal: AbortSignal): Promise<JoinAnswer> {
  const { store, tokens, authority, nodes, access, now = () => new Date() } = options;
  const found = await tokens.find(request.id, request.secret, signal);
  if (found === undefined)
    throw new Refused("the token is not known here: it was removed, has long expired, or is another cluster's");
  const key = createHash("sha256").update(request.publicKey).digest("hex");
  const again = mayUse(found, request.host, key, tokens);
  if (!HOST.test(request.host)) throw new Refused(`"${request.host}" is no host name: set another one, or MANX_HOST`);
  assertClock(request.now, now());
  assertAddresses(request, nodes());
  if (!again && found.token.host !== request.host && (await isKnown(request.host, store, nodes(), signal)))
    throw new Refused(
      `there is a host "${request.host}" already. Give this one another name; or, if it is the same machine made anew: manx token create --host ${request.host}`,
    );
  const certificate = authority.sign(request.host, request.publicKey, ["client"]);
  const answer = {
    ca: authority.certificate,
    certificate,
    store: await access(signal),
    ...(found.token.etcd && { authorityKey: authority.export().key }),
  };
  if (!again && !(await tokens.use(found, request.host, key, signal)))
    throw new Refused("the token was used by another host at this moment");
  return answer;
}

/** @returns whether it is the same host again, whose first answer got lost. @throws Refused */
function mayUse({ token }: StoredToken, host: string, key: string, tokens: Tokens): boolean {
  const { usedBy, expires } = token;
  const again = usedBy?.host === host && usedBy.key === key;
  if (usedBy !== undefined && !again)
    throw new Refused(`the token was used by host "${usedBy.host}" at ${usedBy.at}: each lets one host in`);
  if (tokens.isExpired(token)) throw new Refused(`the token expired at ${expires}: manx token create makes another`);
  assertBound(token, host);
  return again;
}

function assertBound(token: Token, host: string): void {
  if (token.host !== undefined && token.host !== host)
    throw new Refused(`the token is for host "${token.host}", this one is "${host}"`);
}

function assertClock(theirs: string, ours: Date): void {
  const skew = (Date.parse(theirs) - ours.getTime()) / 1000;
  if (Number.isNaN(skew)) throw new Refused("its clock says nothing that is a time");
  if (Math.abs(skew) <= SKEW_S) return;
  const how = `${Math.round(Math.abs(skew))} s ${skew > 0 ? "ahead of" : "behind"}`;
  throw new Refused(`its clock is ${how} this cluster's. Set both by NTP: timedatectl set-ntp true`);
}

function assertAddresses({ addresses, host }: JoinRequest, nodes: readonly Node[]): void {
  const mine = addresses.map((text) => {
    const parsed = parseAddress(text);
    if (parsed === undefined) throw new Refused(`"${text}" is no IP address`);
    return formatAddress(parsed);
  });
  if (mine.length === 0) throw new Refused("it has no address that other hosts could reach");
  for (const { metadata, spec } of nodes) {
    const theirs = (spec.addresses ?? []).map(({ address }) => address);
    const same = mine.find((address) => theirs.includes(address));
    if (metadata.name !== host && same !== undefined)
      throw new Refused(`host "${metadata.name}" has the address ${same} as well: two hosts cannot`);
  }
}

async function isKnown(host: string, store: Store, nodes: readonly Node[], signal: AbortSignal): Promise<boolean> {
  if (nodes.some(({ metadata }) => metadata.name === host)) return true;
  if ((await store.get(`/manx/v1/hosts/${host}`, signal)) !== undefined) return true;
  return (await store.list(affinitiesOf(host), signal)).entries.length > 0;
}
