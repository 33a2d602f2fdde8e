/**
 * An endpoint as its host publishes it for the others: what policy needs to know, nothing that only its own host uses.
 *
 * A promise between versions: fields are only ever added, a field never changes its meaning, and whoever reads passes over
 * what it does not know. What is missing has its default.
 */
import type { Endpoint, NamedPort, PublishedPort } from "./snapshot.ts";

export const ENDPOINTS = "/manx/v1/endpoints/";

const PROTOCOLS = ["TCP", "UDP", "SCTP"] as const;

/** `host` is a host name: no `/` in it. */
export function endpointsOf(host: string): string {
  return `${ENDPOINTS}${host}/`;
}

export function endpointKey(host: string, id: string): string {
  return endpointsOf(host) + id;
}

/** Host and endpoint ID of a key; undefined if it is none. */
export function parseEndpointKey(key: string): { readonly host: string; readonly id: string } | undefined {
  const [host, id, more] = key.startsWith(ENDPOINTS) ? key.slice(ENDPOINTS.length).split("/") : [];
  return host === undefined || host === "" || id === undefined || id === "" || more !== undefined
    ? undefined
    : { host, id };
}

/** Labels that follow from the other fields. */
function impliedLabels({ host, container, network, namespace }: Omit<Published, "labels">): [string, string][] {
  return [
    ...(container === "" ? [] : [["manx/container", container] satisfies [string, string]]),
    ["manx/network", network],
    ["manx/host", host],
    ["projectcalico.org/namespace", namespace],
    ["projectcalico.org/orchestrator", "docker"],
  ];
}

/** False: bound to the loopback of the endpoint's own host, for nobody else. */
export function isOpenToOthers({ host }: PublishedPort): boolean {
  return host === undefined || !isLoopback(host.address);
}

/** Canonical text; "" is any address. */
export function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

type Published = Pick<Endpoint, "host" | "container" | "network" | "namespace" | "labels">;

export function publishEndpoint(endpoint: Endpoint): string {
  const { network, container, namespace, addresses, aliases = [], profiles, ports, published } = endpoint;
  const { serviceAddresses = [] } = endpoint;
  const implied = new Map(impliedLabels(endpoint));
  const open = published.filter(isOpenToOthers);
  const labels = [...endpoint.labels].filter(([name, value]) => implied.get(name) !== value);
  const usual = profiles.length === 1 && profiles[0] === network;
  return JSON.stringify({
    network,
    ...(container !== "" && { container }),
    ...(namespace !== "default" && { namespace }),
    addresses,
    ...(serviceAddresses.length > 0 && { serviceAddresses }),
    ...(aliases.length > 0 && { aliases }),
    ...(labels.length > 0 && { labels: Object.fromEntries(labels) }),
    ...(!usual && { profiles }),
    ...(ports.length > 0 && { ports }),
    ...(open.length > 0 && { published: open }),
  });
}

/** `intern`: gives the same object for equal text, which saves memory where thousands of values have the same words. */
export function readEndpoint(
  { host, id }: { readonly host: string; readonly id: string },
  value: string,
  intern: (text: string) => string = (text) => text,
): Endpoint | undefined {
  const fields = objectIn(value);
  const network = textIn(fields?.["network"]);
  if (fields === undefined || network === undefined || network === "") return undefined;
  const base = {
    id,
    host: intern(host),
    network: intern(network),
    container: textIn(fields["container"]) ?? "",
    namespace: intern(textIn(fields["namespace"]) ?? "default"),
  };
  const profiles = textsIn(fields["profiles"]).map(intern);
  const aliases = textsIn(fields["aliases"]);
  const serviceAddresses = textsIn(fields["serviceAddresses"]);
  const own = Object.entries(recordIn(fields["labels"])).flatMap(([name, text]) =>
    typeof text === "string" ? [[intern(name), intern(text)] as const] : [],
  );
  return {
    ...base,
    addresses: textsIn(fields["addresses"]),
    ...(serviceAddresses.length > 0 && { serviceAddresses }),
    ...(aliases.length > 0 && { aliases }),
    labels: new Map([...own, ...impliedLabels(base)]),
    profiles: profiles.length > 0 ? profiles : [base.network],
    ports: listIn(fields["ports"]).flatMap(namedPort),
    published: listIn(fields["published"]).flatMap(publishedPort),
  };
}

function namedPort(value: unknown): NamedPort[] {
  const { name, ...rest } = recordIn(value);
  const found = portIn(rest);
  return typeof name === "string" && found !== undefined ? [{ name, ...found }] : [];
}

/** `host` of a published port is its own host's business: it opens nothing elsewhere. */
function publishedPort(value: unknown): PublishedPort[] {
  const found = portIn(recordIn(value));
  return found === undefined ? [] : [found];
}

function portIn({ protocol, port }: Readonly<Record<string, unknown>>) {
  const known = PROTOCOLS.find((one) => one === protocol);
  const good = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65536;
  return known === undefined || !good ? undefined : { protocol: known, port };
}

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? recordIn(value) : undefined;
  } catch {
    return undefined;
  }
}

function recordIn(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function listIn(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textIn(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function textsIn(value: unknown): string[] {
  return listIn(value).filter((one) => typeof one === "string");
}
