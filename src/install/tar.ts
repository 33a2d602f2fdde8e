/** A tar archive in memory (POSIX ustar, pax(1) "ustar Interchange Format"): enough for an image of a few files. */
export type TarEntry =
  | { readonly kind: "file"; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: "folder"; readonly path: string; readonly mode: number }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

const BLOCK = 512;
const TYPES = { file: "0", link: "2", folder: "5" } as const;

/** Paths and link targets of at most 100 bytes; everything belongs to root and dates from 1970, so that equal input gives equal bytes. */
export function tar(entries: readonly TarEntry[]): Buffer {
  const blocks = entries.flatMap((entry) => [header(entry), ...(entry.kind === "file" ? [padded(entry.content)] : [])]);
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function padded(content: Uint8Array): Buffer {
  const out = Buffer.alloc(Math.ceil(content.length / BLOCK) * BLOCK);
  out.set(content);
  return out;
}

function header(entry: TarEntry): Buffer {
  const out = Buffer.alloc(BLOCK);
  const text = (offset: number, length: number, value: string): void => {
    if (Buffer.byteLength(value) > length) throw new Error(`too long for a tar header: ${value}`);
    out.write(value, offset);
  };
  const octal = (offset: number, length: number, value: number): void =>
    text(offset, length, value.toString(8).padStart(length - 1, "0"));
  text(0, 100, entry.path);
  octal(100, 8, entry.kind === "link" ? 0o777 : entry.mode);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, entry.kind === "file" ? entry.content.length : 0);
  octal(136, 12, 0);
  text(148, 8, " ".repeat(8)); // the checksum counts its own field as spaces
  text(156, 1, TYPES[entry.kind]);
  text(157, 100, entry.kind === "link" ? entry.target : "");
  text(257, 8, "ustar\x0000");
  const sum = out.reduce((total, byte) => total + byte, 0);
  text(148, 8, `${sum.toString(8).padStart(6, "0")}\0 `);
  return out;
}
