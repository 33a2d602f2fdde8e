/**
 * BgpState -> BIRD 2's configuration (BIRD User's Guide 2.0, chapters 3 to 6), as text.
 *
 * BIRD's tables hold three kinds of routes: those of the connected networks and of the host's kernel table (to find next hops by),
 * our blocks and borrowed addresses (kernel routes with our rtproto), and what peers announce. Each export filter begins with what
 * may never leave, each import filter with what may never come in; only then the user's filters have their say.
 */
import { FAMILIES, type Family } from "../net/address.ts";
import { type Cidr, formatCidr } from "../net/cidr.ts";
import { addCommunityStatement, interfacePattern, MAX_PRIORITY, renderProgram } from "./filter-rules.ts";
import { renderSession } from "./render-session.ts";
import type { BgpState, RouteSets } from "./state.ts";

export interface RenderOptions {
  /** File that BIRD logs to; it keeps one more of that size beside it. */
  readonly logFile: string;
  /** Passwords by `NAME/KEY`; a session whose password is not here is left out. */
  readonly secrets: ReadonlyMap<string, string>;
  /** Our rtproto (linux/rtnetlink.h: a number that nobody else uses). */
  readonly routeProtocol: number;
  /** Leave routes in the kernel when BIRD ends. */
  readonly persist: boolean;
  /** `whole`: all of a BIRD of ours. `snippet`: what a BIRD that is already there can include. */
  readonly form?: "whole" | "snippet";
}

/** Priority of routes that say nothing of it, as Calico has it. */
const NORMAL_PRIORITY = 1024;
/**
 * Kernel metric of learned routes: one more than what the kernel gives to IPv6 routes without a metric, so that a route of a peer
 * neither displaces the host's own nor becomes one of its next hops.
 */
const NORMAL_METRIC = NORMAL_PRIORITY + 1;
/** LOCAL_PREF above this is a priority in Calico's way of writing. */
const PRIORITY_FLOOR = MAX_PRIORITY >> 1;
/** Bytes. Enough for a burst of 100,000 routes; what does not fit is lost until the next scan. */
const NETLINK_BUFFER = 268_435_456;
/** Seconds between two looks at all of the kernel's routes: 100,000 take BIRD a tenth of a second. */
const SCAN_TIME = 20;
/** Metric of a route to a service address that is not to be announced (drivers/netlink/service-target.ts). */
const SILENT_METRIC = 512;
/** More than that of any protocol of BIRD's: else the route of another host would hide our own. */
const SERVICE_PREFERENCE = 300;
const ECMP_LIMIT = 16;

/** Never a route of a peer's: this network, loopback, link-local, multicast and above (RFC 6890). */
const MARTIANS: Readonly<Record<Family, readonly string[]>> = {
  4: ["0.0.0.0/8{8,32}", "127.0.0.0/8+", "169.254.0.0/16+", "224.0.0.0/3+"],
  6: ["::/8{8,128}", "fe80::/10+", "ff00::/8+"],
};

