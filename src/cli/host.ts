/** For commands that change this host itself: who it is, and how their steps are shown. */
import type { Steps } from "../install/cluster/up.ts";
import { terminalScreen } from "../install/screen.ts";
import type { Cli } from "./cli.ts";
import { CliError } from "./errors.ts";
import { EXIT } from "./exit-codes.ts";

export function needRoot(command: string): void {
  if (process.getuid?.() !== 0)
    throw new CliError(EXIT.denied, `Cannot run ${command}: only root may`, `sudo ${command} ...`);
}

/** As its agent knows it, which is started if a run that was cut short has left it stopped; `address` takes the place of the detected ones. */
export async function thisHost(
  cli: Cli,
  address: string | undefined,
): Promise<{ readonly host: string; readonly addresses: readonly string[]; readonly version: string }> {
  const { startIfStopped } = await import("../install/cluster/switch.ts");
  await startIfStopped();
  const agent = cli.agent({});
  const { host, version } = await agent.status();
  if (address !== undefined) return { host, addresses: [address], version };
  const { items } = await agent.resources("Node");
  const node = items.find(({ kind, metadata }) => kind === "Node" && metadata.name === host);
  const found = node?.kind === "Node" ? (node.spec.addresses ?? []).map((one) => one.address.replace(/\/.*/, "")) : [];
  if (found.length === 0)
    throw new CliError(
      EXIT.refused,
      "Cannot tell by which address other hosts reach this one",
      "Name it: --address IP",
    );
  return { host, addresses: found, version };
}

/** Each step with its title while it runs and when it is done. */
export function shownSteps(): Steps {
  const screen = terminalScreen();
  return (title, work) => {
    let last = "";
    return screen.step(title, (progress) =>
      work((text) => {
        if (text !== last) progress(text); // what waits says the same again and again
        last = text;
      }),
    );
  };
}
