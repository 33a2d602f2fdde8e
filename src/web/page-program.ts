/**
 * Prints the page as JSON: path -> { type, text }. The browser gets the modules of page/ as they are, less their types; there is
 * no other build. A program of its own, since the TypeScript parser takes memory that the agent has better use for.
 */
import { globSync, readFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { join } from "node:path";

const folder = join(import.meta.dirname, "page");
const require = createRequire(import.meta.url);

/** What the page imports; each has an ES module beside its CommonJS one. Their own imports are turned as ours are. */
const PACKAGES: readonly string[] = ["preact", "preact/hooks", "@preact/signals", "@preact/signals-core"];

const pathOf = (name: string): string => `/lib/${name.replace("@", "").replaceAll("/", "-")}.js`;

function forBrowser(text: string): string {
  return text
    .replace(/\bfrom\s*"([^".][^"]*)"/g, (whole, name: string) =>
      PACKAGES.includes(name) ? `from"${pathOf(name)}"` : whole,
    )
    .replace(/^\/\/# sourceMappingURL=.*$/m, "");
}

const files: Record<string, { type: string; text: string }> = {};
for (const name of PACKAGES) {
  const file = require.resolve(name).replace(/\.js$/, ".module.js");
  files[pathOf(name)] = { type: "text/javascript", text: forBrowser(readFileSync(file, "utf8")) };
}
for (const file of globSync("**/*.ts", { cwd: folder }).sort())
  files[`/app/${file}`] = {
    type: "text/javascript",
    text: forBrowser(stripTypeScriptTypes(readFileSync(join(folder, file), "utf8"))),
  };
files["/app/style.css"] = { type: "text/css", text: readFileSync(join(folder, "style.css"), "utf8") };
files["/app/icon.svg"] = { type: "image/svg+xml", text: readFileSync(join(folder, "icon.svg"), "utf8") };
// All modules at once, not one after the other as each names the next.
const preload = Object.entries(files)
  .filter(([, { type }]) => type === "text/javascript")
  .map(([path]) => `    <link rel="modulepreload" href="${path}" />`);
files["/"] = {
  type: "text/html",
  text: readFileSync(join(folder, "index.html"), "utf8").replace("    <!-- modules -->", preload.join("\n")),
};
process.stdout.write(JSON.stringify(files));
