/** What is looked for, as typed: words, and `network:`, `host:`, `verdict:`, `label:` or `KEY=VALUE` for labels. */
import { computed, signal } from "@preact/signals";
import type { EndpointView, FlowView, PartyView } from "../../api/client.ts";

export const query = signal("");
export const verdicts = signal<ReadonlySet<FlowView["verdict"]>>(new Set());
export const network = signal("");

export interface Filter {
  endpoint(endpoint: EndpointView): boolean;
  flow(flow: FlowView): boolean;
  readonly isEmpty: boolean;
}

export function makeFilter(text: string, net: string, only: ReadonlySet<string>): Filter {
  const tests: ((endpoint: EndpointView) => boolean)[] = [];
  const wanted = new Set(only);
  for (const word of text
    .toLowerCase()
    .split(/\s+/)
    .filter((part) => part !== "")) {
    const [, key = "", rest = ""] = /^(network|host|verdict|label|name):(.*)$/.exec(word) ?? [];
    if (key === "verdict") wanted.add(rest);
    else if (key === "network") tests.push((one) => one.network.toLowerCase().includes(rest));
    else if (key === "host") tests.push((one) => one.host.toLowerCase().includes(rest));
    else if (key === "name") tests.push((one) => one.container.toLowerCase().includes(rest));
    else if (key === "label" || word.includes("=")) tests.push((one) => hasLabel(one, key === "label" ? rest : word));
    else tests.push((one) => mentions(one, word));
  }
  if (net !== "") tests.push((one) => one.network === net);
  return {
    endpoint: (endpoint) => tests.every((test) => test(endpoint)),
    flow: (flow) => wanted.size === 0 || wanted.has(flow.verdict),
    isEmpty: tests.length === 0 && wanted.size === 0,
  };
}

export const filter = computed(() => makeFilter(query.value, network.value, verdicts.value));

function hasLabel({ labels }: EndpointView, text: string): boolean {
  const [key = "", value] = text.split("=");
  return Object.entries(labels).some(
    ([name, is]) =>
      name.toLowerCase().includes(key) && (value === undefined || is.toLowerCase() === value.replaceAll(/["']/g, "")),
  );
}

function mentions(endpoint: EndpointView, word: string): boolean {
  const { container, network: net, host, namespace, ipv4, ipv6, id } = endpoint;
  return [container, net, host, namespace, id, ...ipv4, ...ipv6].some((text) => text.toLowerCase().includes(word));
}

/** For finding the endpoint of a flow's end. */
export function partyId({ network: net = "", container = "", host = "" }: Partial<PartyView>): string {
  return `${net}\n${container}\n${host}`;
}
