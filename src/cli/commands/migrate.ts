/** `manx migrate`: the store of this host alone to etcd, while containers run. */
import { type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { needRoot, shownSteps, thisHost } from "../host.ts";
import { accessOf, type StoreFlags, storeOptions, tell } from "./up.ts";

export const define: Define = (command, cli) => {
  command.requiredOption(
    "--store <url>",
    "etcd://10.0.0.1:2379[,...], or https://... for TLS; with no Manx data in it yet",
  );
  storeOptions(command);
  examples(command, [
    ["manx migrate --store etcd://10.0.0.1:2379", "copies, compares, goes over; if it is cut short, run it again"],
  ]);
  command.action(async (flags: StoreFlags & { readonly store: string }) => {
    needRoot("manx migrate");
    const { currentStore, proveStore } = await import("../../install/cluster/switch.ts");
    const { migrate, takeUp, unfinished } = await import("../../install/cluster/migrate.ts");
    const { setNames } = await import("../../install/cluster/up.ts");
    const { host } = await thisHost(cli, undefined);
    const current = await currentStore();
    const steps = shownSteps();
    if (current !== undefined) {
      if ((await unfinished(current)) !== "ours")
        throw new CliError(EXIT.refused, `Cannot migrate: this host is on ${current.endpoints.join(", ")} already`);
      const store = await steps("End what was cut short", () => takeUp(current));
      await setNames(steps);
      cli.terminal.say(`The agent says: ${store}`);
      return;
    }
    const access = await accessOf(flags.store, flags);
    const { version } = await steps("See whether the store can be used", () => proveStore(access));
    const { keys, backup, store } = await steps("Copy this host's store, and go over", (progress) =>
      migrate({ host, access, progress }),
    );
    await setNames(steps);
    tell({ version, store, migrated: { keys, backup } }, cli);
  });
};
