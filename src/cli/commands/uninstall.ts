/** `manx uninstall`: takes Manx off this host and proves that the host is as it was. */
import type { UninstallPlan, UninstallReport } from "../../install/uninstall.ts";
import { type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly keepState?: boolean;
  readonly yes?: boolean;
}

export const define: Define = (command, cli) => {
  command
    .option("--dry-run", "print every change and make none")
    .option("--force", "also while containers run on Manx networks: they lose them")
    .option("--keep-state", "keep networks, addresses and policies for a later installation")
    .option("-y, --yes", "ask nothing");
  examples(command, [
    ["manx uninstall --dry-run", "what would go"],
    ["manx uninstall", "exit 0: the host is as it was; 1: something of Manx was left"],
    ["manx uninstall --force --yes", "also with running containers, without a question"],
  ]);
  command.action(async (flags: Flags) => {
    if (process.getuid?.() !== 0)
      throw new CliError(EXIT.denied, "Cannot uninstall Manx: only root may", "sudo manx uninstall");
    const { planUninstall, uninstall } = await import("../../install/uninstall.ts");
    const { terminalScreen } = await import("../../install/screen.ts");
    const plan = await planUninstall({ keepState: flags.keepState === true });
    if (flags.dryRun !== true) refuseAttached(plan, flags.force === true);
    list(plan, flags.dryRun === true, cli);
    if (flags.dryRun) return;
    const screen = terminalScreen();
    if (flags.yes !== true) await consent(await screen.ask("Go on?"));
    const report = await uninstall(plan, ({ title, apply }) => screen.step(title, apply));
    if (!tell(report, cli)) cli.exit = EXIT.no;
  });
};

function list({ docker, steps }: UninstallPlan, dryRun: boolean, { terminal }: Cli): void {
  terminal.line(dryRun ? "It would (nothing is changed now)" : "It will");
  for (const [index, { title, details }] of steps.entries()) {
    terminal.line(`  ${index + 1}. ${title}`);
    for (const detail of details) terminal.line(`       ${detail}`);
  }
  if (!docker.running) terminal.say("Docker does not run, so its Manx networks stay in its books.", "warn");
}

function refuseAttached({ attached }: UninstallPlan, force: boolean): void {
  if (force || attached.length === 0) return;
  const shown = attached.slice(0, 5).join(", ");
  const more = attached.length > 5 ? ` and ${attached.length - 5} more` : "";
  throw new CliError(
    EXIT.refused,
    `Cannot uninstall Manx: containers run on its networks: ${shown}${more}`,
    `docker rm -f ${attached[0]} ..., or take them off all the same: manx uninstall --force`,
  );
}

async function consent(answer: boolean | undefined): Promise<void> {
  if (answer === true) return;
  if (answer === undefined)
    throw new CliError(EXIT.refused, "Cannot ask: there is no terminal. Nothing was changed", "manx uninstall --yes");
  throw new CliError(EXIT.refused, "Nothing was changed.");
}

const WHO = {
  manx: "left by Manx",
  docker: "by Docker",
  package: "by an installed package",
  "somebody else": "by somebody else",
} as const;

/** Returns whether nothing of Manx is left. */
function tell({ differences, kept, packages }: UninstallReport, { terminal }: Cli): boolean {
  terminal.line();
  if (packages.length > 0) {
    terminal.line(`Packages that ./quickstart installed stay. To remove them: apt-get remove ${packages.join(" ")}`);
  }
  if (differences === undefined) {
    terminal.line("Manx is removed. There was no snapshot from before to compare with.");
    return true;
  }
  for (const { what, before, after, by } of differences) {
    terminal.line(`  ${what}: ${brief(before)} -> ${brief(after)}   (${WHO[by]})`);
  }
  const left = differences.filter(({ by }) => by === "manx");
  if (left.length > 0) {
    terminal.say(
      `${left.length} things of Manx are left: see above. Run manx uninstall again, or remove them by hand.`,
      "bad",
    );
    return false;
  }
  if (kept.length > 0) terminal.line("Forwarding stays on because Docker relies on it.");
  const others =
    differences.length === 0 ? "" : `, but for the ${differences.length} differences above, which others made`;
  terminal.line(`Manx is removed. The host equals the snapshot from before the installation${others}.`);
  return true;
}

function brief(value: string | undefined): string {
  if (value === undefined) return "none";
  const [first = ""] = value.split("\n");
  return value.includes("\n") || first.length > 60 ? `${first.slice(0, 57)}...` : first;
}
