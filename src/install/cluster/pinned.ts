/** Asks a host of the cluster to be let in, believing nobody but the CA that the token pins. */
import { X509Certificate } from "node:crypto";
import { request as httpsRequest } from "node:https";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { DriverError } from "../../drivers/error.ts";
import { fingerprintOf } from "../pki/authority.ts";
import { JOIN_NAME, type JoinLine } from "./join-line.ts";
import { JoinAnswer, type JoinRequest } from "./join-protocol.ts";

const CONNECT_MS = 5000;
const ANSWER_MS = 20_000;

/** Tries the endpoints one after the other. The secret goes only to who holds the pinned CA's certificate. @throws DriverError */
export async function askToJoin(
  line: JoinLine,
  request: Omit<JoinRequest, "id" | "secret">,
): Promise<{ readonly answer: JoinAnswer; readonly endpoint: string }> {
  const whys: string[] = [];
  for (const endpoint of line.endpoints) {
    const ca = await pinnedAuthority(endpoint, line.fingerprint).catch((error: Error) => {
      if (error instanceof DriverError) throw error;
      whys.push(`${endpoint}: ${error.message}`);
      return undefined;
    });
    if (ca !== undefined)
      return { answer: await post(endpoint, ca, { ...request, id: line.id, secret: line.secret }), endpoint };
  }
  throw new DriverError(
    "unavailable",
    `Cannot join: nobody lets hosts in (${whys.join("; ")}). A host listens only while it has a token that was neither used nor has expired: manx token ls there`,
  );
}

function split(endpoint: string): { host: string; port: number } {
  const at = endpoint.lastIndexOf(":");
  return { host: endpoint.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(endpoint.slice(at + 1)) };
}

/** First a look: which CA does it show? Nothing is said on this connection. @returns the CA's certificate, PEM */
function pinnedAuthority(endpoint: string, fingerprint: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...split(endpoint),
      servername: JOIN_NAME,
      rejectUnauthorized: false,
      timeout: CONNECT_MS,
    });
    const end = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.once("timeout", () => end(new Error("it does not answer")));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end(new Error(error.code === "ECONNREFUSED" ? "nobody listens there" : error.message)),
    );
    socket.once("secureConnect", () => {
      const raw = chainOf(socket.getPeerCertificate(true)).find((der) => fingerprintOf(der) === fingerprint);
      socket.destroy();
      if (raw !== undefined) resolve(new X509Certificate(raw).toString());
      else
        reject(
          new DriverError(
            "denied",
            `Cannot join: ${endpoint} is not of the cluster that the token is for, or somebody sits in between. Nothing was told to it`,
          ),
        );
    });
  });
}

function chainOf(certificate: DetailedPeerCertificate): Buffer[] {
  const out: Buffer[] = [];
  for (let one: DetailedPeerCertificate | undefined = certificate; one?.raw !== undefined && out.length < 8; ) {
    out.push(one.raw);
    one = one.issuerCertificate === one ? undefined : one.issuerCertificate;
  }
  return out;
}

/** Now with nothing else trusted than that CA, and no other name than the one that only who lets in has. */
function post(endpoint: string, ca: string, body: JoinRequest): Promise<JoinAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, code: "unavailable" | "denied" | "failed" = "unavailable"): void =>
      reject(new DriverError(code, `Cannot join: ${why}`));
    const call = httpsRequest(
      {
        ...split(endpoint),
        servername: JOIN_NAME,
        ca,
        minVersion: "TLSv1.3",
        method: "POST",
        path: "/v1/join",
        timeout: ANSWER_MS,
        agent: false,
        headers: { "content-type": "application/json" },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", (error) => fail(error.message));
        response.once("end", () => {
          const parsed = json(Buffer.concat(chunks).toString());
          const answer = JoinAnswer.safeParse(parsed);
          if (response.statusCode === 200 && answer.success) return resolve(answer.data);
          const said = (parsed as { message?: unknown } | undefined)?.message;
          const why = typeof said === "string" ? said : `${endpoint} answers with status ${response.statusCode}`;
          return fail(why, response.statusCode === 403 ? "denied" : "failed");
        });
      },
    );
    call.once("timeout", () => call.destroy(new Error(`${endpoint} does not answer`)));
    call.once("error", (error) => fail(`${endpoint}: ${error.message}`));
    call.end(JSON.stringify(body));
  });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
