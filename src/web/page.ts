/** The page's files, as the browser gets them. Made once, when first asked for, by a program of its own. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const PROGRAM = join(import.meta.dirname, "page-program.ts");
const LONGEST = 60_000;

interface PageFile {
  readonly type: string;
  readonly zipped: Uint8Array<ArrayBuffer>;
  readonly etag: string;
}

export class Page {
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  /** Makes the files ready, for somebody who will ask soon. */
  async warm(): Promise<void> {
    await this.#load().catch(() => {}); // who asks is told
  }

  #load(): Promise<ReadonlyMap<string, PageFile>> {
    this.#files ??= load().catch((error: unknown) => {
      this.#files = undefined; // the next request tries again
      throw error;
    });
    return this.#files;
  }

  /** Undefined where the page has no such file. */
  async answer(path: string, request: Request): Promise<Response | undefined> {
    const file = (await this.#load()).get(path);
    if (file === undefined) return undefined;
    const headers = {
      "content-type": `${file.type}; charset=utf-8`,
      "cache-control": "no-cache",
      etag: file.etag,
    };
    if (request.headers.get("if-none-match") === file.etag) return new Response(null, { status: 304, headers });
    const body = request.method === "HEAD" ? null : file.zipped;
    return new Response(body, { headers: { ...headers, "content-encoding": "gzip" } });
  }
}

async function load(): Promise<ReadonlyMap<string, PageFile>> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", PROGRAM], {
    timeout: LONGEST,
    maxBuffer: 16 * 1024 * 1024,
    env: {},
  });
  const made = JSON.parse(stdout) as Record<string, { type: string; text: string }>;
  const entries = Object.entries(made).map(async ([path, { type, text }]): Promise<[string, PageFile]> => {
    const etag = `"${createHash("sha256").update(text).digest("base64url")}"`;
    return [path, { type, zipped: new Uint8Array(await promisify(gzip)(text)), etag }];
  });
  return new Map(await Promise.all(entries));
}
