/** Network namespaces with nft(8) inside. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Namespace as Plain } from "../netlink/namespace.ts";

export class Namespace extends Plain {
  /** Loads text as `nft -f` does. */
  nft(text: string): string {
    const folder = mkdtempSync(join(tmpdir(), "mnx-nft-"));
    try {
      writeFileSync(join(folder, "rules.nft"), text);
      return this.run("nft", "-f", join(folder, "rules.nft"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** What nft(8) lists, without handles, numbers that count, and its own version. */
  listing(): unknown[] {
    const parsed = JSON.parse(this.run("nft", "-j", "list", "ruleset")) as { nftables: unknown[] };
    return normalize(parsed.nftables.filter((one) => !isMetainfo(one))) as unknown[];
  }
}

function isMetainfo(value: unknown): boolean {
  return typeof value === "object" && value !== null && "metainfo" in value;
}

/** Elements of sets come in the kernel's order, which says nothing. */
function normalize(value: unknown, key = ""): unknown {
  if (Array.isArray(value)) {
    const out = value.map((one) => normalize(one));
    return key === "elem" ? out.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : out;
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => !["handle", "packets", "bytes"].includes(name))
      .map(([name, one]) => [name, normalize(one, name)]),
  );
}
