/**
 * Runs inside a container's network: `echo` answers on TCP and UDP port 7000; `tcp ADDRESS` and `udp ADDRESS` send a number each
 * 10 ms over one connection and count what comes back. Any line on standard input is answered with the counts.
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";

const PORT = 7000;
const [, , what, address = ""] = process.argv;
let sent = 0;
let received = 0;

function report(): void {
  console.log(JSON.stringify({ sent, received }));
}

if (what === "echo") {
  const udp = createSocket("udp6");
  udp.on("message", (message, { port, address: from }) => udp.send(message, port, from));
  udp.bind(PORT, "::", () =>
    createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(PORT, "::", report),
  );
} else if (what === "udp") {
  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", () => received++);
  udp.connect(PORT, address, () => {
    report();
    setInterval(() => udp.send(String(sent++)), 10);
  });
  udp.on("error", () => {});
} else {
  const socket = connect({ host: address, port: PORT, noDelay: true }, () => {
    report();
    setInterval(() => {
      if (sent - received < 1000) socket.write(String(sent++ % 10));
    }, 10);
  });
  socket.on("data", (data) => (received += data.length));
  socket.on("error", () => {});
}
createInterface(process.stdin).on("line", report);
