/** The page is in the URL's fragment: `#/endpoint/ID`, `#/map?q=web`. */
import { signal } from "@preact/signals";

export interface Route {
  readonly name: string;
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

function parse(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name = "", ...parts] = path.split("/").map(decode);
  return { name: name === "" ? "map" : name, parts, query: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route = signal<Route>(parse());

addEventListener("hashchange", () => {
  route.value = parse();
});

export function link(name: string, ...parts: readonly string[]): string {
  return `#/${[name, ...parts.map(encodeURIComponent)].join("/")}`;
}

export function go(to: string): void {
  location.hash = to;
}
