/** Who may import whom. The reasons stand in DESIGN.md, "Folders"; a new edge is a decision, so it needs a line here. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, it } from "node:test";

const root = join(import.meta.dirname, "..");

interface Layer {
  /** Folder below src/. The longest that matches a file is its layer. */
  readonly folder: string;
  readonly mayImport: readonly string[];
  /** node: modules and packages; absent: any. */
  readonly packages?: readonly string[];
}

const LAYERS: readonly Layer[] = [
  { folder: "core/problem.ts", mayImport: [], packages: [] },
  { folder: "core/plural.ts", mayImport: [], packages: [] },
  { folder: "core/net", mayImport: [], packages: [] },
  { folder: "core/reconcile", mayImport: [], packages: [] },
  { folder: "core/selector", mayImport: ["core/problem.ts"], packages: [] },
  { folder: "core/model", mayImport: ["core/net", "core/selector", "core/problem.ts"], packages: ["zod", "yaml"] },
  { folder: "core/ipam", mayImport: ["core/net", "core/model", "core/problem.ts"], packages: [] },
  {
    folder: "core/calc",
    mayImport: ["core/net", "core/selector", "core/model", "core/reconcile", "core/rules", "core/problem.ts"],
    packages: [],
  },
  {
    folder: "core/bgp",
    mayImport: ["core/net", "core/selector", "core/model", "core/problem.ts"],
    packages: [],
  },
  {
    folder: "core/rules",
    mayImport: ["core/net", "core/selector", "core/model", "core/calc", "core/reconcile", "core/problem.ts"],
    packages: [],
  },
  {
    folder: "core/flows",
    mayImport: ["core/net", "core/model", "core/calc", "core/rules", "core/reconcile"],
    packages: [],
  },
  { folder: "core/dns", mayImport: ["core/net", "core/calc"], packages: [] },
  { folder: "drivers/error.ts", mayImport: [] },
  { folder: "drivers/exec.ts", mayImport: ["drivers/error.ts"] },
  { folder: "drivers/syscall", mayImport: ["drivers/error.ts"] },
  ...[
    "store",
    "nftables",
    "netlink",
    "conntrack",
    "nflog",
    "drops",
    "log",
    "packet",
    "bird",
    "docker",
    "system",
    "iptables",
    "dns",
    "check",
  ].map((name) => ({
    folder: `drivers/${name}`,
    mayImport: ["core", "drivers/error.ts", "drivers/exec.ts", "drivers/syscall"],
  })),
  { folder: "agent", mayImport: ["core", "drivers", "plugin", "api", "install", "web"] },
  {
    folder: "plugin",
    mayImport: ["core", "drivers", "agent/records.ts", "agent/local-state.ts", "agent/addresses.ts"],
  },
  { folder: "api", mayImport: ["core", "drivers/error.ts"] },
  {
    folder: "install",
    mayImport: [
      "core",
      "drivers",
      "api/client.ts",
      "api/doctor",
      "api/schema/doctor.ts",
      "agent/local-state.ts",
      "agent/sysctl-originals.ts",
      "agent/config-file.ts",
      "agent/secret-file.ts",
      "agent/shared-store.ts",
      "agent/cluster-copy.ts",
    ],
  },
  { folder: "lab", mayImport: ["core", "drivers", "install"] },
  { folder: "web", mayImport: ["core", "api", "drivers/error.ts", "drivers/system"] },
  {
    folder: "web/page",
    mayImport: ["api/client.ts"],
    packages: ["preact", "preact/hooks", "@preact/signals"],
  },
  { folder: "cli", mayImport: ["core", "api", "lab", "install", "agent/main.ts", "drivers/error.ts"] },
];

const inside = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

function layerOf(path: string): Layer | undefined {
  return LAYERS.filter(({ folder }) => inside(path, folder)).sort((a, b) => b.folder.length - a.folder.length)[0];
}

function violations(path: string, text: string): string[] {
  const layer = layerOf(path);
  if (layer === undefined) return [`${path} is in no layer`];
  const out: string[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm)) {
    const target = match[1] ?? match[2] ?? "";
    if (target.startsWith(".")) {
      const to = relative(join(root, "src"), join(root, "src", dirname(path), target));
      const allowed = inside(to, layer.folder) || layer.mayImport.some((folder) => inside(to, folder));
      if (!allowed) out.push(`${path} imports ${to}`);
    } else if (layer.packages !== undefined && !layer.packages.some((name) => inside(target, name))) {
      out.push(`${path} imports ${target}`);
    }
  }
  return out;
}

describe("layers", () => {
  it("keep to the table of who may import whom", () => {
    const files = globSync("**/*.{ts,tsx}", { cwd: join(root, "src") }).filter((path) => !path.endsWith(".test.ts"));
    assert.ok(files.length > 10);
    assert.deepEqual(
      files.flatMap((path) => violations(path, readFileSync(join(root, "src", path), "utf8"))),
      [],
    );
  });
  it("notice a core file that touches the outside, and a driver that uses another", () => {
    assert.equal(violations("core/net/x.ts", 'import { readFileSync } from "node:fs";').length, 1);
    assert.equal(violations("core/calc/x.ts", 'import { a } from "../../drivers/error.ts";').length, 1);
    assert.equal(violations("drivers/netlink/x.ts", 'import { a } from "../nftables/b.ts";').length, 1);
    assert.equal(violations("drivers/netlink/x.ts", 'import { a } from "../syscall/b.ts";').length, 0);
  });
});
