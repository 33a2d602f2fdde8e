/** From what a machine has to what ./quickstart changes on it, in order. Nothing here changes anything by itself. */
import { mkdir, rename, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { reachableResolvers } from "../drivers/dns/resolv-conf.ts";
import { mustRun, run } from "../drivers/exec.ts";
import { writeFileAtomic } from "../drivers/system/files.ts";
import { DAEMON_FILE, RECORD_FILE, setOurDns } from "./docker-dns.ts";
import { recordInstallation } from "./record.ts";
import { LINK, ROOT, restartAgent, startAgent, startDocker, UNIT_FILE, unitText } from "./service.ts";
import { SNAPSHOT_FILE, saveSnapshot, takeSnapshot } from "./snapshot.ts";
import { isInstalled, knownPackages, type Survey } from "./survey.ts";

export interface Change {
  readonly title: string;
  /** Every command and file, as `--dry-run` shows them. */
  readonly details: readonly string[];
  readonly apply: (progress: (text: string) => void) => Promise<void>;
}

/** Changes that a host which has everything does not need are left out, so a second run has none. */
export function plan(found: Survey): Change[] {
  const changes = [
    instruments(found),
    snapshot(found),
    packages(found),
    command(found),
    unit(found),
    agent(found),
    names(found),
    docker(found),
  ];
  return changes.filter((change) => change !== undefined);
}

function snapshot({ hasSnapshot }: Survey): Change | undefined {
  if (hasSnapshot) return undefined;
  return {
    title: "Take a snapshot of this host, for manx uninstall to compare with",
    details: [`write ${SNAPSHOT_FILE}`],
    apply: async () => saveSnapshot(await takeSnapshot()),
  };
}

/** What the snapshot is taken with. */
const INSTRUMENTS = ["iproute2", "nftables"];

/** A small system may lack them; they bring files and change nothing. */
function instruments({ hasSnapshot, missing }: Survey): Change | undefined {
  return hasSnapshot ? undefined : installation(missing.filter((name) => INSTRUMENTS.includes(name)));
}

function packages({ docker, missing, hasSnapshot }: Survey): Change | undefined {
  const engine = docker.version === undefined ? ["docker.io"] : [];
  const client = docker.hasClient ? [] : ["docker-cli"];
  const others = missing.filter((name) => hasSnapshot || !INSTRUMENTS.includes(name));
  return installation(
    [...engine, ...client, ...others],
    ...(client.length > 0 && engine.length > 0
      ? ["(docker-cli only where the distribution has it as a package of its own)"]
      : []),
    ...(missing.includes("bird2") ? ["systemctl disable --now bird (its package starts it; Manx runs its own)"] : []),
  );
}

function installation(wanted: readonly string[], ...notes: readonly string[]): Change | undefined {
  if (wanted.length === 0) return undefined;
  return {
    title: `Install ${wanted.join(", ")}`,
    details: ["apt-get update", `apt-get install -y --no-install-recommends ${wanted.join(" ")}`, ...notes],
    apply: (progress) => installPackages(wanted, progress),
  };
}

/** Those that the distribution has. What was added is noted for manx uninstall. */
export async function installPackages(wanted: readonly string[], progress: (text: string) => void): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  progress("apt-get update");
  await mustRun(["apt-get", "-qq", "update"], { env, timeoutMs: 600_000 });
  const known = await knownPackages();
  const names = wanted.filter((name) => name !== "docker-cli" || known.has(name));
  const added: string[] = [];
  for (const name of names) if (!(await isInstalled(name))) added.push(name);
  // Noted first: what an installation that is cut short has left behind is ours too.
  await recordInstallation({ packages: added });
  progress(`apt-get install ${names.join(" ")}`);
  const options = ["-qq", "-y", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0"];
  await mustRun(["apt-get", "install", ...options, ...names], { env, timeoutMs: 1_200_000 });
  if (added.includes("bird2")) await run(["systemctl", "disable", "--quiet", "--now", "bird.service"]).catch(() => {});
}

function command({ link }: Survey): Change | undefined {
  const target = join(ROOT, "bin/manx");
  if (link === target) return undefined;
  return {
    title: "Put manx into the PATH",
    details: [`${link === undefined ? "link" : "replace"} ${LINK} -> ${target}`],
    apply: async () => {
      await mkdir(dirname(LINK), { recursive: true });
      // Made beside it and moved over it: there is no moment without the command.
      const work = `${LINK}.${process.pid}`;
      await symlink(target, work);
      await rename(work, LINK);
    },
  };
}

function unit({ systemd, unit }: Survey): Change | undefined {
  if (!systemd || unit === unitText()) return undefined;
  return {
    title: "Install the service, started before Docker",
    details: [`write ${UNIT_FILE}`, "systemctl daemon-reload", "systemctl enable manx.service"],
    apply: async () => {
      await writeFileAtomic(UNIT_FILE, unitText());
      await mustRun(["systemctl", "daemon-reload"]);
      await mustRun(["systemctl", "enable", "--quiet", "manx.service"]);
    },
  };
}

function agent({ systemd, agent }: Survey): Change | undefined {
  if (agent.running && !agent.isOutdated) return undefined;
  const how = systemd
    ? "systemctl start manx.service"
    : `${ROOT}/src/install/supervise ... manx agent, in the background`;
  const boot = systemd
    ? []
    : ["(there is no systemd here: it does not start by itself at boot; run ./quickstart again)"];
  return agent.running
    ? {
        title: "Start the agent anew, because its code has changed; containers keep their traffic",
        details: [systemd ? "systemctl restart manx.service" : "restart manx agent"],
        apply: restartAgent,
      }
    : { title: "Start the agent", details: [how, ...boot], apply: startAgent };
}

function names({ names: wanted, docker: { running } }: Survey): Change | undefined {
  if (wanted !== "missing") return undefined;
  const after = running ? ["(in force when Docker is started again: systemctl restart docker)"] : [];
  return {
    title: "Have Docker ask Manx for names that it does not know: containers find each other on all hosts",
    details: [`write "dns" in ${DAEMON_FILE}; what it was is kept in ${RECORD_FILE}`, ...after],
    apply: async () => void (await setOurDns(await reachableResolvers())),
  };
}

function docker({ systemd, docker }: Survey): Change | undefined {
  if (docker.running) return undefined;
  return {
    title: "Start Docker",
    details: [
      systemd ? "systemctl start docker.service" : "dockerd, in the background; log in /var/log/manx/dockerd.log",
    ],
    apply: startDocker,
  };
}
