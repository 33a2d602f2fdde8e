/** Pools and their blocks as a picture: where in the pool each host's blocks lie, and how full they are. */
import { h, type JSX } from "preact";
import type { IpamView } from "../../api/client.ts";
import { api } from "./api.ts";
import { blockIndex, type Grid, gridOf } from "./block-grid.ts";
import { PageHead, Problem, useLoaded } from "./parts.ts";
import { endpoints } from "./session.ts";
import { plain, plural } from "./text.ts";

type Pool = IpamView["pools"][number];
type Block = Pool["blocks"][number];

const COLOURS = 8;
const CELL = 12;

/** The same host has the same colour wherever it shows up. */
function colourOf(hosts: readonly string[], host: string): string {
  return `host-${Math.max(0, hosts.indexOf(host)) % COLOURS}`;
}

export function Addresses(): JSX.Element {
  const ipam = useLoaded(api.ipam, [endpoints.value]).value;
  const pools = useLoaded(api.pools, [endpoints.value]).value;
  const views = ipam.value?.pools ?? [];
  const hosts = [...new Set(views.flatMap(({ blocks }) => blocks.map(({ host }) => host)))].sort();
  return h(
    "section",
    { class: "detail" },
    h(PageHead, {
      title: "Addresses",
      ...(ipam.value !== undefined && { note: `${plural(views.length, "pool")}, ${plural(hosts.length, "host")}` }),
    }),
    h(Problem, { error: ipam.error }),
    h(
      "ul",
      { class: "legend", "aria-label": "Hosts" },
      hosts.map((host) => h("li", { key: host }, h("i", { class: colourOf(hosts, host) }), plain(host))),
    ),
    h(
      "div",
      { class: "cards" },
      views.map((pool) => {
        const known = pools.value?.find(({ name }) => name === pool.name);
        return h(PoolCard, {
          key: pool.name,
          pool,
          hosts,
          blockSize: known?.blockSize,
          networks: known?.networks ?? [],
        });
      }),
      h(Loans, { loans: ipam.value?.loans ?? [] }),
    ),
  );
}

interface CardProps {
  readonly pool: Pool;
  readonly hosts: readonly string[];
  readonly blockSize: number | undefined;
  readonly networks: readonly string[];
}

function PoolCard({ pool, hosts, blockSize, networks }: CardProps): JSX.Element {
  const grid = blockSize === undefined ? undefined : gridOf(pool.cidr, blockSize);
  const share = Number(pool.size) === 0 ? 0 : (100 * pool.allocated) / Number(pool.size);
  return h(
    "article",
    { class: "card wide pool" },
    h("h2", {}, plain(pool.name), " ", h("small", { class: "mono" }, pool.cidr)),
    h(
      "p",
      { class: "note" },
      `${plural(pool.allocated, "address", "addresses")} of ${Number(pool.size) > 1e9 ? Number(pool.size).toExponential(1) : pool.size} in use (${share < 0.1 ? "<0.1" : share.toFixed(1)} %), ${plural(pool.blocks.length, "block")}${networks.length === 0 ? "" : `, for ${plain(networks.join(", "))}`}`,
    ),
    grid === undefined ? null : h(Picture, { pool, grid, hosts }),
    h(
      "ul",
      { class: "blocks" },
      pool.blocks.map((block) => h(BlockRow, { key: block.cidr, block, colour: colourOf(hosts, block.host) })),
    ),
  );
}

const fullness = ({ allocated, size }: Block): number => Math.min(1, allocated / Math.max(1, Number(size)));
const describe = (block: Block): string =>
  plain(`${block.cidr}: host ${block.host}, ${block.allocated} of ${block.size} in use`);

function Picture({
  pool,
  grid,
  hosts,
}: {
  readonly pool: Pool;
  readonly grid: Grid;
  readonly hosts: readonly string[];
}): JSX.Element {
  const { columns, rows } = grid;
  const cells = pool.blocks.flatMap((block) => {
    const index = blockIndex(block.cidr, grid);
    if (index === undefined) return [];
    const [x, y] = [(index % columns) * CELL, Math.floor(index / columns) * CELL];
    const height = Math.max(1.5, fullness(block) * (CELL - 2));
    return h(
      "g",
      { key: block.cidr, class: colourOf(hosts, block.host) },
      h("title", {}, describe(block)),
      h("rect", { class: "owned", x: x + 1, y: y + 1, width: CELL - 2, height: CELL - 2, rx: 2 }),
      h("rect", { class: "used", x: x + 1, y: y + CELL - 1 - height, width: CELL - 2, height, rx: 1 }),
    );
  });
  return h(
    "svg",
    {
      class: "picture",
      viewBox: `0 0 ${columns * CELL} ${rows * CELL}`,
      style: { maxWidth: `${columns * CELL * 1.6}px` },
      role: "img",
      "aria-label": `Blocks of ${plain(pool.name)}: ${grid.known} in the pool, ${pool.blocks.length} owned`,
    },
    h("path", { class: "free", d: freeCells(grid) }),
    cells,
  );
}

function freeCells({ columns, rows, known }: Grid): string {
  const parts: string[] = [];
  for (let index = 0; index < Math.min(known, columns * rows); index++) {
    const [x, y] = [(index % columns) * CELL + 1, Math.floor(index / columns) * CELL + 1];
    parts.push(`M${x} ${y}h${CELL - 2}v${CELL - 2}h${2 - CELL}z`);
  }
  return parts.join("");
}

function BlockRow({ block, colour }: { readonly block: Block; readonly colour: string }): JSX.Element {
  return h(
    "li",
    { class: colour },
    h("span", { class: "mono" }, block.cidr),
    h("span", {}, plain(block.host)),
    h(
      "span",
      { class: "bar", role: "img", "aria-label": describe(block) },
      h("i", { style: { width: `${100 * fullness(block)}%` } }),
    ),
    h("span", { class: "count" }, `${block.allocated} / ${Number(block.size) > 1e9 ? "many" : block.size}`),
  );
}

function Loans({ loans }: { readonly loans: IpamView["loans"] }): JSX.Element | null {
  if (loans.length === 0) return null;
  return h(
    "article",
    { class: "card" },
    h("h2", {}, "Lent between hosts"),
    h(
      "ul",
      {},
      loans.map((loan) =>
        h(
          "li",
          { key: loan.address },
          h("span", { class: "mono" }, loan.address),
          plain(` of ${loan.owner}, used by ${loan.borrower} (${loan.state})`),
        ),
      ),
    ),
  );
}
