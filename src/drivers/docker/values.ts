/** What Docker's API answers, as plain values: the few fields that Manx reads. Go's nil maps and slices arrive as null. */
import { z } from "zod";
import { DriverError } from "../error.ts";

export interface EngineVersion {
  /** "20.10.24" */
  readonly version: string;
  readonly apiVersion: string;
  readonly minApiVersion: string;
}

export interface EngineInfo {
  readonly id: string;
  readonly name: string;
  readonly liveRestore: boolean;
  /** "active" on a swarm node. */
  readonly swarm: string;
  readonly dataRoot: string;
}

/** "ep-<endpoint ID>" while a container joins, then its ID. */
export interface EngineEndpoint {
  readonly container: string;
  /** Container's name. */
  readonly name: string;
  readonly endpointId: string;
  readonly mac: string;
  /** With prefix length; "" if it has none. */
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface EngineNetwork {
  readonly id: string;
  readonly name: string;
  readonly driver: string;
  readonly scope: string;
  /** RFC 3339. */
  readonly created: string;
  readonly internal: boolean;
  /** True on engines before 28, which cannot say. */
  readonly enableIPv4: boolean;
  readonly enableIPv6: boolean;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly ipamDriver: string;
  readonly ipamOptions: Readonly<Record<string, string>>;
  readonly ipamConfig: readonly EnginePool[];
  /** Only from `network`, never from `networks`. */
  readonly endpoints: readonly EngineEndpoint[];
}

export interface EnginePool {
  readonly subnet: string;
  readonly ipRange: string;
  readonly gateway: string;
  readonly auxAddresses: Readonly<Record<string, string>>;
}

interface EngineAttachment {
  /** As the user named it on the command line: mostly the network's name, but an ID or a part of one is possible. */
  readonly network: string;
  /** "" until the container has been started for the first time. */
  readonly networkId: string;
  readonly endpointId: string;
}

export interface EngineContainer {
  readonly id: string;
  /** Without the slash; the first is the container's own, others are links. */
  readonly name: string;
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** created, running, paused, restarting, removing, exited, dead */
  readonly state: string;
  /** Unix seconds. */
  readonly created: number;
  readonly attachments: readonly EngineAttachment[];
}

/** Of one container; see `inspect.ts` for where it may be asked. */
export interface EngineContainerDetails {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly pid: number;
  readonly sandboxKey: string;
  /** `80/tcp` to where it is published. */
  readonly portBindings: ReadonlyMap<string, readonly { readonly hostIp: string; readonly hostPort: string }[]>;
  readonly exposedPorts: readonly string[];
  readonly attachments: readonly (EngineAttachment & {
    readonly gateway: string;
    readonly gateway6: string;
    readonly driverOptions: Readonly<Record<string, string>>;
    /** Other names on that network, as far as the engine lists them: 20.10 with the short ID, 26 without. */
    readonly aliases: readonly string[];
  })[];
}

const text = z
  .string()
  .nullish()
  .transform((value) => value ?? "");
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
const integer = z
  .number()
  .nullish()
  .transform((value) => value ?? 0);

/** A map of Go, without ever assigning by a key from outside (`__proto__` would be lost). */
const entriesOf = <T>(item: z.ZodType<T>): z.ZodType<readonly (readonly [string, T])[]> =>
  z
    .unknown()
    .optional() // or zod wants the key to be there
    .transform((value) => (typeof value === "object" && value !== null ? Object.entries(value) : []))
    .pipe(z.array(z.tuple([z.string(), item])));
const textMap = entriesOf(z.string()).transform((entries): Record<string, string> => Object.fromEntries(entries));

const listOf = <T>(item: z.ZodType<T>): z.ZodType<readonly T[]> =>
  z
    .array(item)
    .nullish()
    .transform((value) => value ?? []);

const versionSchema = z
  .object({ Version: text, ApiVersion: text, MinAPIVersion: text })
  .transform((v): EngineVersion => ({ version: v.Version, apiVersion: v.ApiVersion, minApiVersion: v.MinAPIVersion }));

const infoSchema = z
  .object({
    ID: text,
    Name: text,
    LiveRestoreEnabled: flag,
    DockerRootDir: text,
    Swarm: z.object({ LocalNodeState: text }).nullish(),
  })
  .transform(
    (v): EngineInfo => ({
      id: v.ID,
      name: v.Name,
      liveRestore: v.LiveRestoreEnabled,
      swarm: v.Swarm?.LocalNodeState ?? "",
      dataRoot: v.DockerRootDir,
    }),
  );

const poolSchema = z.object({ Subnet: text, IPRange: text, Gateway: text, AuxiliaryAddresses: textMap }).transform(
  (v): EnginePool => ({
    subnet: v.Subnet,
    ipRange: v.IPRange,
    gateway: v.Gateway,
    auxAddresses: v.AuxiliaryAddresses,
  }),
);

const endpointSchema = z.object({
  Name: text,
  EndpointID: text,
  MacAddress: text,
  IPv4Address: text,
  IPv6Address: text,
});

const networkSchema = z
  .object({
    Id: z.string(),
    Name: text,
    Driver: text,
    Scope: text,
    Created: text,
    Internal: flag,
    EnableIPv4: z.boolean().nullish(),
    EnableIPv6: flag,
    Options: textMap,
    Labels: textMap,
    IPAM: z.object({ Driver: text, Options: textMap, Config: listOf(poolSchema) }).nullish(),
    Containers: entriesOf(endpointSchema),
  })
  .transform(
    (v): EngineNetwork => ({
      id: v.Id,
      name: v.Name,
      driver: v.Driver,
      scope: v.Scope,
      created: v.Created,
      internal: v.Internal,
      enableIPv4: v.EnableIPv4 ?? true,
      enableIPv6: v.EnableIPv6,
      options: v.Options,
      labels: v.Labels,
      ipamDriver: v.IPAM?.Driver ?? "",
      ipamOptions: v.IPAM?.Options ?? {},
      ipamConfig: v.IPAM?.Config ?? [],
      endpoints: v.Containers.map(([container, e]) => ({
        container,
        name: e.Name,
        endpointId: e.EndpointID,
        mac: e.MacAddress,
        ipv4: e.IPv4Address,
        ipv6: e.IPv6Address,
      })),
    }),
  );

const attachmentSchema = z.object({ NetworkID: text, EndpointID: text });

const containerSchema = z
  .object({
    Id: z.string(),
    Names: listOf(z.string()),
    Image: text,
    Labels: textMap,
    State: text,
    Created: integer,
    NetworkSettings: z.object({ Networks: entriesOf(attachmentSchema) }).nullish(),
  })
  .transform(
    (v): EngineContainer => ({
      id: v.Id,
      name: ownName(v.Names),
      image: v.Image,
      labels: v.Labels,
      state: v.State,
      created: v.Created,
      attachments: (v.NetworkSettings?.Networks ?? []).map(([network, a]) => ({
        network,
        networkId: a.NetworkID,
        endpointId: a.EndpointID,
      })),
    }),
  );

/** Of `/web` and `/proxy/web` (a link's alias) the container's own is the one without a second slash. */
function ownName(names: readonly string[]): string {
  const bare = names.map((name) => name.replace(/^\//, ""));
  return bare.find((name) => !name.includes("/")) ?? bare[0] ?? "";
}

const detailsSchema = z
  .object({
    Id: z.string(),
    Name: text,
    State: z.object({ Running: flag, Pid: integer }),
    Config: z.object({ ExposedPorts: entriesOf(z.unknown()) }).nullish(),
    HostConfig: z.object({ PortBindings: entriesOf(listOf(z.object({ HostIp: text, HostPort: text }))) }).nullish(),
    NetworkSettings: z.object({
      SandboxKey: text,
      Networks: entriesOf(
        attachmentSchema.extend({ Gateway: text, IPv6Gateway: text, DriverOpts: textMap, Aliases: listOf(z.string()) }),
      ),
    }),
  })
  .transform(
    (v): EngineContainerDetails => ({
      id: v.Id,
      name: ownName([v.Name]),
      running: v.State.Running,
      pid: v.State.Pid,
      sandboxKey: v.NetworkSettings.SandboxKey,
      portBindings: new Map(
        (v.HostConfig?.PortBindings ?? []).map(([port, bindings]) => [
          port,
          bindings.map(({ HostIp, HostPort }) => ({ hostIp: HostIp, hostPort: HostPort })),
        ]),
      ),
      exposedPorts: (v.Config?.ExposedPorts ?? []).map(([port]) => port),
      attachments: v.NetworkSettings.Networks.map(([network, a]) => ({
        network,
        networkId: a.NetworkID,
        endpointId: a.EndpointID,
        gateway: a.Gateway,
        gateway6: a.IPv6Gateway,
        driverOptions: a.DriverOpts,
        aliases: a.Aliases,
      })),
    }),
  );

/** What `/networks/ID` answers, without all endpoints but one: of those nothing is looked at but their IDs. */
export function withOne(network: unknown, endpoint: string): unknown {
  if (typeof network !== "object" || network === null || !("Containers" in network)) return network;
  const { Containers: all } = network;
  if (typeof all !== "object" || all === null) return network;
  const isAsked = ([key, value]: [string, unknown]): boolean => {
    if (key === `ep-${endpoint}`) return true;
    return typeof value === "object" && value !== null && "EndpointID" in value && value.EndpointID === endpoint;
  };
  return { ...network, Containers: Object.fromEntries(Object.entries(all).filter(isAsked)) };
}

/** Reads an answer; `what` is for the text of the error. @throws DriverError "failed" for an answer of another shape. */
function reader<T>(schema: z.ZodType<T>): (what: string, answer: unknown) => T {
  return (what, answer) => {
    const result = schema.safeParse(answer);
    if (result.success) return result.data;
    const where = result.error.issues[0]?.path.join(".") ?? "";
    throw new DriverError("failed", `Cannot ${what}: Docker's answer is not understood at "${where}"`, result.error);
  };
}

export const readVersion = reader(versionSchema);
export const readInfo = reader(infoSchema);
export const readNetwork = reader(networkSchema);
export const readNetworks = reader(listOf(networkSchema));
export const readContainers = reader(listOf(containerSchema));
export const readDetails = reader(detailsSchema);
