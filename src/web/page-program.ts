/**
 * Prints the page as JSON: path -> { type, text }. The modules of page/, less their types, become one script, each in a function of its own,
 * dependencies first: forty requests are a quarter of the time until something is to be seen. There is no other build. A program of
 * its own, since the TypeScript parser takes memory that the agent has better use for.
 */
import { readFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { join, normalize } from "node:path";

const folder = join(import.meta.dirname, "page");
const require = createRequire(import.meta.url);

/** What the page imports; each has an ES module beside its CommonJS one. Their own imports are turned as ours are. */
const PACKAGES: readonly string[] = ["preact", "preact/hooks", "@preact/signals", "@preact/signals-core"];
const IMPORT = /^import\s*(\{[^}]*\})\s*from\s*"([^"]+)";/gm;
const EXPORT = /^export (?=(?:async )?(?:const|function|class) (\w+))/gm;

const pathOf = (name: string): string => `/lib/${name.replace("@", "").replaceAll("/", "-")}.js`;

function packageText(name: string): string {
  return readFileSync(require.resolve(name).replace(/\.js$/, ".module.js"), "utf8")
    .replace(/\bfrom\s*"([^".][^"]*)"/g, (whole, from: string) =>
      PACKAGES.includes(from) ? `from"${pathOf(from)}"` : whole,
    )
    .replace(/^\/\/# sourceMappingURL=.*$/m, "");
}

/** The modules that the one needs and itself, as `[name, text]`, in an order in which they can run. @throws Error on a circle */
function linked(start: string): [string, string][] {
  const done = new Map<string, string>();
  const visit = (name: string, way: readonly string[]): void => {
    if (way.includes(name)) throw new Error(`Cannot link the page: ${[...way, name].join(" -> ")}`);
    if (done.has(name)) return;
    const text = stripTypeScriptTypes(readFileSync(join(folder, name), "utf8"));
    for (const [, , from = ""] of text.matchAll(IMPORT))
      if (from.startsWith(".")) visit(normalize(join(name, "..", from)), [...way, name]);
    done.set(name, text);
  };
  visit(start, []);
  return [...done];
}

/** A module as a function: what it imports comes from `modules`, what it exports goes there. */
function inFunction([name, text]: readonly [string, string]): string {
  const exported = [...text.matchAll(EXPORT)].map(([, word]) => word);
  const body = text
    .replace(IMPORT, (_, names: string, from: string) => {
      const key = from.startsWith(".") ? normalize(join(name, "..", from)) : from;
      return `const ${names.replaceAll(" as ", ": ")} = modules["${key}"];`;
    })
    .replace(EXPORT, "");
  return `modules["${name}"] = (() => {\n${body}\nreturn { ${exported.join(", ")} };\n})();`;
}

const libraries = PACKAGES.map((name, index) => `import * as library${index} from "${pathOf(name)}";`);
const known = PACKAGES.map((name, index) => `"${name}": library${index}`);
const page = [
  ...libraries,
  `const modules = { ${known.join(", ")} };`,
  ...linked("main.ts").map((module) => inFunction(module)),
].join("\n");

const javascript = "text/javascript";
const files: Record<string, { type: string; text: string }> = {
  "/app/main.js": { type: javascript, text: page },
  "/app/style.css": { type: "text/css", text: readFileSync(join(folder, "style.css"), "utf8") },
  "/app/icon.svg": { type: "image/svg+xml", text: readFileSync(join(folder, "icon.svg"), "utf8") },
};
for (const name of PACKAGES) files[pathOf(name)] = { type: javascript, text: packageText(name) };
// All modules at once, not one after the other as each names the next.
const preload = Object.entries(files)
  .filter(([, { type }]) => type === javascript)
  .map(([path]) => `    <link rel="modulepreload" href="${path}" />`);
files["/"] = {
  type: "text/html",
  text: readFileSync(join(folder, "index.html"), "utf8").replace("    <!-- modules -->", preload.join("\n")),
};
process.stdout.write(JSON.stringify(files));
