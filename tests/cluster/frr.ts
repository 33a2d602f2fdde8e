/** FRR on a machine of a lab, with a configuration as `manx bgp config --for frr` prints it. */
import type { Machine } from "../../src/lab/host.ts";

const FOLDER = "/tmp/frr";

/** zebra puts what bgpd learns into the machine's own kernel. */
export async function startFrr(machine: Machine, lines: readonly string[]): Promise<void> {
  const conf = ["frr defaults datacenter", `log file ${FOLDER}/frr.log`, ...lines, ""].join("\n");
  await machine.mustExec(["sh", "-c", `mkdir -p ${FOLDER} && cat >${FOLDER}/frr.conf && chown -R frr:frr ${FOLDER}`], {
    input: conf,
  });
  for (const name of ["zebra", "bgpd"]) {
    const sockets = ["-z", `${FOLDER}/zserv.api`, "--vty_socket", FOLDER, "-i", `${FOLDER}/${name}.pid`];
    await machine.mustExec([`/usr/lib/frr/${name}`, "-d", "-f", `${FOLDER}/frr.conf`, ...sockets]);
  }
}
