/**
 * Rows of the table of policy cases: named ports, as Calico's own test of them asks (felix/fv/named_ports_test.go): listed and excluded, at
 * the receiver and at the sender, beside none and beside sixteen numbers, with selectors and nets; each for destination and source ports.
 */
import type { EntityRule, NetworkPolicy, PolicyRule } from "../../src/core/model/resources.ts";
import { np, type Row } from "./cases.ts";

/** `web` is what the rules are about; `db` and `duo1` speak with it; `other` is of another network, and no selector here means it. */
const WEB = "role == 'web'";
const THREE = "role in {'web', 'db', 'duo'}";
const NETS = { web: "10.65.0.1/32", db: "10.65.0.2/32", duo1: "10.65.0.10/32", other: "10.65.0.3/32" };

type Side = "destination" | "source";
/** Flows as `db web 1100 allow`: towards the port, or back from it where source ports are asked about. */
const lines = (side: Side, flows: readonly string[]): string[] =>
  flows.map((flow) => {
    const [from = "", to = "", port = "", fate = ""] = flow.split(" ");
    return side === "destination" ? `${from} ${to} tcp ${port} ${fate}` : `${to} ${from} tcp ${port}>10000 ${fate}`;
  });

const allow = (side: Side, entity: EntityRule, opposite: EntityRule = {}): PolicyRule => ({
  action: "Allow",
  protocol: "TCP",
  [side]: entity,
  [side === "source" ? "destination" : "source"]: opposite,
});

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => 3000 + i);

/** The rule at `web`, which has the port, or at all others; `side` turns the direction round. */
function shared(side: Side, at: "web" | "others", not: boolean, count: number, selector?: string): Row {
  const ports = ["shared", ...numbers(count)];
  const rule = allow(side, {
    ...(not ? { notPorts: ports } : { ports }),
    ...(selector === undefined ? {} : { selector }),
  });
  const inward = (side === "destination") === (at === "web");
  const policy = np("p", "default", {
    selector: at === "web" ? WEB : `!(${WEB})`,
    ...(inward ? { ingress: [rule] } : { egress: [rule] }),
  });
  const [listed, unlisted] = not ? ["deny", "allow"] : ["allow", "deny"];
  const flows = [
    `db web 1100 ${listed}`,
    `duo1 web 1100 ${listed}`,
    `db web 1000 ${unlisted}`,
    `duo1 web 4000 ${unlisted}`,
    `db web 3000 ${count > 0 ? listed : unlisted}`,
    "web db 1100 allow",
    "web duo1 1001 allow",
  ];
  const between =
    at === "web"
      ? ["db duo1 1002 allow", "duo1 db 1100 allow"]
      : selector === undefined
        ? [`db duo1 1100 ${listed}`, `db duo1 1002 ${unlisted}`]
        : ["db duo1 1100 deny", "duo1 db 1001 deny"];
  const what = `a named ${side} port${count > 0 ? " and sixteen numbers" : ""} ${not ? "in notPorts" : "in ports"}`;
  const where = `${at === "web" ? "where the port is" : "at those that reach it"}${selector === undefined ? "" : ", by selector"}`;
  return [`${what}, ${where}`, { policies: [policy] }, lines(side, [...flows, ...between])];
}

const SIDES = ["destination", "source"] as const;

const SHARED = SIDES.flatMap((side) => [
  ...[0, 16].flatMap((count) =>
    [false, true].flatMap((not) => [shared(side, "web", not, count), shared(side, "others", not, count)]),
  ),
  ...[0, 16].flatMap((count) => [false, true].map((not) => shared(side, "others", not, count, WEB))),
]);

const LISTED: EntityRule = { ports: ["shared", "web-port", "db-port", 4000], selector: THREE };
/** What is the same in all that follows where nothing is taken away. */
const BASE = [
  "web db 1100 allow",
  "db web 1100 allow",
  "other db 1100 allow",
  "other web 1100 allow",
  "other duo1 1100 allow",
  "db other 1100 deny",
  "duo1 other 1100 deny",
  "other web 1000 allow",
  "other db 1001 allow",
  "other duo1 1002 deny",
  "duo1 web 4000 allow",
  "other web 4000 allow",
  "duo1 web 3000 deny",
];

/** The policy is at the receiver of each packet: `ingress` of all, also where it is about source ports. */
function combined(
  side: Side,
  sentence: string,
  entity: EntityRule,
  opposite: EntityRule,
  changed: Readonly<Record<string, "allow" | "deny">>,
): Row {
  const policy: NetworkPolicy = np("p", "default", { selector: "all()", ingress: [allow(side, entity, opposite)] });
  const flows = BASE.map((flow) => {
    const pair = flow.replace(/ (allow|deny)$/, "");
    return changed[pair] === undefined ? flow : `${pair} ${changed[pair]}`;
  });
  // Nets are of one IP version, and so is the rule then.
  const one = [entity, opposite].some(({ nets, notNets }) => nets !== undefined || notNets !== undefined);
  const told = lines(side, flows);
  return [
    `named ${side} ports with ${sentence}`,
    { policies: [policy] },
    one ? told.map((line) => line.replace(/ allow$/, " allow/deny")) : told,
  ];
}

/** Only `web` and `db` may begin. */
const WITHOUT = {
  "other db 1100": "deny",
  "other web 1100": "deny",
  "other duo1 1100": "deny",
  "other web 1000": "deny",
  "other db 1001": "deny",
  "duo1 web 4000": "deny",
  "other web 4000": "deny",
} as const;

const { ports } = LISTED;
const three = [NETS.web, NETS.db, NETS.duo1];
const COMBINED = SIDES.flatMap((side) => [
  combined(side, "a selector", LISTED, {}, {}),
  combined(
    side,
    "a selector and a notSelector",
    { ...LISTED, notSelector: "role == 'duo'" },
    {},
    {
      "other duo1 1100": "deny",
    },
  ),
  combined(
    side,
    "a notSelector alone",
    { ports, notSelector: "role == 'duo'" } as EntityRule,
    {},
    {
      "other duo1 1100": "deny",
      "db other 1100": "allow",
      "duo1 other 1100": "allow",
    },
  ),
  combined(side, "selectors of the other side", LISTED, { selector: THREE, notSelector: "role == 'duo'" }, WITHOUT),
  combined(side, "nets of the other side", LISTED, { nets: [NETS.web, NETS.db] }, WITHOUT),
  combined(side, "notNets of the other side", LISTED, { notNets: [NETS.duo1, NETS.other] }, WITHOUT),
  combined(side, "nets and notNets of the other side", LISTED, { nets: three, notNets: [NETS.duo1] }, WITHOUT),
  combined(side, "nets in place of the selector", { ports, nets: three } as EntityRule, {}, {}),
  combined(
    side,
    "nets and notNets",
    { ports, nets: three, notNets: [NETS.duo1, NETS.other] } as EntityRule,
    {},
    {
      "other duo1 1100": "deny",
    },
  ),
  combined(
    side,
    "notPorts that take away from ports",
    { ...LISTED, notPorts: ["web-port", 1001, 4000] },
    {},
    {
      "other web 1000": "deny",
      "other db 1001": "deny",
      "duo1 web 4000": "deny",
      "other web 4000": "deny",
    },
  ),
]);

export const NAMED_PORT_ROWS: readonly Row[] = [...SHARED, ...COMBINED];
