/** X.509 version 3 certificates, in the order and words of RFC 5280 section 4.1. Keys are ECDSA on P-256, signatures with SHA-256. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { type Address, parseAddress, toBytes } from "../../core/net/address.ts";
import {
  bits,
  boolean,
  type Der,
  explicit,
  implicit,
  integer,
  octets,
  oid,
  pem,
  sequence,
  set,
  time,
  utf8,
} from "./der.ts";

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export interface CertificateOptions {
  /** Common name of whom it is for. */
  readonly subject: string;
  readonly publicKey: KeyObject;
  /** Common name and key of who signs. */
  readonly issuer: { readonly name: string; readonly key: KeyObject };
  readonly days: number;
  /** A CA may sign leaf certificates and nothing else; a leaf is used by clients, servers or both. */
  readonly use: "ca" | readonly ("client" | "server")[];
  /** DNS names and IP addresses. */
  readonly names?: readonly string[];
  readonly now?: Date;
}

const DAY_MS = 86_400_000;
const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKeyIdentifier: "2.5.29.35",
  extKeyUsage: "2.5.29.37",
  server: "1.3.6.1.5.5.7.3.1",
  client: "1.3.6.1.5.5.7.3.2",
} as const;

export function newKeyPair(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

/** Begins a day in the past: hosts' clocks differ. @returns PEM */
export function writeCertificate(options: CertificateOptions): string {
  const { subject, publicKey, issuer, days, now = new Date() } = options;
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const tbs = sequence(
    explicit(0, integer(2n)),
    serialNumber(),
    algorithm,
    name(issuer.name),
    sequence(time(new Date(now.getTime() - DAY_MS)), time(new Date(now.getTime() + days * DAY_MS))),
    name(subject),
    spki(publicKey),
    explicit(3, extensions(options)),
  );
  return pem("CERTIFICATE", sequence(tbs, algorithm, bits(sign("sha256", tbs, issuer.key))));
}

/** Positive, at most 20 octets (section 4.1.2.2), and nobody can guess it. */
function serialNumber(): Der {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return integer(BigInt(`0x${bytes.toString("hex")}`));
}

function name(commonName: string): Der {
  const attribute = (type: string, value: string): Der => set(sequence(oid(type), utf8(value)));
  return sequence(attribute(OID.organization, "Manx"), attribute(OID.commonName, commonName));
}

function spki(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

function extensions({ publicKey, issuer, use, names = [] }: CertificateOptions): Der {
  const isCa = use === "ca";
  const purposes = isCa ? [] : use.map((one) => oid(OID[one]));
  const all = [
    extension(OID.basicConstraints, true, isCa ? sequence(boolean(true), integer(0n)) : sequence()),
    // keyCertSign and cRLSign (bits 5 and 6); digitalSignature (bit 0)
    extension(OID.keyUsage, true, isCa ? bits(Buffer.from([0x06]), 1) : bits(Buffer.from([0x80]), 7)),
    extension(OID.subjectKeyIdentifier, false, octets(keyIdentifier(publicKey))),
    extension(OID.authorityKeyIdentifier, false, sequence(implicit(0, keyIdentifier(createPublicKey(issuer.key))))),
  ];
  if (purposes.length > 0) all.push(extension(OID.extKeyUsage, false, sequence(...purposes)));
  if (names.length > 0) all.push(extension(OID.subjectAltName, false, sequence(...names.map(generalName))));
  return sequence(...all);
}

function extension(id: string, critical: boolean, value: Der): Der {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value));
}

/** Section 4.2.1.2, method 1: SHA-1 of the key itself, which is what follows the last algorithm field of a P-256 SPKI. */
function keyIdentifier(key: KeyObject): Buffer {
  const POINT = 65; // uncompressed: 0x04, x, y (RFC 5480 section 2.2)
  return createHash("sha1").update(spki(key).subarray(-POINT)).digest();
}

/** Section 4.2.1.6: dNSName [2] and iPAddress [7]. */
function generalName(text: string): Der {
  return isIP(text) === 0
    ? implicit(2, Buffer.from(text))
    : implicit(7, Buffer.from(toBytes(parseAddress(text) as Address)));
}
