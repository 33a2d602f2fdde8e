/** Looks at the host for `manx doctor`. What cannot be found out is left out, with the reason in `errors`. */
import { constants } from "node:fs";
import { access, statfs } from "node:fs/promises";
import { release } from "node:os";
import { dirname } from "node:path";
import type { HostFacts } from "../api/doctor/facts.ts";
import { ignoredSubnets } from "../drivers/docker/subnets.ts";
import { findBinary } from "../drivers/exec.ts";
import { readSysctl } from "../drivers/system/sysctls.ts";
import { surroundings } from "../install/surroundings.ts";
import type { Agent } from "./agent.ts";
import { poolOverlaps } from "./pool-overlaps.ts";
import { VERSION } from "./version.ts";

export async function hostFacts(agent: Agent, signal?: AbortSignal): Promise<HostFacts> {
  const errors: string[] = [];
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      errors.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const { options } = agent;
  const engine = await attempt("Docker", () => agent.engine.version(signal));
  const info = engine === undefined ? undefined : await attempt("Docker", () => agent.engine.info(signal));
  const networks =
    engine === undefined ? undefined : await attempt("Docker", () => agent.engine.networks("manx", signal));
  const forward = await attempt("the FORWARD chains", () => agent.forward.look(signal));
  const around = await attempt("the surroundings", () => surroundings(options.socket));
  const space = await attempt("free space", () => statfs(dirname(options.stateFile)));
  const problems = await attempt("addresses", () => agent.addresses.check(undefined, signal));
  const exhausted = await attempt("addresses", () => agent.addresses.exhausted(signal));
  const state = agent.hostState();
  const foreignIpam = networks?.filter(({ ipamDriver }) => ipamDriver !== "manx").map(({ name }) => name);
  const trouble = agent.store.trouble();
  const systemd = await exists("/run/systemd/system");
  const [nft, bird] = [findBinary("nft"), findBinary("bird")];
  return {
    host: options.host,
    agent: { running: true, version: VERSION },
    kernel: {
      release: release(),
      nfTables: !agent.health.list().some(({ code }) => code === "firewall-not-applied"),
      veth: true,
      conntrack: readSysctl("net/netfilter/nf_conntrack_max") !== undefined,
      dropReasons: dropReasons(agent),
    },
    sysctls: [...(state?.sysctls ?? [])].map(([path, want]) => {
      const have = readSysctl(path);
      return { path, want, ...(have === undefined ? {} : { have }) };
    }),
    engine: {
      state: engine === undefined ? "stopped" : "running",
      ...(engine === undefined ? {} : { version: engine.version }),
      ...(info === undefined ? {} : { liveRestore: info.liveRestore }),
      ...(foreignIpam === undefined ? {} : { foreignIpam }),
      ...(networks === undefined ? {} : { ignoredSubnets: ignoredSubnets(networks) }),
    },
    pluginSocket: { path: options.pluginSocket, listening: await exists(options.pluginSocket) },
    ...(forward === undefined
      ? {}
      : { forward: forward.map(({ family, policy, accepted }) => ({ family, policy, accepted })) }),
    firewalls: [
      { name: "ufw", active: await isActive("/etc/ufw/ufw.conf", "ENABLED=yes") },
      { name: "firewalld", active: await exists("/run/firewalld.pid") },
    ],
    ...around,
    tools: { ...(nft === undefined ? {} : { nft }), ...(bird === undefined ? {} : { bird }) },
    bgp: {
      wanted: (agent.bgp?.stage.state?.sessions.length ?? 0) > 0,
      running: agent.bgp?.bird.running === true,
    },
    store: { path: options.stateFile, ...(trouble === undefined ? {} : { trouble }) },
    overlaps: poolOverlaps(agent.cluster.all("IPPool"), agent.hostNetwork.routes),
    ...(exhausted === undefined ? {} : { exhausted }),
    refusedLabels: agent.health
      .list()
      .filter(({ code }) => code === "label-unreadable" || code === "service-refused")
      .map(({ why, remedy }) => ({ why, remedy })),
    drift: agent.health
      .list()
      .filter(({ severity }) => severity === "error")
      .map(({ why }) => why),
    orphans: (problems ?? [])
      .filter(({ kind }) => kind !== "pool-overlaps-route")
      .map(({ subject, message }) => `${subject}: ${message}`),
    unit: {
      systemd,
      installed: await exists("/etc/systemd/system/manx.service"),
      enabled: await exists("/etc/systemd/system/multi-user.target.wants/manx.service"),
    },
    ...(space === undefined ? {} : { freeBytes: space.bavail * space.bsize }),
    errors,
  };
}

function dropReasons({ observer, options }: Agent): NonNullable<HostFacts["kernel"]["dropReasons"]> {
  const { blind } = observer;
  return { asked: options.logGroup !== undefined, ...(blind !== undefined && { why: blind }) };
}

function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  );
}

async function isActive(path: string, line: string): Promise<boolean> {
  const { readIfExists } = await import("../drivers/system/files.ts");
  return ((await readIfExists(path).catch(() => undefined)) ?? "").split("\n").includes(line);
}
