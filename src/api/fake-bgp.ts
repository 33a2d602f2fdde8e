/** BGP of the fake agent: one session that is up, one that is not. */
import type { BgpAgentView } from "./agent.ts";
import { ApiError } from "./error.ts";
import type { BgpOtherSide, BgpReset, BgpRouteQuery, BgpView } from "./schema/bgp.ts";

const SESSION = { kind: "global", localAs: 64512, password: false } as const;

export class FakeBgp implements BgpAgentView {
  view: BgpView = {
    mode: "own",
    running: true,
    asNumber: 64512,
    routerId: "192.168.7.10",
    announced: ["10.65.0.0/26", "fd65::/122"],
    problems: [],
    sessions: [
      {
        ...SESSION,
        name: "peer-192.168.1.1",
        peer: "192.168.1.1",
        resource: "peer-192-168-1-1",
        peerAs: 65001,
        health: "up",
        state: "Established",
        text: "Established since 2026-11-23 10:00:00",
        families: [{ family: 4, up: true, accepted: 3, refused: 1, announced: 1 }],
        bfd: "200ms x 3",
      },
      {
        ...SESSION,
        name: "peer-192.168.1.2",
        peer: "192.168.1.2",
        resource: "peer-192-168-1-2",
        peerAs: 65002,
        health: "down",
        state: "Active",
        text: "Active: connection refused, nothing listens on port 179 of 192.168.1.2",
        families: [{ family: 4, up: false, accepted: 0, refused: 0, announced: 0 }],
      },
    ],
  };
  readonly resets: BgpReset[] = [];

  status({ probe }: { readonly probe: boolean }) {
    const found = "192.168.1.2 answers pings, its port 179 is closed";
    const sessions = this.view.sessions.map((one) => (probe && one.health === "down" ? { ...one, probe: found } : one));
    return Promise.resolve({ ...this.view, sessions });
  }

  routes({ session, direction }: BgpRouteQuery) {
    if (session !== undefined && !session.includes("192.168.1.")) throw notFound(session);
    const routes = [
      { prefix: "10.99.0.0/16", direction: "received", nextHops: ["via 192.168.1.1 on eth0"], asPath: "65001 65010" },
      { prefix: "10.65.0.0/26", direction: "announced", nextHops: [], asPath: "" },
      { prefix: "10.65.0.5/32", direction: "refused", nextHops: ["via 192.168.1.1 on eth0"], asPath: "65001" },
    ] as const;
    const whole = routes.map((one) => ({ ...one, session: "peer-192.168.1.1", best: true, communities: ["65000:1"] }));
    return Promise.resolve({
      routes: whole.filter((one) => direction === undefined || one.direction === direction),
      truncated: false,
    });
  }

  diff() {
    return Promise.resolve(
      this.view.sessions
        .filter(({ health }) => health === "down")
        .map(({ name, text }) => ({ subject: name, difference: text })),
    );
  }

  reset(request: BgpReset) {
    const names = this.view.sessions
      .filter(({ name, peer }) => request.session === undefined || [name, peer].includes(request.session))
      .map(({ name }) => name);
    if (names.length === 0) throw notFound(request.session ?? "");
    this.resets.push(request);
    return Promise.resolve({ reset: names });
  }

  otherSide(peer: string): Promise<BgpOtherSide> {
    const found = this.view.sessions.find((one) => one.resource === peer || one.peer === peer);
    if (found === undefined) throw notFound(peer);
    return Promise.resolve({
      resource: found.resource ?? "",
      asNumber: Number(found.peerAs),
      address: found.peer,
      port: 179,
      multihop: false,
      families: [4],
      pools: ["10.65.0.0/16"],
      neighbors: [{ name: "h1", address: "192.168.7.10", asNumber: 64512, port: 179, passive: false }],
    });
  }
}

function notFound(what: string): ApiError {
  return new ApiError("not-found", `Cannot find the session "${what}"`, {
    remedy: "manx bgp status shows those there are.",
  });
}
