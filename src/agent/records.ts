/** What this host remembers of Docker's networks and endpoints: Docker tells each of them once and never again. */
import type { PublishedPort } from "../core/calc/snapshot.ts";
import type { Network } from "../core/model/resources.ts";

export interface NetworkRecord {
  /** Docker's network ID, 64 hex. */
  readonly id: string;
  /** Docker's network name; absent until Docker has told it (CreateNetwork does not). */
  readonly name?: string;
  readonly spec: Network["spec"];
  /** Pool IDs that `Addresses.requestPool` gave out and that `Addresses.bind` found to be this network's. */
  readonly ipv4Pools: readonly string[];
  readonly ipv6Pools: readonly string[];
  /** `-o` options as the user gave them. */
  readonly options: Readonly<Record<string, string>>;
  /** `--ipam-opt ipv4=off`: Docker before 28 puts a dummy IPv4 address on each endpoint, which is none of ours. */
  readonly dummyIpv4?: boolean;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}

export interface ExposedPort {
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly port: number;
}

export interface ContainerRecord {
  /** Docker's container ID, 64 hex; absent while only the name is known. */
  readonly id?: string;
  readonly name: string;
  readonly image?: string;
  /** As Docker has them, compose's own labels included. */
  readonly labels: Readonly<Record<string, string>>;
  readonly composeProject?: string;
  readonly composeService?: string;
}

export interface EndpointRecord {
  /** Docker's endpoint ID, 64 hex. */
  readonly id: string;
  readonly networkId: string;
  /** Canonical addresses without prefix length, IPv4 before IPv6. */
  readonly addresses: readonly string[];
  readonly mac: string;
  /** `--driver-opt` options as the user gave them. */
  readonly driverOptions: Readonly<Record<string, string>>;
  readonly published: readonly PublishedPort[];
  readonly exposedPorts: readonly ExposedPort[];
  /** Docker's SandboxKey, from Join on. */
  readonly sandbox?: string;
  /** N of 169.254.1.N and fe80::N, from 1; unique within the sandbox. */
  readonly gatewayIndex?: number;
  /** Join has been called and Leave has not. */
  readonly joined: boolean;
  readonly container?: ContainerRecord;
  /** `--network-alias` and the like, as Docker tells them once the container runs; absent: not asked yet. */
  readonly aliases?: readonly string[];
  /** ISO 8601, UTC. */
  readonly createdAt: string;
}
