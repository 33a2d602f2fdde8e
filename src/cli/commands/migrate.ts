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
    const current = await currentStore();
    if (current !== undefined)
      throw new CliError(EXIT.refused, `Cannot migrate: this host is on ${current.endpoints.join(", ")} already`);
    const access = await accessOf(flags.store, flags);
    const { migrate } = await import("../../install/cluster/migrate.ts");
    const { host } = await thisHost(cli, undefined);
    const steps = shownSteps();
    const { version } = await steps("See whether the store can be used", () => proveStore(access));
    const { keys, backup, store } = await steps("Copy this host's store, and go over", (progress) =>
      migrate({ host, access, progress }),
    );
    tell({ version, store, migrated: { keys, backup } }, cli);
  });
};
