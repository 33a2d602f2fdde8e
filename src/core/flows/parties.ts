/** Who has an address: containers of all hosts, and the hosts. */
import type { Endpoint } from "../calc/snapshot.ts";
import type { Node } from "../model/resources.ts";
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

export class Parties {
  readonly #byAddress = new Map<string, Party>();
  readonly #byInterface = new Map<string, Endpoint>();
  readonly #links = new Map<string, LocalLink>();

  constructor({ endpoints, nodes, own, host }: PartySource) {
    for (const address of own) this.#byAddress.set(address, { kind: "host", address, host });
    for (const node of nodes)
      for (const address of nodeAddresses(node))
        this.#byAddress.set(address, { kind: "host", address, host: node.metadata.name });
    for (const endpoint of endpoints) {
      for (const address of endpoint.addresses) this.#byAddress.set(address, partyOf(endpoint, address));
      if (endpoint.local === undefined) continue;
      const { interface: name, mac } = endpoint.local;
      this.#byInterface.set(name, endpoint);
      for (const address of endpoint.addresses) this.#links.set(address, { interface: name, mac });
    }
  }

  /** True for an address of a container. */
  isEndpoint(address: string): boolean {
    return this.#byAddress.get(address)?.kind === "endpoint";
  }

  of(address: string): Party {
    return this.#byAddress.get(address) ?? { kind: "outside", address };
  }

  /** Whose packet it is that came in by the interface, whatever source it claims. */
  sender(address: string, interfaceName: string | undefined): Party {
    const endpoint = interfaceName === undefined ? undefined : this.#byInterface.get(interfaceName);
    return endpoint === undefined ? this.of(address) : partyOf(endpoint, address);
  }

  /** Where packets of a local container come in. */
  linkOf(address: string): LocalLink | undefined {
    return this.#links.get(address);
  }
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
