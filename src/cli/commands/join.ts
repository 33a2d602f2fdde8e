/** `manx join LINE`: this host into a cluster. */
import { type Define, examples } from "../cli.ts";
import { needRoot, shownSteps, thisHost } from "../host.ts";
import { tell } from "./up.ts";

interface Flags {
  readonly etcd?: boolean;
  readonly address?: string;
  readonly renew?: boolean;
}

export const define: Define = (command, cli) => {
  command
    .argument("<line>", "what manx token create printed on a host of the cluster")
    .option("--etcd", "become a member of etcd too; the token must allow it")
    .option("--renew", "this host has joined already: only fetch a new certificate")
    .option("--address <ip>", "where other hosts reach this one; otherwise it is detected");
  examples(command, [
    ["manx join manx1.WyJ...", "with certificates and everything; the line works once"],
    ["manx join manx1.WyJ... --renew", "a new certificate, with a line of manx token create --host HOST"],
    ["manx join manx1.WyJ... --etcd", "three hosts with etcd on each: one may be lost"],
  ]);
  command.action(async (line: string, flags: Flags) => {
    const { parseJoinLine } = await import("../../install/cluster/join-line.ts");
    parseJoinLine(line); // before anything happens: thisHost starts an agent that is stopped
    needRoot("manx join");
    const { join } = await import("../../install/cluster/join.ts");
    const { host, addresses, version } = await thisHost(cli, flags.address);
    tell(
      await join(
        { line, host, addresses, version, etcd: flags.etcd === true, renew: flags.renew === true },
        shownSteps(),
      ),
      cli,
    );
    cli.terminal.say("manx status shows the cluster's hosts.");
  });
};
