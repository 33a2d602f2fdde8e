/** One session as a `protocol bgp` of BIRD's. */
import type { Family } from "../net/address.ts";
import { symbol } from "./names.ts";
import type { BgpState, Session } from "./state.ts";

/** Seconds. The hold time that RFC 4271 suggests; BIRD's own is 240. */
const HOLD_TIME = 90;
/** Longer than any restart of ours; RFC 4724 has room for 4095. */
const RESTART_TIME = 120;

/** Nothing where the password is not to be had: a session must not come up without it. */
export function renderSession(session: Session, state: BgpState, secrets: ReadonlyMap<string, string>): string[][] {
  const password = session.password === undefined ? undefined : secrets.get(secretKey(session.password));
  if (session.password !== undefined && password === undefined && !session.password.optional) return [];
  return [
    [
      `protocol bgp ${symbol(session.name)} {`,
      `  local ${local(session)}as ${session.localAs};`,
      ...(session.bindNode ? ["  strict bind on;"] : []),
      ...neighbor(session),
      ...distance(session),
      ...(session.passive ? ["  passive on;"] : []),
      ...(password === undefined ? [] : [`  password "${checkedPassword(password)}";`]),
      ...timers(session),
      ...restart(session),
      ...(session.allowLocalAs === undefined ? [] : [`  allow local as ${session.allowLocalAs};`]),
      ...(session.reflectorClient ? ["  rr client;"] : []),
      ...(state.clusterId === undefined ? [] : [`  rr cluster id ${state.clusterId};`]),
      ...(state.debug ? ["  debug all;"] : ["  debug { states };"]),
      ...session.families.flatMap((family) => channel(session, state, family)),
      "}",
    ],
    ...gateway(session),
  ];
}

export function secretKey({ name, key }: { readonly name: string; readonly key: string }): string {
  return `${name}/${key}`;
}

function local(session: Session): string {
  const source = session.source === undefined ? "" : `${session.source} `;
  return session.localPort === 179 ? source : `${source}port ${session.localPort} `;
}

function neighbor(session: Session): string[] {
  const { remote, peerAs, remotePort } = session;
  const as = peerAs === "external" ? "external" : `as ${peerAs}`;
  if (remote.kind === "range")
    return [`  neighbor range ${remote.cidr} ${as};`, `  dynamic name "${session.name}-";`, "  dynamic name digits 4;"];
  const port = remotePort === 179 ? "" : ` port ${remotePort}`;
  return [
    `  neighbor ${remote.address}${port} ${as};`,
    ...(remote.interface === undefined ? [] : [`  interface "${remote.interface}";`]),
  ];
}

function distance({ distance: away, ttlSecurity }: Session): string[] {
  const hops = ttlSecurity === undefined ? "" : ` ${ttlSecurity}`;
  return [
    away === "direct" ? "  direct;" : `  multihop${hops};`,
    ...(ttlSecurity === undefined ? [] : ["  ttl security on;"]),
  ];
}

function timers({ keepalive, bfd }: Session): string[] {
  return [
    ...(keepalive === undefined
      ? [`  hold time ${HOLD_TIME};`]
      : [`  hold time ${Math.min(65_535, Math.max(3, 3 * keepalive))};`, `  keepalive time ${keepalive};`]),
    "  connect delay time 1;",
    "  connect retry time 5;",
    "  error wait time 1, 30;",
    "  error forget time 60;",
    ...(bfd === undefined
      ? []
      : [`  bfd { interval ${bfd.intervalMs} ms; multiplier ${bfd.multiplier}; };`, "  bfd graceful;"]),
  ];
}

/**
 * BFD cannot tell a cut wire from a BIRD that died: both are silence. So with BFD the routes are kept as a last resort (RFC 9494, the
 * restart time itself being nothing): any other path wins at once, and where there is no other, nothing is withdrawn.
 */