export function renderBird(state: BgpState, options: RenderOptions): string {
  const parts = [
    ["# Written by Manx, and written again when something changes: changes made here are lost."],
    ...(options.form === "snippet" ? [] : [preamble(state, options)]),
    ...FAMILIES.map((family) => functions(state, family, options)),
    ...(options.form === "snippet" ? [] : FAMILIES.map((family) => kernel(state, family, options))),
    ...bfd(state),
    ...state.filters.map(renderProgram),
    ...state.sessions.flatMap((session) => renderSession(session, state, options.secrets)),
  ];
  return `${parts.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

function preamble(state: BgpState, { logFile }: RenderOptions): string[] {
  return [
    `log ${text(logFile)} 1048576 ${text(`${logFile}.1`)} { ${state.debug ? "trace, debug, " : ""}info, remote, warning, error, auth, fatal, bug };`,
    `router id ${state.routerId};`,
    "timeformat protocol iso long;",
    "# A restart waits so long at most for peers that do not come back.",
    "graceful restart wait 20;",
    "",
    "protocol device { scan time 10; }",
    "protocol direct manx_direct {",
    "  ipv4;",
    "  ipv6;",
    `  interface ${[...state.ignoredInterfaces.map((pattern) => `-${text(interfacePattern(pattern))}`), '-"manx*"', '"*"'].join(", ")};`,
    "}",
  ];
}

/** What the filters of all sessions of a family call. */
function functions({ routes, clusterId }: BgpState, family: Family, { routeProtocol }: RenderOptions): string[] {
  const of = (cidrs: readonly Cidr[]): readonly Cidr[] => cidrs.filter((one) => one.family === family);
  const pools = of(routes.pools);
  return [
    "# A block of this host, an address that another host has lent it, or a service address with a healthy container here.",
    `function manx_is_ours${family}() {`,
    // A BIRD of the host's own may have learned what ours does not.
    ...inSet(
      of(routes.services),
      "",
      `if defined(krt_metric) then if krt_metric = ${SILENT_METRIC} then return false;`,
    ),
    `  if defined(krt_source) then return krt_source = ${routeProtocol};`,
    "  return false;",
    "}",
    "",
    `function manx_is_pool${family}() {`,
    ...inSet(pools, "+", "return true;"),
    "  return false;",
    "}",
    "",
    "# What a peer announces of what belongs to this host.",
    `function manx_is_hijack${family}() {`,
    ...inSet(of(routes.lent), "", "return false;"),
    ...inSet([...of(routes.own), ...of(routes.borrowed)], "+", "return true;"),
    `  if manx_is_pool${family}() then return false;`,
    ...inSet(of(routes.connected), "+", "return true;"),
    `  return net ~ [ ${MARTIANS[family].join(", ")} ];`,
    "}",
    "",
    "# What is left to decide of a route on its way out when no filter has decided.",
    `function manx_announce${family}() {`,
    ...inSet(of(routes.unexported), "+", "reject;"),
    ...communities(routes, family),
    `  if manx_is_ours${family}() then accept;`,
    ...(clusterId === undefined ? [] : [`  if source = RTS_BGP && manx_is_pool${family}() then accept;`]),
    "  reject;",
    "}",
    "",
    `function manx_priority${family}() {`,
    `  krt_metric = ${NORMAL_PRIORITY};`,
    `  if defined(bgp_local_pref) then if bgp_local_pref > ${PRIORITY_FLOOR} then krt_metric = ${MAX_PRIORITY} - bgp_local_pref;`,
    "}",
  ];
}

/** `[]` is no set to BIRD. */
function inSet(cidrs: readonly Cidr[], suffix: "" | "+", then: string): string[] {
  if (cidrs.length === 0) return [];
  return [`  if net ~ [ ${cidrs.map((one) => formatCidr(one) + suffix).join(", ")} ] then ${then}`];
}

function communities(routes: RouteSets, family: Family): string[] {
  return routes.communities
    .filter((one) => one.cidr.family === family)
    .map(
      (one) => `  if net ~ ${formatCidr(one.cidr)} then { ${one.communities.map(addCommunityStatement).join(" ")} }`,
    );
}

function kernel({ routes, addresses }: BgpState, family: Family, options: RenderOptions): string[] {
  const of = (cidrs: readonly Cidr[]): string[] => cidrs.filter((one) => one.family === family).map(formatCidr);
  const services = of(routes.services);
  const single = [...of(routes.borrowed), ...services];
  const source = addresses[family];
  const isSingle = single.length === 0 ? "" : ` && !(net ~ [ ${single.join(", ")} ])`;
  return [
    `filter manx_learn${family} {`,
    "  # The routes to single containers stay out: their block stands for them.",
    `  if krt_source = ${options.routeProtocol} && dest != RTD_BLACKHOLE${isSingle} then reject;`,
    ...(services.length === 0
      ? []
      : [
          "  # A service address: to healthy containers of this host, better than what others announce.",
          `  if krt_source = ${options.routeProtocol} && net ~ [ ${services.join(", ")} ] then {`,
          `    if krt_metric = ${SILENT_METRIC} then reject; # they are about to end`,
          `    preference = ${SERVICE_PREFERENCE};`,
          "  }",
        ]),
    "  accept;",
    "}",
    "",
    `filter manx_program${family} {`,
    "  if source = RTS_STATIC then accept; # the way to a peer",
    "  if source != RTS_BGP then reject;",
    ...(source === undefined ? [] : [`  krt_prefsrc = ${source};`]),
    `  if !defined(krt_metric) then manx_priority${family}();`,
    `  if krt_metric = ${NORMAL_PRIORITY} then krt_metric = ${NORMAL_METRIC};`,
    "  accept;",
    "}",
    "",
    `protocol kernel manx_kernel${family} {`,
    "  learn;",
    ...(options.persist ? ["  persist;"] : []),
    `  scan time ${SCAN_TIME};`,
    `  netlink rx buffer ${NETLINK_BUFFER};`,
    "  metric 0;",
    "  graceful restart;",
    `  merge paths on limit ${ECMP_LIMIT};`,
    `  ipv${family} { import filter manx_learn${family}; export filter manx_program${family}; };`,
    "}",
  ];
}

function bfd({ sessions }: BgpState): string[][] {
  if (sessions.every((session) => session.bfd === undefined)) return [];
  return [['protocol bfd manx_bfd { accept; interface -"manx*", "*" {}; }']];
}

/** @throws RangeError for what BIRD cannot write in a string: it knows no escapes */
export function text(value: string): string {
  if (/["\n\r\0]/.test(value)) throw new RangeError("BIRD cannot write a text with quotes or line ends");
  return `"${value}"`;
}
