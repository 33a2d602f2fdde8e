/** Files with passwords and private keys. What others may read is no secret, and is not used as one. */
import { open } from "node:fs/promises";
import { DriverError } from "../drivers/error.ts";

/** @throws DriverError `denied` where others than its owner (root, or we) may read it */
export async function readSecret(path: string): Promise<string> {
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    const code = error.code === "ENOENT" ? "not-found" : error.code === "EACCES" ? "denied" : "failed";
    throw new DriverError(
      code,
      `Cannot read "${path}": ${error.code === "ENOENT" ? "there is no such file" : error.message}`,
    );
  });
  try {
    // Of the open file, so that nobody can put another in its place meanwhile.
    const { mode, uid } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new DriverError("denied", `Cannot use "${path}": others may read it. chmod 600 ${path}`);
    if (uid !== 0 && uid !== process.getuid?.())
      throw new DriverError("denied", `Cannot use "${path}": it belongs to another user. chown root ${path}`);
    return await file.readFile("utf8");
  } finally {
    await file.close();
  }
}
