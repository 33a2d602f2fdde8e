/** One rule of a policy or profile: what it matches, and what then happens. */
import { z } from "zod";
import {
  anySelector,
  maskedCidr,
  namespaceSelector,
  PROTOCOLS,
  port,
  protocol,
  selector,
  wholeNumber,
} from "./fields.ts";

const list = <T extends z.ZodType>(item: T, description: string) => z.array(item).exactOptional().meta({ description });

const EntityRule = z.strictObject({
  nets: list(maskedCidr, "CIDRs, one of which holds the address"),
  notNets: list(maskedCidr, "CIDRs, none of which may hold the address"),
  selector: selector
    .exactOptional()
    .meta({ description: "Labels of the endpoint or network set that has the address" }),
  notSelector: anySelector
    .exactOptional()
    .meta({ description: "No endpoint or network set with these labels may have the address" }),
  namespaceSelector: namespaceSelector.exactOptional().meta({
    description: "Labels of the endpoint's namespace (its compose project); global() stands for what has no namespace",
  }),
  ports: list(port, 'Ports, one of which it must be: 80, "8000:8100", or the name of a port of the endpoint'),
  notPorts: list(port, "Ports, none of which it may be"),
});

const IcmpMatch = z.strictObject({
  type: wholeNumber(0, 254).exactOptional().meta({ description: "ICMP type, 8 is an echo request (for ICMPv6: 128)" }),
  code: wholeNumber(0, 255).exactOptional().meta({ description: "ICMP code; needs a type" }),
});

const Rule = z.strictObject({
  action: z.enum(["Allow", "Deny", "Log", "Pass"]).meta({
    description:
      "Allow and Deny decide; Log writes a line and goes on with the next rule; Pass goes on with the next tier",
  }),
  ipVersion: z
    .union([z.literal(4), z.literal(6)])
    .exactOptional()
    .meta({ description: "Only packets of this IP version" }),
  protocol: protocol
    .exactOptional()
    .meta({ description: `Its protocol, by name (${PROTOCOLS.join(", ")}) or number; ports need one` }),
  notProtocol: protocol.exactOptional().meta({ description: "Any protocol but this" }),
  icmp: IcmpMatch.exactOptional().meta({ description: "Type and code, with protocol ICMP or ICMPv6" }),
  notICMP: IcmpMatch.exactOptional().meta({ description: "Any type and code but these" }),
  source: EntityRule.exactOptional().meta({ description: "Where the packet comes from" }),
  destination: EntityRule.exactOptional().meta({ description: "Where the packet goes" }),
  metadata: z
    .strictObject({ annotations: z.record(z.string(), z.string()).exactOptional().meta({ description: "Free text" }) })
    .exactOptional()
    .meta({ description: "Notes about the rule; they decide nothing" }),
});

export const rules = (description: string) => z.array(Rule).exactOptional().meta({ description });
