/** From what `manx pool add` asks for to the IPPool it means, with Calico's defaults and limits (IPPoolSpec). */
import type { IPPool } from "../core/model/resources.ts";
import { formatAddress, parseAddress } from "../core/net/address.ts";
import { type Cidr, cidr, formatCidr, overlaps, parseCidr } from "../core/net/cidr.ts";
import type { Problem, Result } from "../core/problem.ts";
import type { PoolRequest } from "./schema/pool.ts";

const BLOCK_SIZE = { 4: { least: 20, most: 32, usual: 26 }, 6: { least: 116, most: 128, usual: 122 } } as const;
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const NEVER = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "fe80::/10", "ff00::/8"].map(cidr);
/** IPv4-mapped addresses (RFC 4291 section 2.5.5.2): IPv4, as a socket of IPv6 sees it. */
const MAPPED = cidr("::ffff:0:0/96");

export function newPool(request: PoolRequest): Result<IPPool> {
  const problems: Problem[] = [];
  const block = checkCidr(request.cidr, problems);
  const name = request.name ?? (block === undefined ? "" : poolName(block));
  if (request.name !== undefined && !NAME.test(request.name))
    problems.push({
      path: "name",
      message: `"${request.name}" is not a name: lower-case letters, digits, "-" and "."`,
    });
  if (block !== undefined) checkBlockSize(request.blockSize, block, problems);
  if (problems.length > 0 || block === undefined) return { ok: false, problems };
  return {
    ok: true,
    value: {
      apiVersion: "projectcalico.org/v3",
      kind: "IPPool",
      metadata: { name },
      spec: {
        cidr: formatCidr(block),
        blockSize: request.blockSize ?? usualBlockSize(block),
        natOutgoing: request.natOutgoing ?? false,
        disabled: request.disabled ?? false,
        nodeSelector: request.nodeSelector ?? "all()",
        allowedUses: ["Workload"],
        assignmentMode: request.assignmentMode ?? "Automatic",
      },
    },
  };
}

function checkCidr(text: string, problems: Problem[]): Cidr | undefined {
  const block = parseCidr(text);
  const complain = (message: string): undefined => void problems.push({ path: "cidr", message });
  if (block === undefined) {
    const bare = parseAddress(text) !== undefined;
    return complain(`"${text}" is not a CIDR: ${bare ? "the /LENGTH is missing" : "write 10.66.0.0/16 or fd66::/64"}`);
  }
  const [given] = text.split("/");
  const first = formatAddress({ family: block.family, value: block.value });
  const address = parseAddress(given ?? "");
  if (address !== undefined && address.value !== block.value)
    return complain(`"${text}" has host bits: did you mean ${first}/${block.length}?`);
  if (overlaps(MAPPED, block)) return complain(`"${text}" is not IPv6: write the IPv4 addresses as such`);
  const never = NEVER.find((special) => overlaps(special, block));
  if (never !== undefined) return complain(`"${text}" overlaps ${formatCidr(never)}, which no container can have`);
  const { most } = BLOCK_SIZE[block.family];
  if (block.length > most) return complain(`"${text}" is too small`);
  return block;
}

/** Calico's default, or the whole of a pool that is smaller than a block. */
function usualBlockSize(block: Cidr): number {
  return Math.max(block.length, BLOCK_SIZE[block.family].usual);
}

function checkBlockSize(asked: number | undefined, block: Cidr, problems: Problem[]): void {
  const { least, most } = BLOCK_SIZE[block.family];
  if (asked === undefined) return;
  const from = Math.max(least, block.length);
  if (asked < from || asked > most)
    problems.push({
      path: "blockSize",
      message: `/${asked} is not a block size of ${formatCidr(block)} (${from}-${most})`,
    });
}

/** A name for a pool whose user gave none: `10-66-0-0-16`, `fd66-64`. */
function poolName(block: Cidr): string {
  return formatCidr(block)
    .replaceAll(/[.:/]+/g, "-")
    .replace(/^-/, "");
}
