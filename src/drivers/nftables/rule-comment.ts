/** The comment of one rule that the kernel names by its handle. */
import { MessageWriter } from "../syscall/netlink-message.ts";
import { NetlinkSocket } from "../syscall/netlink-socket.ts";
import { readRule } from "./decode.ts";
import * as nft from "./uapi.ts";

export interface RuleName {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint;
}

/** Undefined where the rule has none. @throws DriverError "not-found" where there is no such rule */
export function ruleComment({ family, table, chain, handle }: RuleName): string | undefined {
  const number = new Map<string, number>(Object.entries(nft.FAMILY)).get(family);
  if (number === undefined) return undefined;
  using socket = NetlinkSocket.open(nft.NETLINK_NETFILTER);
  const ask = new MessageWriter(256);
  ask.begin(nft.NFT_MSG.GETRULE, 0).nfgen(number);
  ask.string(nft.NFTA_RULE.TABLE, table).string(nft.NFTA_RULE.CHAIN, chain).u64Be(nft.NFTA_RULE.HANDLE, handle).end();
  const [reply] = socket.request(ask.finish(), "read a rule of nftables");
  return reply === undefined ? undefined : readRule(reply).comment;
}
