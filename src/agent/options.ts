/** How an agent is started. */
import { hostname } from "node:os";
import type { FelixSetting } from "../core/calc/felix-configuration.ts";
import type { Settings } from "../core/calc/snapshot.ts";
import { type ListenAddress, parseListenAddress } from "../core/net/listen-address.ts";
import { DEFAULT_FAILSAFE, type Failsafe, type FailsafePort, parseFailsafePorts } from "../core/rules/failsafe.ts";
import { DriverError } from "../drivers/error.ts";
import { parseEndpoints } from "../drivers/store/etcd.ts";
import { isLoopback } from "../web/address.ts";
import { CONFIG_FILE, type Config, type EtcdConfig, readConfig } from "./config-file.ts";
import { type IpMethod, parseIpMethod } from "./ip-method.ts";
import type { FlowLogOptions } from "./observe/flow-log.ts";

export interface AgentOptions {
  /** Name of this host: of its Node. */
  readonly host: string;
  readonly stateFile: string;
  /** The API's socket. */
  readonly socket: string;
  readonly pluginSocket: string;
  readonly dockerSocket: string;
  readonly endpointToHost: Settings["endpointToHost"];
  /** Ports of the host that no policy can close. */
  readonly failsafe: Failsafe;
  /** Which of these somebody gave, so that no FelixConfiguration changes them. */
  readonly given: ReadonlySet<FelixSetting>;
  /** Folder of passwords: NAME/KEY. */
  readonly secrets: string;
  /** Whether BGP is spoken: by a BIRD of our own, by a BIRD that the host has (it includes what we write), or not at all. */
  readonly bgp: "own" | "external" | "off";
  /** The dashboard; absent: there is none. */
  readonly ui?: UiOptions;
  /** Whether containers may ask this host for the names of others. */
  readonly names: boolean;
  /** NFLOG group that our rules log to; undefined: what is dropped and who talks to whom is not watched. */
  readonly logGroup?: number;
  /** Where flows and drops are written to as well; absent: nowhere. */
  readonly flowLog?: FlowLogOptions;
  /** How the node's own addresses are found. */
  readonly ip: IpMethod;
  readonly ip6: IpMethod;
  /** Where /metrics, /healthz and /readyz are served to everybody who reaches the address; absent: on the API's socket only. */
  readonly metrics?: ListenAddress;
  readonly logLevel: "debug" | "info" | "warn" | "error";
  /** The store that this host shares with others; absent: it is alone, with a store in its state file. */
  readonly etcd?: EtcdConfig;
}

export interface UiOptions {
  readonly address: ListenAddress;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Names by which browsers may call this host, besides its own. */
  readonly names: readonly string[];
}

const LEVELS = ["debug", "info", "warn", "error"] as const;
const CHOICES = ["allow", "restricted", "deny"] as const;

/** "MX": nobody else's by chance. */
const LOG_GROUP = 0x4d58;

/** `off`, or the number of an NFLOG group. */
function logGroup(text: string): Pick<AgentOptions, "logGroup"> {
  if (text === "off") return {};
  const group = Number(text);
  if (!/^[0-9]{1,5}$/.test(text) || group > 65_535)
    throw new DriverError("invalid", `Cannot start: MANX_FLOWS is "${text}", not "off" or an NFLOG group (0-65535)`);
  return { logGroup: group };
}

