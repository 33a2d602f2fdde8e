/** BGP as the API shows it: what BIRD says of the sessions, beside what they should be. */
import type { BgpAgentView } from "../../api/agent.ts";
import { ApiError } from "../../api/error.ts";
import type { BgpDifference, BgpRouteQuery, BgpRouteView, BgpSessionView } from "../../api/schema/bgp.ts";
import { deriveBgp } from "../../core/bgp/derive.ts";
import { secretKey } from "../../core/bgp/render-session.ts";
import type { BgpInput, BgpState, Session } from "../../core/bgp/state.ts";
import { explainSession, type SessionReport } from "../../core/bgp/status.ts";
import { parseAddress } from "../../core/net/address.ts";
import { contains, formatCidr, parseCidr } from "../../core/net/cidr.ts";
import { refusal } from "../../drivers/bird/control.ts";
import { type BirdRoute, parseRoutes } from "../../drivers/bird/routes.ts";
import { DriverError } from "../../drivers/error.ts";
import type { AgentOptions } from "../options.ts";
import type { Bgp } from "./open.ts";
import { probePeer } from "./probe.ts";
import { type BlockElsewhere, unheard } from "./unheard.ts";

/** More than anybody reads; a fabric can have 100,000. */
const MOST_ROUTES = 20_000;

/** `elsewhere`: address blocks of the other hosts that are there now. */
export function bgpView(
  bgp: Bgp | undefined,
  options: AgentOptions,
  elsewhere: () => Promise<readonly BlockElsewhere[]> = () => Promise.resolve([]),
): BgpAgentView {
  if (bgp === undefined) return OFF;
  const { stage, bird, monitor, input } = bgp;
  return {
    status: async ({ probe }, signal) => {
      const state = stage.state ?? deriveBgp(input());
      const reports = await monitor.look();
      const sessions = state.sessions.map((session) => sessionView(session, reports.get(session.name), monitor.around));
      const probed = probe ? await Promise.all(state.sessions.map((session) => probePeer(session, signal))) : [];
      return {
        mode: options.bgp,
        running: bird.running,
        asNumber: state.asNumber,
        routerId: state.routerId,
        ...(state.clusterId === undefined ? {} : { clusterId: state.clusterId }),
        announced: spokenFor(state),
        sessions: sessions.map((view, index) =>
          probed[index] === undefined ? view : { ...view, probe: probed[index] },
        ),
        problems: state.problems.map(({ path, message }) => `${path}: ${message}`),
      };
    },
    routes: async (query) => {
      const state = stage.state ?? deriveBgp(input());
      const all: BgpRouteView[] = [];
      for (const session of chosen(state, query.session)) all.push(...(await routesOf(bgp, session, query)));
      return { routes: all.slice(0, MOST_ROUTES), truncated: all.length > MOST_ROUTES };
    },
    diff: async () => [...(await differences(bgp)), ...(await unheard(bgp.bird, await elsewhere()))],
    reset: async ({ session, hard }) => {
      const names = chosen(stage.state ?? deriveBgp(input()), session).map(({ name }) => name);
      for (const name of names) {
        const refused = refusal(await asked(bird.ask(`${hard === true ? "restart" : "reload"} '${name}'`)));
        if (refused !== undefined)
          throw new ApiError("refused", `Cannot reset the session "${name}": BIRD says ${refused}`);
      }
      return { reset: names };
    },
    otherSide: (name) => Promise.resolve(otherSide(input(), name)),
  };
}

const OFF: BgpAgentView = {
  status: () => Promise.resolve({ mode: "off", running: false, announced: [], sessions: [], problems: [] }),
  routes: () => Promise.resolve({ routes: [], truncated: false }),
  diff: () => Promise.resolve([]),
  reset: () => Promise.resolve({ reset: [] }),
  otherSide: (name) =>
    Promise.reject(new ApiError("refused", `Cannot say what the peer "${name}" needs: BGP is off (MANX_BGP=off)`)),
};

function sessionView(
  session: Session,
  report: SessionReport | undefined,
  around: { readonly md5Failures: boolean },
): BgpSessionView {
  const { health, text } = explainSession(session, report, around);
  const { bfd, remote } = session;
  return {
    name: session.name,
    kind: session.kind,
    peer:
      remote.kind === "range"
        ? remote.cidr
        : remote.address + (remote.interface === undefined ? "" : `%${remote.interface}`),
    ...(session.peerNode === undefined ? {} : { peerNode: session.peerNode }),
    ...(session.resource === undefined ? {} : { resource: session.resource }),
    peerAs: session.peerAs,
    localAs: session.localAs,
    health,
    state: report?.state ?? "Idle",
    text,
    families: session.families.map((family) => {
      const channel = report?.channels.find((one) => one.family === family);
      const { isUp = false, accepted = 0, refused = 0, announced = 0 } = channel ?? {};
      return { family, up: isUp, accepted, refused, announced };
    }),
    ...(bfd === undefined ? {} : { bfd: `${bfd.intervalMs}ms x ${bfd.multiplier}` }),
    password: session.password !== undefined,
  };
}

function spokenFor({ routes }: BgpState): string[] {
  return [...routes.own, ...routes.borrowed].map(formatCidr);
}

