/** The demonstration at the end of ./quickstart: stock Docker commands, then who reaches whom, measured with real packets. */
import { DriverError } from "../drivers/error.ts";
import { mustRun, run } from "../drivers/exec.ts";
import { BOX_IMAGE, hasImage, importBox } from "./box-image.ts";
import type { Screen } from "./screen.ts";

const NETWORKS = ["manx-demo-red", "manx-demo-blue"] as const;

interface Container {
  readonly name: string;
  readonly network: (typeof NETWORKS)[number];
  readonly published: boolean;
}

const CONTAINERS: readonly Container[] = [
  { name: "manx-demo-red1", network: "manx-demo-red", published: false },
  { name: "manx-demo-red2", network: "manx-demo-red", published: false },
  { name: "manx-demo-blue1", network: "manx-demo-blue", published: false },
  { name: "manx-demo-blue2", network: "manx-demo-blue", published: true },
];

interface Addressed extends Container {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** One packet's way: from a container or "this host" to a container, by one protocol version. */
export interface Probe {
  readonly from: string;
  readonly to: string;
  readonly version: 4 | 6;
  readonly expected: boolean;
  readonly reached: boolean;
}

const HOST = "this host";

/** The user has typed ^C. */
export class Interrupted extends Error {
  constructor() {
    super("Interrupted.");
  }
}

/**
 * Returns whether everything was reached that should be, and nothing else. Leaves no container and no network.
 * @throws Interrupted
 */
export async function demonstrate(screen: Screen): Promise<boolean> {
  screen.heading("What it does");
  await removeDemo();
  const stop = new AbortController();
  const interrupt = (): void => stop.abort(new Interrupted());
  process.once("SIGINT", interrupt); // a second one ends the removal as well
  try {
    if (!(await hasImage(["docker"], BOX_IMAGE))) {
      await screen.step(`Make the image ${BOX_IMAGE} from busybox, as no registry is needed for this`, () =>
        importBox(["docker"]),
      );
    }
    await start(screen, stop.signal);
    const containers = await addresses();
    const probes = await measure(containers);
    stop.signal.throwIfAborted();
    show(screen, containers, probes);
    return probes.every(({ expected, reached }) => expected === reached);
  } catch (error) {
    throw stop.signal.aborted ? stop.signal.reason : error; // ^C ends the commands under way as well
  } finally {
    await removeDemo();
    process.off("SIGINT", interrupt);
    screen.line("\nThe demonstration's containers and networks are removed again.");
  }
}

async function start(screen: Screen, signal: AbortSignal): Promise<void> {
  const docker = async (...args: readonly string[]): Promise<void> => {
    signal.throwIfAborted();
    screen.line(`  docker ${args.join(" ")}`);
    await mustRun(["docker", ...args], { timeoutMs: 180_000 });
  };
  for (const network of NETWORKS) {
    await docker("network", "create", "--ipv6", "-d", "manx", "--ipam-driver", "manx", network);
  }
  for (const { name, network, published } of CONTAINERS) {
    const publish = published ? ["-p", "80"] : [];
    const server = ["httpd", "-f", "-p", "80", "-h", "/var/www"];
    await docker("run", "-d", "--name", name, "--network", network, ...publish, BOX_IMAGE, ...server);
  }
}

async function addresses(): Promise<Addressed[]> {
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}}{{end}}";
  return Promise.all(
    CONTAINERS.map(async (container) => {
      const text = await mustRun(["docker", "inspect", "--format", format, container.name]);
      const [ipv4 = "", ipv6 = ""] = text.trim().split(" ");
      if (ipv4 === "" || ipv6 === "") {
        throw new DriverError("failed", `Cannot measure: "${container.name}" has no address in both families`);
      }
      return { ...container, ipv4, ipv6 };
    }),
  );
}

/** One TCP connection each, all at the same time. */
async function measure(containers: readonly Addressed[]): Promise<Probe[]> {
  const sources = [...containers, undefined];
  const probes = sources.flatMap((from) =>
    containers
      .filter((to) => to.name !== from?.name)
      .flatMap((to) => ([4, 6] as const).map((version) => probe(from, to, version))),
  );
  return Promise.all(probes);
}

async function probe(from: Addressed | undefined, to: Addressed, version: 4 | 6): Promise<Probe> {
  // Not wget: with a time limit Debian's static busybox crashes in it.
  const ask = ["nc", "-w", "2", version === 4 ? to.ipv4 : to.ipv6, "80"];
  const argv = from === undefined ? ["busybox", ...ask] : ["docker", "exec", "-i", from.name, ...ask];
  const { code, stdout } = await run(argv, { input: "GET / HTTP/1.0\r\n\r\n", timeoutMs: 30_000 });
  return {
    from: from?.name ?? HOST,
    to: to.name,
    version,
    expected: from === undefined || from.network === to.network || to.published,
    reached: code === 0 && stdout.includes("It works."),
  };
}

function show(screen: Screen, containers: readonly Addressed[], probes: readonly Probe[]): void {
  screen.heading("Who reaches port 80 of whom (measured: one TCP connection each)");
  for (const row of reachabilityTable(probes)) screen.line(`  ${row}`);
  screen.line();
  for (const { name, ipv4, ipv6, published } of containers) {
    screen.line(
      `  ${short(name).padEnd(6)} ${ipv4.padEnd(15)} ${ipv6}${published ? "   (docker run -p 80: open to all)" : ""}`,
    );
  }
  const wrong = probes.filter(({ expected, reached }) => expected !== reached);
  for (const { from, to, version, expected } of wrong) {
    screen.line(`  WRONG: ${short(from)} to ${short(to)} by IPv${version} should ${expected ? "" : "not "}pass`);
  }
}

const short = (name: string): string => name.replace("manx-demo-", "");

/** Lines of the table: a row a source, a column a target. */
export function reachabilityTable(probes: readonly Probe[]): string[] {
  const sources = [...new Set(probes.map(({ from }) => from))];
  const reached = new Set(probes.map(({ to }) => to));
  const targets = [
    ...sources.filter((name) => reached.has(name)),
    ...[...reached].filter((name) => !sources.includes(name)),
  ];
  const cell = (from: string, to: string): string => {
    const here = probes.filter((probe) => probe.from === from && probe.to === to);
    if (here.length === 0) return "-";
    const versions = here.filter((probe) => probe.reached).map(({ version }) => `IPv${version}`);
    return versions.length === 0 ? "no" : versions.join(" ");
  };
  const rows = [
    ["from", ...targets.map((to) => `to ${short(to)}`)],
    ...sources.map((from) => [short(from), ...targets.map((to) => cell(from, to))]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join("   ")
      .trimEnd(),
  );
}

/** Also what a demonstration that was cut short left. */
async function removeDemo(): Promise<void> {
  const names = CONTAINERS.map(({ name }) => name);
  await run(["docker", "rm", "-f", ...names], { timeoutMs: 120_000 });
  for (const network of NETWORKS) await run(["docker", "network", "rm", network], { timeoutMs: 60_000 });
}
