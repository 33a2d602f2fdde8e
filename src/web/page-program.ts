/**
 * Prints the page as JSON: path -> { type, text }. The modules of page/, less their types, and its libraries become one script, each in a
 * function of its own, dependencies first: forty requests are a quarter of the time until something is to be seen. There is no other
 * build. A program of its own, since the TypeScript parser takes memory that the agent has better use for.
 */
import { readFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { join, normalize } from "node:path";

const folder = join(import.meta.dirname, "page");
const require = createRequire(import.meta.url);

/** What the page imports, dependencies first; each has an ES module, in one line, beside its CommonJS one. */
const PACKAGES: readonly string[] = ["preact", "preact/hooks", "@preact/signals-core", "@preact/signals"];
const IMPORT = /^import\s*(\{[^}]*\})\s*from\s*"([^"]+)";/gm;
const EXPORT = /^export (?=(?:async )?(?:const|function|class) (\w+))/gm;

/** A library's module as a function, as those of the page. What it passes on from another one is all of that one. */
function library(name: string): string {
  const exports = `modules["${name}"]`;
  const body = readFileSync(require.resolve(name).replace(/\.js$/, ".module.js"), "utf8")
    .replace(/\bimport(\{[^}]*\})from"([^"]+)";/g, (_, names: string, from: string) => taken(names, from))
    .replace(/\bexport\{[^}]*\}from"([^"]+)";/g, (_, from: string) => `Object.assign(${exports}, modules["${from}"]);`)
    .replace(
      /\bexport(\{[^}]*\});/,
      (_, names: string) => `Object.assign(${exports}, ${names.replace(/([\w$]+) as ([\w$]+)/g, "$2: $1")});`,
    )
    .replace(/^\/\/# sourceMappingURL=.*$/m, "");
  return `${exports} = {};\n(() => {\n${body}\n})();`;
}

/** `{ a as b }` from a module, as a declaration. */
function taken(names: string, from: string): string {
  return `const ${names.replaceAll(" as ", ": ")} = modules["${from}"];`;
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
    .replace(IMPORT, (_, names: string, from: string) =>
      taken(names, from.startsWith(".") ? normalize(join(name, "..", from)) : from),
    )
    .replace(EXPORT, "");
  return `modules["${name}"] = (() => {\n${body}\nreturn { ${exported.join(", ")} };\n})();`;
}

const page = [
  "const modules = {};",
  ...PACKAGES.map((name) => library(name)),
  ...linked("main.ts").map((module) => inFunction(module)),
].join("\n");

const files: Record<string, { type: string; text: string }> = {
  "/": { type: "text/html", text: readFileSync(join(folder, "index.html"), "utf8") },
  "/app/main.js": { type: "text/javascript", text: page },
  "/app/style.css": { type: "text/css", text: readFileSync(join(folder, "style.css"), "utf8") },
  "/app/icon.svg": { type: "image/svg+xml", text: readFileSync(join(folder, "icon.svg"), "utf8") },
};
process.stdout.write(JSON.stringify(files));