/** By the session's name, the peer's address, or the BGPPeer. */
function chosen({ sessions }: BgpState, wanted: string | undefined): readonly Session[] {
  if (wanted === undefined) return sessions;
  const found = sessions.filter(
    ({ name, remote, resource }) =>
      name === wanted || resource === wanted || (remote.kind === "address" && remote.address === wanted),
  );
  if (found.length === 0)
    throw new ApiError("not-found", `Cannot find the session "${wanted}"`, {
      remedy: "manx bgp status shows those there are.",
    });
  return found;
}

async function routesOf({ bird }: Bgp, session: Session, query: BgpRouteQuery): Promise<BgpRouteView[]> {
  const out: BgpRouteView[] = [];
  for (const direction of query.direction === undefined
    ? (["received", "announced", "refused"] as const)
    : [query.direction])
    for (const family of session.families) {
      const of = { received: "protocol", announced: "export", refused: "filtered protocol" }[direction];
      const reply = await asked(bird.ask(`show route table master${family} ${of} '${session.name}' all`));
      out.push(...parseRoutes(reply).map((route) => routeView(route, session.name, direction)));
    }
  return out;
}

function routeView(route: BirdRoute, session: string, direction: BgpRouteView["direction"]): BgpRouteView {
  const { attributes } = route;
  const words = (text: string | undefined): string[] =>
    [...(text ?? "").matchAll(/\(([^)]*)\)/g)].map(([, inside]) => (inside ?? "").replaceAll(/, ?/g, ":"));
  return {
    prefix: route.prefix,
    session,
    direction,
    best: route.isBest,
    nextHops: route.nextHops,
    asPath: attributes["BGP.as_path"] ?? "",
    communities: [...words(attributes["BGP.community"]), ...words(attributes["BGP.large_community"])],
  };
}

/** Between what resources say, what BIRD does, and what it has told each peer. */
async function differences(bgp: Bgp): Promise<BgpDifference[]> {
  const state = deriveBgp(bgp.input());
  const out: BgpDifference[] = state.problems.map(({ path, message }) => ({ subject: path, difference: message }));
  if (state.sessions.length === 0) return out;
  const reports = await bgp.monitor.look();
  for (const name of reports.keys())
    if (
      !state.sessions.some(
        (session) => session.name === name || (session.remote.kind === "range" && name.startsWith(`${session.name}-`)),
      )
    )
      out.push({ subject: name, difference: "BIRD has the session, no resource asks for it" });
  for (const session of state.sessions) {
    const report = reports.get(session.name);
    if (report?.state !== "Established") {
      if (session.remote.kind === "address")
        out.push({ subject: session.name, difference: explainSession(session, report, bgp.monitor.around).text });
      continue;
    }
    const announced = new Set((await routesOf(bgp, session, { direction: "announced" })).map(({ prefix }) => prefix));
    for (const cidr of [...state.routes.own, ...state.routes.borrowed])
      if (session.families.includes(cidr.family) && !announced.has(formatCidr(cidr)))
        out.push({
          subject: `${formatCidr(cidr)} to ${session.name}`,
          difference: "is not announced: a filter or its pool refuses it, or the kernel does not have its route",
        });
  }
  return out;
}

function otherSide(input: BgpInput, name: string) {
  const peer = input.peers.find(({ metadata, spec }) => metadata.name === name || spec.peerIP === name);
  if (peer === undefined)
    throw new ApiError("not-found", `Cannot find the peer "${name}"`, {
      remedy: "manx get bgppeers shows those there are.",
    });
  const found = input.nodes.flatMap((node) => {
    const { sessions } = deriveBgp({ ...input, host: node.metadata.name });
    return sessions
      .filter(({ resource, peerNode }) => resource === peer.metadata.name && peerNode === undefined)
      .map((session) => ({ node: node.metadata.name, session }));
  });
  const first = found[0]?.session;
  if (first === undefined || first.remote.kind === "range" || first.peerAs === "external")
    throw new ApiError(
      "refused",
      `Cannot say what the peer "${name}" needs: it is no single router outside the cluster`,
    );
  const { password, bfd, distance, ttlSecurity } = first;
  return {
    resource: peer.metadata.name,
    asNumber: first.peerAs,
    address: first.remote.address,
    port: first.remotePort,
    ...(password === undefined ? {} : { password: secretKey(password) }),
    multihop: distance !== "direct",
    ...(ttlSecurity === undefined ? {} : { ttlSecurity }),
    ...(bfd === undefined ? {} : { bfd }),
    families: first.families,
    pools: announcedBy(input),
    neighbors: found.map(({ node, session }) => ({
      name: node,
      address: session.source ?? "",
      asNumber: session.localAs,
      port: session.localPort,
      passive: session.passive,
    })),
  };
}

/** Where all that hosts may announce lies: their pools, and service addresses outside of these. */
function announcedBy({ pools, services }: BgpInput): string[] {
  const announced = pools.filter(({ spec }) => spec.disableBGPExport !== true).map(({ spec }) => spec.cidr);
  const all = pools.flatMap(({ spec }) => parseCidr(spec.cidr) ?? []);
  const outside = services.flatMap((text) => {
    const address = parseAddress(text);
    if (address === undefined || all.some((pool) => contains(pool, address))) return [];
    return [formatCidr({ ...address, length: address.family === 4 ? 32 : 128 })];
  });
  return [...announced, ...outside];
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof DriverError && error.code === "unavailable")
      throw new ApiError("unavailable", error.message, { cause: error, remedy: "manx status says why." });
    throw error;
  }
}
