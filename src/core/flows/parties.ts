/** Who has an address: containers of all hosts, and the hosts. */
import type { Endpoint } from "../calc/snapshot.ts";
import type { Changes } from "../calc/tracker.ts";
import type { Node } from "../model/resources.ts";
import { patch } from "../reconcile/patched-map.ts";
import type { Party } from "./flow.ts";

/** The source's contents now; the same arrays as long as nothing changed. */
export interface PartySource {
  readonly endpoints: readonly Endpoint[];
  readonly nodes: readonly Node[];
  /** Canonical addresses of this host, beyond those that its Node tells. */
  readonly own: readonly string[];
  readonly host: string;
}

/** Host side of a local container's link, and the container's MAC address. */
export interface LocalLink {
  readonly interface: string;
  readonly mac: string;
}

interface Known {
  readonly parties: ReadonlyMap<string, Party>;
  readonly interfaces: ReadonlyMap<string, Endpoint>;
  readonly links: ReadonlyMap<string, LocalLink>;
}

export class Parties {
  readonly #known: Known;

  private constructor(known: Known) {
    this.#known = known;
  }

  static of({ endpoints, nodes, own, host }: PartySource): Parties {
    const parties = new Map<string, Party>();
    for (const address of own) parties.set(address, { kind: "host", address, host });
    for (const node of nodes)
      for (const address of nodeAddresses(node))
        parties.set(address, { kind: "host", address, host: node.metadata.name });
    const added = entriesOf(endpoints);
    for (const [address, party] of added.parties) parties.set(address, party);
    return new Parties({ ...added, parties });
  }

  /** The same with some endpoints changed, at the cost of these. */
  with({ upserts, removed }: Changes<Endpoint>): Parties {
    const [gone, added] = [entriesOf(removed), entriesOf(upserts)];
    const { parties, interfaces, links } = this.#known;
    return new Parties({
      parties: patch({ from: parties, added: added.parties, removed: new Set(gone.parties.keys()) }),
      interfaces: patch({ from: interfaces, added: added.interfaces, removed: new Set(gone.interfaces.keys()) }),
      links: patch({ from: links, added: added.links, removed: new Set(gone.links.keys()) }),
    });
  }

  /** True for an address of a container. */
  isEndpoint(address: string): boolean {
    return this.#known.parties.get(address)?.kind === "endpoint";
  }

  of(address: string): Party {
    return this.#known.parties.get(address) ?? { kind: "outside", address };
  }

  /** Whose packet it is that came in by the interface, whatever source it claims. */
  sender(address: string, interfaceName: string | undefined): Party {
    const endpoint = interfaceName === undefined ? undefined : this.#known.interfaces.get(interfaceName);
    return endpoint === undefined ? this.of(address) : partyOf(endpoint, address);
  }

  /** Where packets of a local container come in. */
  linkOf(address: string): LocalLink | undefined {
    return this.#known.links.get(address);
  }
}

function entriesOf(endpoints: readonly Endpoint[]): Known {
  const parties = new Map<string, Party>();
  const interfaces = new Map<string, Endpoint>();
  const links = new Map<string, LocalLink>();
  for (const endpoint of endpoints) {
    for (const address of endpoint.addresses) parties.set(address, partyOf(endpoint, address));
    if (endpoint.local === undefined) continue;
    const { interface: name, mac } = endpoint.local;
    interfaces.set(name, endpoint);
    for (const address of endpoint.addresses) links.set(address, { interface: name, mac });
  }
  return { parties, interfaces, links };
}

function partyOf({ container, network, namespace, host, id }: Endpoint, address: string): Party {
  return { kind: "endpoint", address, container: container || id.slice(0, 12), network, namespace, host };
}

function nodeAddresses(node: Node): string[] {
  const { bgp } = node.spec;
  return [bgp?.ipv4Address, bgp?.ipv6Address].flatMap((text) =>
    text === undefined ? [] : [text.split("/")[0] ?? text],
  );
}
