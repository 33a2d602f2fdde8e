/**
 * Address blocks of other hosts that no route of BGP leads to. BGP tells nobody that a peer's filter has refused what was said to it
 * (RFC 4271 has no message for that); what does not arrive at the others is all that can be seen of it.
 */
import type { BgpDifference } from "../../api/schema/bgp.ts";
import { type Cidr, formatCidr } from "../../core/net/cidr.ts";
import type { Bird } from "../../drivers/bird/bird.ts";
import { parseRoutes } from "../../drivers/bird/routes.ts";

export interface BlockElsewhere {
  readonly cidr: Cidr;
  readonly host: string;
}

/** One question to BIRD for each block; a BIRD that does not run has no routes. */
export async function unheard(
  bird: Pick<Bird, "ask" | "running">,
  blocks: readonly BlockElsewhere[],
): Promise<BgpDifference[]> {
  const out: BgpDifference[] = [];
  for (const { cidr, host } of blocks) {
    const prefix = formatCidr(cidr);
    const has = async (which: string): Promise<boolean> =>
      bird.running && parseRoutes(await bird.ask(`show route ${which} where source = RTS_BGP`)).length > 0;
    if (await has(`for ${prefix} table master${cidr.family}`)) continue;
    const isRefused = await has(`${prefix} table master${cidr.family} filtered`);
    out.push({
      subject: `${prefix} of host ${host}`,
      difference: isRefused
        ? "arrives, and a filter of this host refuses it: manx bgp routes --refused"
        : `does not arrive here: ${host} does not announce it (manx bgp status and diff there), or a router on the way refuses it`,
    });
  }
  return out;
}
