/**
 * What stands between TCP and the API. On the unix socket the kernel says who is root; here it is a token, or a cookie that the
 * token has bought. Names of others (DNS rebinding) and pages of others (CSRF) are turned away before anything is looked at.
 */
import { ApiError } from "../api/error.ts";
import { isOurHost } from "./address.ts";
import type { Page } from "./page.ts";
import { isSession, isToken, makeSession, SESSION_LENGTH } from "./sessions.ts";
import { Throttle } from "./throttle.ts";

export interface GateOptions {
  readonly api: { readonly fetch: (request: Request) => Response | Promise<Response> };
  readonly page: Pick<Page, "answer">;
  /** The token of this moment. */
  readonly token: () => Promise<string>;
  /** Names by which this host may be called, in small letters. */
  readonly names: readonly string[];
  readonly secure: boolean;
  readonly now?: () => number;
}

const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

/** Characters of a login; the token has 43. */
const LOGIN_LIMIT = 1_024;

export class Gate {
  readonly #options: GateOptions;
  readonly #throttle = new Throttle();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** `peer`: the address that the connection comes from. */
  async answer(request: Request, peer: string): Promise<Response> {
    const response = await this.#answer(request, peer);
    const headers = new Headers(response.headers);
    for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
    if (this.#options.secure) headers.set("strict-transport-security", "max-age=31536000");
    return new Response(response.body, { status: response.status, headers });
  }

  async #answer(request: Request, peer: string): Promise<Response> {
    const { names, page, api } = this.#options;
    const host = request.headers.get("host") ?? "";
    if (!isOurHost(host, names))
      return refuse(
        421,
        `Cannot answer for the name "${host.slice(0, 253)}": it is not this host's`,
        "MANX_UI_NAMES adds names.",
      );
    if (!isFromUs(request, `${this.#options.secure ? "https" : "http"}://${host}`))
      return refuse(403, "Cannot answer: the request comes from a page of another origin");
    const { pathname } = new URL(request.url);
    if (pathname === "/login" && request.method === "POST") return this.#login(request, peer, host);
    if (pathname === "/logout" && request.method === "POST") return cookie(host, "", 0, this.#options.secure);
    if (isApi(pathname)) {
      const refused = await this.#refused(request, peer, host);
      return refused ?? api.fetch(request);
    }
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "Cannot change a page");
    return (await page.answer(pathname, request)) ?? refuse(404, "There is no such page");
  }

  async #login(request: Request, peer: string, host: string): Promise<Response> {
    const { token, secure, now = Date.now } = this.#options;
    const limited = this.#limited(peer);
    if (limited !== undefined) return limited;
    const given = await readLimited(request, LOGIN_LIMIT);
    const wanted = await token();
    if (given !== undefined && isToken(given.trim(), wanted))
      return cookie(host, makeSession(wanted, now()), SESSION_LENGTH / 1000, secure);
    this.#throttle.failed(peer, now());
    return refuse(401, "Cannot log in: this is not the token", "manx ui prints it.");
  }

  /** Undefined for who is logged in. */
  async #refused(request: Request, peer: string, host: string): Promise<Response | undefined> {
    const { token, now = Date.now } = this.#options;
    const bearer = /^Bearer ([\w-]{1,256})$/.exec(request.headers.get("authorization") ?? "")?.[1];
    if (bearer !== undefined) {
      const limited = this.#limited(peer);
      if (limited !== undefined) return limited;
      if (isToken(bearer, await token())) return undefined;
      this.#throttle.failed(peer, now());
      return refuse(401, "Cannot let you in: this is not the token", "manx ui prints it.");
    }
    const session = cookieOf(request, host);
    const ok = session !== undefined && isSession(session, await token(), now());
    if (!ok) return refuse(401, "Cannot answer: log in first", "manx ui prints the link.");
    const changes = request.method !== "GET" && request.method !== "HEAD";
    if (changes && request.headers.get("origin") === null)
      return refuse(403, "Cannot change anything: the request does not say which page it comes from");
    return undefined;
  }

  #limited(peer: string): Response | undefined {
    const wait = this.#throttle.wait(peer, (this.#options.now ?? Date.now)());
    if (wait === 0) return undefined;
    const seconds = Math.ceil(wait / 1000);
    const response = refuse(429, `Cannot log in: too many wrong tokens. Try again in ${seconds} s`);
    response.headers.set("retry-after", String(seconds));
    return response;
  }
}

function isApi(path: string): boolean {
  return path.startsWith("/v1/") || path === "/openapi.json";
}

/** Browsers say where a request comes from; what says nothing is no browser, or an old one, and then the cookie is SameSite. */
function isFromUs({ headers }: Request, origin: string): boolean {
  const said = headers.get("origin");
  if (said !== null && said.toLowerCase() !== origin.toLowerCase()) return false;
  const site = headers.get("sec-fetch-site");
  if (site === null || site === "same-origin" || site === "none") return true;
  // A link on another page may open ours; it cannot read it.
  return headers.get("sec-fetch-mode") === "navigate" && headers.get("sec-fetch-dest") === "document";
}

/** Cookies know no ports: two agents that are reached by one name would take each other's. */
function cookieName(host: string): string {
  return `manx-${/:([0-9]+)$/.exec(host)?.[1] ?? "0"}`;
}

function cookieOf({ headers }: Request, host: string): string | undefined {
  const prefix = `${cookieName(host)}=`;
  const pairs = (headers.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  return pairs.find((pair) => pair.startsWith(prefix))?.slice(prefix.length);
}

function cookie(host: string, value: string, seconds: number, secure: boolean): Response {
  const words = [`${cookieName(host)}=${value}`, "Path=/", `Max-Age=${seconds}`, "HttpOnly", "SameSite=Strict"];
  if (secure) words.push("Secure");
  return new Response(null, { status: 204, headers: { "set-cookie": words.join("; ") } });
}

function refuse(status: number, message: string, remedy?: string): Response {
  const error = new ApiError(status === 404 ? "not-found" : "denied", message, { remedy });
  return Response.json(error.toBody(), { status });
}

async function readLimited({ body }: Request, limit: number): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.length;
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