/** `off`, or ADDRESS:PORT. */
function metricsAddress(text: string): ListenAddress | undefined {
  if (text === "off") return undefined;
  const parsed = parseListenAddress(text);
  if (parsed !== undefined) return parsed;
  throw new DriverError(
    "invalid",
    `Cannot start: MANX_METRICS is "${text}", not "off" or ADDRESS:PORT (127.0.0.1:7442)`,
  );
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the configuration file ($MANX_CONFIG) and MANX_* variables over it. @throws DriverError "invalid" */
export async function loadAgentOptions(env: Environment = process.env): Promise<AgentOptions> {
  return agentOptions(env, await readConfig(env["MANX_CONFIG"] ?? CONFIG_FILE));
}

/** Variables over the configuration over the defaults. @throws DriverError "invalid" */
export function agentOptions(env: Environment, config: Config = {}): AgentOptions {
  const toHost = env["MANX_ENDPOINT_TO_HOST"] ?? config.endpointToHost ?? "restricted";
  const endpointToHost = choice("MANX_ENDPOINT_TO_HOST", toHost, CHOICES);
  const host = env["MANX_HOST"] ?? config.host ?? hostname();
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(host)) {
    throw new DriverError("invalid", `Cannot start: "${host}" is no host name. Set MANX_HOST`);
  }
  const given = new Set<FelixSetting>();
  if ((env["MANX_ENDPOINT_TO_HOST"] ?? config.endpointToHost) !== undefined) given.add("endpointToHost");
  if ((env["MANX_FAILSAFE_IN"] ?? "").trim() !== "") given.add("inbound");
  if ((env["MANX_FAILSAFE_OUT"] ?? "").trim() !== "") given.add("outbound");
  const etcd = etcdOf(env, config);
  const metrics = metricsAddress(env["MANX_METRICS"] ?? config.metrics ?? "off");
  const ui = uiOf(env, config, host.toLowerCase());
  const flowLog = flowLogOf(env, config);
  // Whoever moved the dashboard off loopback would be locked out of it by the first policy of a host endpoint.
  const uiPorts: FailsafePort[] =
    ui === undefined || isLoopback(ui.address) ? [] : [{ protocol: "tcp", port: ui.address.port }];
  return {
    host: host.toLowerCase(),
    stateFile: env["MANX_STATE_FILE"] ?? config.stateFile ?? "/var/lib/manx/manx.db",
    socket: env["MANX_SOCKET"] ?? config.socket ?? "/run/manx/manx.sock",
    pluginSocket: env["MANX_PLUGIN_SOCKET"] ?? config.pluginSocket ?? "/run/docker/plugins/manx.sock",
    dockerSocket: env["MANX_DOCKER_SOCKET"] ?? config.dockerSocket ?? "/var/run/docker.sock",
    endpointToHost,
    failsafe: {
      inbound: failsafePorts("MANX_FAILSAFE_IN", env["MANX_FAILSAFE_IN"], [...DEFAULT_FAILSAFE.inbound, ...uiPorts]),
      outbound: failsafePorts("MANX_FAILSAFE_OUT", env["MANX_FAILSAFE_OUT"], DEFAULT_FAILSAFE.outbound),
    },
    given,
    secrets: env["MANX_SECRETS"] ?? config.secrets ?? "/etc/manx/secrets",
    bgp: choice("MANX_BGP", env["MANX_BGP"] ?? config.bgp, ["own", "external", "off"]),
    names: choice("MANX_NAMES", env["MANX_NAMES"], ["on", "off"]) === "on",
    ...logGroup(env["MANX_FLOWS"] ?? String(LOG_GROUP)),
    ip: parseIpMethod("MANX_IP", env["MANX_IP"] ?? config.ip ?? "first-found", 4),
    ip6: parseIpMethod("MANX_IP6", env["MANX_IP6"] ?? config.ip6 ?? "first-found", 6),
    logLevel: LEVELS.find((level) => level === env["MANX_LOG_LEVEL"]) ?? config.logLevel ?? "info",
    ...(metrics !== undefined && { metrics }),
    ...(flowLog !== undefined && { flowLog }),
    ...(etcd !== undefined && { etcd }),
    ...(ui !== undefined && { ui }),
  };
}

const FLOW_FILE = { maxSize: 10_000_000, keep: 5 } as const;
const SYSLOG = { socket: "/dev/log", facility: "local0" } as const;

