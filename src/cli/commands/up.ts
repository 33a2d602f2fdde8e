/** `manx up`: from one host to several: onto an etcd that is there, or one that is started here. */
import { resolve } from "node:path";
import type { UpReport } from "../../install/cluster/up.ts";
import { type Cli, type Define, examples } from "../cli.ts";
import { CliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { needRoot, shownSteps, thisHost } from "../host.ts";

export interface StoreFlags {
  readonly store?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly user?: string;
  readonly passwordFile?: string;
}

interface Flags extends StoreFlags {
  readonly etcd?: boolean;
  readonly address?: string;
}

export const define: Define = (command, cli) => {
  command
    .option("--store <url>", "etcd://10.0.0.1:2379[,...], or https://... for TLS")
    .option("--etcd", "start an etcd on this host, with TLS; may be repeated, to renew its certificates")
    .option("--address <ip>", "with --etcd: where other hosts reach this one; otherwise it is detected");
  storeOptions(command);
  examples(command, [
    ["manx up --etcd", "this host becomes the first of a cluster; then: manx token create --etcd"],
    ["manx up --store etcd://10.0.0.1:2379,10.0.0.2:2379", "onto an etcd that is there, without TLS"],
    ["manx up --store https://etcd.example:2379 --ca ca.crt --user manx --password-file pw", "with TLS and a user"],
  ]);
  command.action(async (flags: Flags) => {
    needRoot("manx up");
    if ((flags.store === undefined) === (flags.etcd !== true))
      throw new CliError(
        EXIT.usage,
        "Cannot begin: onto which store?",
        "manx up --etcd, or manx up --store etcd://...",
      );
    const { upOnStore, upWithEtcd } = await import("../../install/cluster/up.ts");
    const { host, addresses } = await thisHost(cli, flags.address);
    const steps = shownSteps();
    const report =
      flags.store === undefined
        ? await upWithEtcd(host, addresses[0] ?? "", steps)
        : await upOnStore(await accessOf(flags.store, flags), host, steps);
    tell(report, cli);
    if (flags.etcd)
      cli.terminal.say(
        "Three hosts with etcd on each bear the loss of one. For the next one: manx token create --etcd",
      );
    else cli.terminal.say("For the next host: manx token create");
  });
};

export function storeOptions(command: Parameters<Define>[0]): void {
  command
    .option("--ca <file>", "certificate of the CA that signed etcd's")
    .option("--cert <file>", "this host's client certificate")
    .option("--key <file>", "its key; only root may read it")
    .option("--user <name>", "etcd's user; it needs readwrite on the prefix /manx/")
    .option("--password-file <file>", "a file with its password; only root may read it");
}

export async function accessOf(store: string, flags: StoreFlags) {
  if (store === "sqlite")
    throw new CliError(
      EXIT.refused,
      "Cannot go back to a store of this host alone: the others would go on with the shared one",
      "To leave the cluster: manx node rm HOST on another host, then manx uninstall and ./quickstart here. manx get -o yaml keeps resources.",
    );
  const { parseEndpoints } = await import("../../install/cluster/up.ts");
  const { ca, cert, key, user, passwordFile } = flags;
  const tls = ca !== undefined || cert !== undefined;
  const endpoints = parseEndpoints(store, tls).map((one) => `${one.tls ? "https" : "http"}://${one.authority}`);
  const files = { caFile: ca, certFile: cert, keyFile: key, passwordFile };
  const given = Object.entries(files).flatMap(([name, file]) => (file === undefined ? [] : [[name, resolve(file)]]));
  if ((cert === undefined) !== (key === undefined))
    throw new CliError(EXIT.usage, "Cannot use the certificate: --cert and --key belong together");
  if ((user === undefined) !== (passwordFile === undefined))
    throw new CliError(EXIT.usage, "Cannot use the user: --user and --password-file belong together");
  return { endpoints, ...Object.fromEntries(given), ...(user !== undefined && { user }) };
}

export function tell({ version, store, migrated }: UpReport, { terminal }: Cli): void {
  if (migrated !== undefined)
    terminal.say(`Copied and compared ${migrated.keys} keys; the old store is kept: ${migrated.backup}`);
  terminal.say(`etcd ${version}; the agent says: ${store}`);
}
