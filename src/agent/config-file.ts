/**
 * The agent's configuration file, `/etc/manx/agent.yaml`: how it is read and written. Secrets are never in it, only the paths of files
 * that hold them.
 */
import { DriverError } from "../drivers/error.ts";
import { readIfExists, writeFileAtomic } from "../drivers/system/files.ts";
import type { Config } from "./config-text.ts";

export type { Config, EtcdConfig } from "./config-text.ts";

export const CONFIG_FILE = "/etc/manx/agent.yaml";

/** An absent file is an empty one. @throws DriverError `invalid` with every problem, each with its place */
export async function readConfig(file: string): Promise<Config> {
  const text = await readIfExists(file);
  if (text === undefined) return {};
  // Most hosts have no such file, and reading YAML takes a tenth of an agent's start.
  const { parseConfig } = await import("./config-text.ts");
  const { config, problems } = parseConfig(text, file);
  if (problems.length === 0) return config;
  const { formatFileProblem } = await import("../core/model/parse.ts");
  throw new DriverError(
    "invalid",
    `Cannot use the configuration:\n${problems.map((problem) => `  ${formatFileProblem(problem)}`).join("\n")}`,
  );
}

const HEADER = `# Manx on this host. Environment variables MANX_* win over it; manx status shows what is in use.
# Passwords and keys are in files of their own, which only root may read.
`;

/** Replaces the file in one step. */
export async function writeConfig(file: string, config: Config): Promise<void> {
  const { stringify } = await import("yaml");
  await writeFileAtomic(file, HEADER + (Object.keys(config).length === 0 ? "" : stringify(config)), 0o644);
}
