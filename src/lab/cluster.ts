/** Makes one cluster of a lab's hosts with the commands that a user types: etcd with TLS on the first three, a token for each. */
import type { Host } from "./host.ts";
import type { Lab } from "./lab.ts";

/** More members than these make etcd slower, not safer. */
const MEMBERS = 3;
const LIMIT = { timeoutMs: 300_000 };

export async function makeCluster(lab: Lab, progress: (line: string) => void): Promise<void> {
  const first = lab.host(1);
  progress(`${lab.name}: etcd on h1`);
  await first.mustExec(["manx", "up", "--etcd", "--address", first.addresses.ipv4], LIMIT);
  for (const [index, host] of lab.hosts.entries()) if (index > 0) await letIn(first, host, index < MEMBERS, progress);
}

async function letIn(first: Host, host: Host, member: boolean, progress: (line: string) => void): Promise<void> {
  progress(`${host.name} joins${member ? ", with etcd" : ""}`);
  const etcd = member ? ["--etcd"] : [];
  const line = (await first.mustExec(["manx", "token", "create", ...etcd])).trim();
  await host.mustExec(["manx", "join", line, "--address", host.addresses.ipv4, ...etcd], LIMIT);
}
