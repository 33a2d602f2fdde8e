/**
 * Passwords of this host: one file each, FOLDER/NAME/KEY, as a Kubernetes secret would be mounted. A file that others can read is
 * no secret, so it is refused: it and the folders above it belong to root, and nobody else may read the file or write in the folders.
 */
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../error.ts";

/** More than any password; a larger file is something else. */
const MAX_BYTES = 4096;

/** The text of the file without the line end that editors add. @throws DriverError `not-found`, `denied`, `invalid` */
export async function readSecret(folder: string, name: string, key: string): Promise<string> {
  const path = join(folder, name, key);
  const no = (code: "not-found" | "denied" | "invalid", why: string): DriverError =>
    new DriverError(code, `Cannot read the secret ${JSON.stringify(`${name}/${key}`)}: ${why}`);
  if (![name, key].every((part) => /^[A-Za-z0-9_.-]{1,253}$/.test(part) && part !== "." && part !== ".."))
    throw no("invalid", "a name has letters, digits, '-', '_' and '.' only");
  for (const parent of [folder, join(folder, name)]) {
    const stat = await lstat(parent).catch(() => undefined);
    if (stat === undefined) throw no("not-found", `there is no file ${path}`);
    if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0)
      throw no("denied", `${parent} must be a folder of root's that nobody else can write in (chmod 700)`);
  }
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    ({ code }: NodeJS.ErrnoException) => {
      if (code === "ELOOP") throw no("denied", `${path} is a symbolic link: it must be the file itself`);
      throw no("not-found", `there is no file ${path}`);
    },
  );
  try {
    const stat = await file.stat();
    if (!stat.isFile() || stat.uid !== 0 || (stat.mode & 0o077) !== 0)
      throw no("denied", `${path} must be a file of root's that nobody else can read (chmod 600)`);
    if (stat.size > MAX_BYTES) throw no("invalid", `${path} is larger than ${MAX_BYTES} bytes`);
    return (await file.readFile("utf8")).replace(/\r?\n$/, "");
  } finally {
    await file.close();
  }
}
