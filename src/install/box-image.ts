/** The small image for machines that cannot pull one: the distribution's static busybox with all its applets. */
import { readFile } from "node:fs/promises";
import { DriverError } from "../drivers/error.ts";
import { findBinary, mustRun, run } from "../drivers/exec.ts";
import { type TarEntry, tar } from "./tar.ts";

export const BOX_IMAGE = "manx/box";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const FOLDERS = [
  "bin/",
  "dev/",
  "etc/",
  "proc/",
  "root/",
  "sys/",
  "tmp/",
  "usr/",
  "usr/bin/",
  "usr/sbin/",
  "sbin/",
  "var/",
  "var/www/",
];
const FILES: Readonly<Record<string, string>> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "var/www/index.html": "It works.\n",
};

/** The image's root file system as a tar archive. */
async function boxArchive(): Promise<Buffer> {
  const binary = findBinary("busybox");
  if (binary === undefined) {
    throw new DriverError(
      "not-found",
      "Cannot make an image: there is no busybox. Install it: apt-get install busybox-static",
    );
  }
  const applets = (await mustRun([binary, "--list-full"]))
    .split("\n")
    .filter((path) => path !== "" && path !== "bin/busybox");
  const entries: TarEntry[] = [
    ...FOLDERS.map((path): TarEntry => ({ kind: "folder", path, mode: path === "tmp/" ? 0o1777 : 0o755 })),
    { kind: "file", path: "bin/busybox", mode: 0o755, content: await readFile(binary) },
    ...applets.map((path): TarEntry => ({ kind: "link", path, target: "/bin/busybox" })),
    ...Object.entries(FILES).map(
      ([path, text]): TarEntry => ({ kind: "file", path, mode: 0o644, content: Buffer.from(text) }),
    ),
  ];
  return tar(entries);
}

/**
 * Imports the image into an engine under each of the names. `docker` is the command line that reaches the engine, as
 * `["docker"]`. May be repeated.
 */
export async function importBox(docker: readonly string[], names: readonly string[] = [BOX_IMAGE]): Promise<void> {
  const [first = BOX_IMAGE, ...others] = names;
  const changes = [`ENV PATH=${PATH}`, 'CMD ["sh"]'].flatMap((change) => ["--change", change]);
  await mustRun([...docker, "import", ...changes, "-", first], { input: await boxArchive() });
  for (const name of others) await mustRun([...docker, "tag", first, name]);
}

export async function hasImage(docker: readonly string[], name: string): Promise<boolean> {
  return (await run([...docker, "image", "inspect", "--format", "{{.Id}}", name])).code === 0;
}