function restart({ bfd, restartTime }: Session): string[] {
  if (bfd === undefined) return ["  graceful restart on;", `  graceful restart time ${restartTime ?? RESTART_TIME};`];
  return [
    "  graceful restart on;",
    "  graceful restart time 0;",
    "  long lived graceful restart on;",
    `  long lived stale time ${restartTime ?? RESTART_TIME};`,
  ];
}

function channel(session: Session, state: BgpState, family: Family): string[] {
  const overOther = carrier(session) !== family;
  const own = state.addresses[family];
  return [
    `  ipv${family} {`,
    ...(family === 4 && overOther ? ["    extended next hop on;"] : []),
    ...(family === 6 && overOther && own !== undefined ? [`    next hop address ${own};`] : []),
    ...(session.nextHop === "auto" ? [] : [`    next hop ${session.nextHop};`]),
    // A link-local next hop means nothing but on its link.
    `    gateway ${isLinkLocal(session) ? "direct" : "recursive"};`,
    "    add paths on;",
    "    import keep filtered on;", // so that what filters refuse can be shown
    "    import filter {",
    ...importFilter(session, state, family).map((line) => `      ${line}`),
    "    };",
    "    export filter {",
    ...exportFilter(session, state, family).map((line) => `      ${line}`),
    "    };",
    "  };",
  ];
}

/** Family of the addresses that the session itself runs between. */
function carrier({ remote }: Session): Family {
  return (remote.kind === "address" ? remote.address : remote.cidr).includes(":") ? 6 : 4;
}

function isLinkLocal({ remote }: Session): boolean {
  return remote.kind === "address" && remote.interface !== undefined && /^fe[89ab]/i.test(remote.address);
}

function importFilter(session: Session, state: BgpState, family: Family): string[] {
  const guard = `if manx_is_hijack${family}() then reject;`;
  if (session.kind === "mesh") return [guard, `if manx_is_pool${family}() then accept;`, "reject;"];
  const calls = filterCalls(session, state, family, "import");
  return [guard, ...(calls.length === 0 ? [] : [`manx_priority${family}();`]), ...calls, "accept;"];
}

function exportFilter(session: Session, state: BgpState, family: Family): string[] {
  const ours = `manx_is_ours${family}()`;
  const passesOn = state.clusterId !== undefined || session.transit;
  const calls = filterCalls(session, state, family, "export");
  return [
    passesOn
      ? `if !(${ours} || source = RTS_BGP) || net.len = 0 then reject;`
      : `if !${ours} || net.len = 0 then reject;`,
    ...(calls.length === 0 ? [] : [`manx_priority${family}();`]),
    ...calls,
    `manx_announce${family}();`,
  ];
}

function filterCalls(session: Session, state: BgpState, family: Family, direction: "import" | "export"): string[] {
  const isInternal = session.peerAs === session.localAs;
  return session.filters.flatMap((name) =>
    state.filters
      .filter((one) => one.filter === name && one.family === family && one.direction === direction)
      .map((one) => `${symbol(one.symbol)}(${isInternal});`),
  );
}

/** The way to a peer that no connected network leads to. */
function gateway({ reachableBy, remote, name }: Session): string[][] {
  if (reachableBy === undefined || remote.kind !== "address") return [];
  const family = remote.address.includes(":") ? 6 : 4;
  return [
    [
      `protocol static ${symbol(`way-${name}`)} {`,
      `  ipv${family};`,
      `  route ${remote.address}/${family === 4 ? 32 : 128} via ${reachableBy};`,
      "}",
    ],
  ];
}

/** RFC 2385 leaves the length open, Linux takes 80 bytes (TCP_MD5SIG_MAXKEYLEN), BIRD's strings have no escapes. */
export function whyNotPassword(password: string): string | undefined {
  if (password === "") return "it is empty";
  if (new TextEncoder().encode(password).length > 80) return "it is longer than 80 bytes";
  return /["\p{Cc}]/u.test(password) ? "it has a quotation mark or a control character in it" : undefined;
}

function checkedPassword(password: string): string {
  const why = whyNotPassword(password);
  if (why !== undefined) throw new RangeError(`A password cannot be used: ${why}`);
  return password;
}
