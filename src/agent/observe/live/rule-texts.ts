/** What a rule that the kernel names by its handle says: ours by what it was made from, others' as `nft` writes them. */
import { originText } from "../../../core/calc/decision.ts";
import type { LiveHead } from "../../../core/flows/live.ts";
import { decider, type Membership } from "../../../core/rules/decider.ts";
import type { Origins } from "../../../core/rules/origin.ts";
import { run } from "../../../drivers/exec.ts";
import { OUR_TABLE } from "../../../drivers/nftables/listing.ts";
import { ruleComment } from "../../../drivers/nftables/rule-comment.ts";
import type { TraceEvent } from "../../../drivers/nftables/trace.ts";

const LONGEST = 10_000;

export async function ruleText(
  event: TraceEvent,
  head: LiveHead | undefined,
  ours: { readonly origins: Origins; readonly members: Membership },
): Promise<string | undefined> {
  const { family, table, chain, handle } = event;
  if (handle === undefined) return undefined;
  if (table === OUR_TABLE) return ownText(ruleComment({ family, table, chain, handle }), head, ours);
  return alienText(await run(["nft", "-a", "list", "chain", family, table, chain], { timeoutMs: LONGEST }), handle);
}

function ownText(
  comment: string | undefined,
  head: LiveHead | undefined,
  { origins, members }: { readonly origins: Origins; readonly members: Membership },
): string | undefined {
  const origin = comment === undefined ? undefined : origins.get(comment);
  if (origin === undefined)
    return comment === undefined ? "what stands before policy: known connections, checked sources" : undefined;
  if (head?.protocol === undefined) return originText(origin);
  const family = head.source.includes(":") ? 6 : 4;
  return originText(decider(origin, { ...head, family, protocol: head.protocol }, members));
}

/** nft(8), "-a": a rule ends with its handle. Counters say nothing about what it matches. */
function alienText({ stdout }: { readonly stdout: string }, handle: bigint): string | undefined {
  const line = stdout.split("\n").find((one) => one.endsWith(`# handle ${handle}`));
  return line
    ?.replace(/ # handle \d+$/, "")
    .replace(/ ?counter packets \d+ bytes \d+/, "")
    .trim();
}
