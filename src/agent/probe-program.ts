/**
 * Run by `probe.ts` in the sender's network: `tcp|udp|icmp SOURCE DESTINATION PORT`. Prints `arrived` (answered), `refused`
 * (reached, nothing listens), `silent` (no answer) or `not-sent`.
 */
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { connect } from "node:net";

const WAIT = 1500;
/** connect(2): these say that there is no way, which is no answer of the receiver's. */
const NO_WAY = new Set(["EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM", "ETIMEDOUT"]);
const [, , protocol = "", source = "", destination = "", portText = ""] = process.argv;
const port = Number(portText);

function tell(word: string): never {
  console.log(word);
  process.exit(0);
}

function fail(error: unknown): never {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return tell(code === "ECONNREFUSED" || code === "ECONNRESET" ? "refused" : NO_WAY.has(code) ? "silent" : "not-sent");
}

setTimeout(() => tell("silent"), WAIT);
if (protocol === "tcp") {
  connect({ host: destination, port, localAddress: source }, () => tell("arrived")).on("error", fail);
} else if (protocol === "udp") {
  const udp = createSocket(destination.includes(":") ? "udp6" : "udp4");
  udp.on("error", fail).on("message", () => tell("arrived"));
  udp.bind(0, source, () => {
    udp.connect(port, destination, () => udp.send(""));
  });
} else {
  const args = ["-n", "-c", "1", "-W", "1", "-I", source, destination];
  execFile("ping", args, (error) => {
    if (error === null) tell("arrived");
    tell(error.code === 1 ? "silent" : "not-sent");
  });
}
