import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { IPPool } from "../model/resources.ts";
import { cidr } from "../net/cidr.ts";
import { allocate, type Block, newBlock } from "./block.ts";
import { poolOf } from "./choice.ts";
import { exhaustedPools } from "./exhausted.ts";

const pool = (range: string, disabled = false) =>
  poolOf({
    apiVersion: "projectcalico.org/v3",
    kind: "IPPool",
    metadata: { name: "p" },
    spec: { cidr: range, blockSize: 30, disabled },
  } as IPPool);
const block = (range: string, used: number): Block =>
  Array.from({ length: used }).reduce<Block>(
    (before) => allocate(before, { handle: "h" }, () => true)?.block ?? before,
    newBlock(cidr(range), "h1"),
  );

const TABLE: readonly (readonly [string, Parameters<typeof exhaustedPools>[0], boolean])[] = [
  ["a new pool has room", { pools: [pool("10.1.0.0/29")], own: [], claimed: [], reserved: [] }, false],
  [
    "all blocks claimed, one address free here: room",
    {
      pools: [pool("10.1.0.0/29")],
      own: [block("10.1.0.0/30", 3)],
      claimed: [cidr("10.1.0.0/30"), cidr("10.1.0.4/30")],
      reserved: [],
    },
    false,
  ],
  [
    "the last free address is reserved: full",
    {
      pools: [pool("10.1.0.0/30")],
      own: [block("10.1.0.0/30", 3)],
      claimed: [cidr("10.1.0.0/30")],
      reserved: [cidr("10.1.0.3/32")],
    },
    true,
  ],
  [
    "all blocks are other hosts': full",
    { pools: [pool("10.1.0.0/30")], own: [], claimed: [cidr("10.1.0.0/30")], reserved: [] },
    true,
  ],
  [
    "full, but disabled: not named",
    { pools: [pool("10.1.0.0/30", true)], own: [], claimed: [cidr("10.1.0.0/30")], reserved: [] },
    false,
  ],
];

describe("exhausted pools", () => {
  for (const [what, use, full] of TABLE) it(what, () => assert.deepEqual(exhaustedPools(use), full ? ["p"] : []));
});