/** A variable says where to; size, number and facility are the file's. */
function flowLogOf(env: Environment, { flowLog = {} }: Config): FlowLogOptions | undefined {
  const { verdicts, file, syslog } = flowLog;
  const path = place("MANX_FLOW_FILE", env["MANX_FLOW_FILE"] ?? file?.path);
  const given = env["MANX_FLOW_SYSLOG"] ?? (syslog && (syslog.socket ?? SYSLOG.socket));
  const socket = place("MANX_FLOW_SYSLOG", given === "on" ? SYSLOG.socket : given);
  if (path === undefined && socket === undefined) return undefined;
  const { maxSize = FLOW_FILE.maxSize, keep = FLOW_FILE.keep } = file ?? {};
  return {
    ...(verdicts !== undefined && { verdicts }),
    ...(path !== undefined && { file: { path, maxSize, keep } }),
    ...(socket !== undefined && { syslog: { socket, facility: syslog?.facility ?? SYSLOG.facility } }),
  };
}

function place(name: string, text: string | undefined): string | undefined {
  if (text === undefined || text === "off") return undefined;
  if (text.startsWith("/")) return text;
  throw new DriverError("invalid", `Cannot start: ${name} is "${text}", not "off" or an absolute path`);
}

/** The dashboard's port: nobody else's at IANA. */
const UI_ADDRESS = "127.0.0.1:7441";

function uiOf(env: Environment, config: Config, host: string): UiOptions | undefined {
  const given = config.ui === "off" ? { address: "off" } : config.ui;
  const text = env["MANX_UI"] ?? given?.address ?? UI_ADDRESS;
  if (text === "off") return undefined;
  const no = (why: string): DriverError => new DriverError("invalid", `Cannot start: MANX_UI is "${text}", ${why}`);
  const address = parseListenAddress(text);
  if (address === undefined) throw no('not "off" or ADDRESS:PORT, as 127.0.0.1:7441 or [::1]:7441');
  const certFile = env["MANX_UI_CERT_FILE"] ?? given?.certFile;
  const keyFile = env["MANX_UI_KEY_FILE"] ?? given?.keyFile;
  if ((certFile === undefined) !== (keyFile === undefined)) throw no("and a certificate and its key belong together");
  if (!isLoopback(address) && certFile === undefined)
    throw no(
      "beyond loopback, where the token would go in the clear: set MANX_UI_CERT_FILE and MANX_UI_KEY_FILE, or stay on 127.0.0.1",
    );
  const names = env["MANX_UI_NAMES"]?.split(",").map((name) => name.trim()) ?? given?.names ?? [];
  return {
    address,
    names: [...names.filter((name) => name !== "").map((name) => name.toLowerCase()), host],
    ...(certFile !== undefined && { certFile }),
    ...(keyFile !== undefined && { keyFile }),
  };
}

/** MANX_STORE names another store than the file does, so nothing of the file's belongs to it. */
function etcdOf(env: Environment, config: Config): EtcdConfig | undefined {
  const store = env["MANX_STORE"];
  if (store === undefined || store === "") return config.store?.etcd;
  if (store === "sqlite") return undefined;
  const files = {
    caFile: env["MANX_STORE_CA_FILE"],
    certFile: env["MANX_STORE_CERT_FILE"],
    keyFile: env["MANX_STORE_KEY_FILE"],
    user: env["MANX_STORE_USER"],
    passwordFile: env["MANX_STORE_PASSWORD_FILE"],
  };
  const given = Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined && value !== ""));
  parseEndpoints(store, false);
  return { ...given, endpoints: [store] };
}

/** The first is the default. */
function choice<T extends string>(name: string, value: string | undefined, choices: readonly [T, ...T[]]): T {
  const found = choices.find((one) => one === (value ?? choices[0]));
  if (found === undefined)
    throw new DriverError("invalid", `Cannot start: ${name} is "${value ?? ""}", not ${choices.join(", ")}`);
  return found;
}

function failsafePorts(
  name: string,
  text: string | undefined,
  otherwise: readonly FailsafePort[],
): readonly FailsafePort[] {
  if (text === undefined || text.trim() === "") return otherwise;
  const parsed = parseFailsafePorts(text);
  if (parsed.ok) return parsed.value;
  throw new DriverError(
    "invalid",
    `Cannot start: ${name}: ${parsed.problems.map(({ message }) => message).join("; ")}`,
  );
}
