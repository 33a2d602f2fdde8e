/**
 * The cluster's own certificate authority, on the hosts that may let others in: a key and a certificate in a folder that only root
 * reads. It signs for etcd's members, for agents, and for the service that `manx join` talks to.
 */
import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DriverError } from "../../drivers/error.ts";
import { writeFileAtomic } from "../../drivers/system/files.ts";
import { newKeyPair, writeCertificate } from "./certificate.ts";

export const PKI_FOLDER = "/var/lib/manx/pki";
const CA_DAYS = 3650;
const LEAF_DAYS = 1095;
const NAME = "Manx cluster CA";

export interface Credentials {
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly #key: KeyObject;

  constructor({ certificate, key }: Credentials) {
    this.certificate = certificate;
    this.#key = createPrivateKey(key);
  }

  static isIn(folder = PKI_FOLDER): boolean {
    return existsSync(join(folder, "ca.key"));
  }

  /** @throws DriverError `not-found` */
  static async open(folder = PKI_FOLDER): Promise<Authority> {
    if (!Authority.isIn(folder))
      throw new DriverError(
        "not-found",
        `Cannot sign certificates: this host does not have the cluster's CA (${folder}/ca.key)`,
      );
    return new Authority(await readCredentials(folder, "ca"));
  }

  /** Opens the authority; makes it where there is none. */
  static async ensure(folder = PKI_FOLDER): Promise<Authority> {
    if (!Authority.isIn(folder)) {
      const { publicKey, privateKey } = newKeyPair();
      const issuer = { name: NAME, key: privateKey };
      const certificate = writeCertificate({ subject: NAME, publicKey, issuer, days: CA_DAYS, use: "ca" });
      await writeCredentials(folder, "ca", { certificate, key: pkcs8(privateKey) });
    }
    return Authority.open(folder);
  }

  /** SHA-256 of the certificate, hex: what a token pins. */
  get fingerprint(): string {
    return fingerprintOf(new X509Certificate(this.certificate).raw);
  }

  /** PEM. @throws DriverError `invalid` for a key that is not ECDSA on P-256 */
  sign(
    subject: string,
    publicKeyPem: string,
    use: readonly ("client" | "server")[],
    names: readonly string[] = [],
  ): string {
    const publicKey = publicKeyOf(publicKeyPem);
    return writeCertificate({
      subject,
      publicKey,
      issuer: { name: NAME, key: this.#key },
      days: LEAF_DAYS,
      use,
      names,
    });
  }

  /** A new key and a certificate for it. */
  issue(subject: string, use: readonly ("client" | "server")[], names: readonly string[] = []): Credentials {
    const { publicKey, privateKey } = newKeyPair();
    const spki = publicKey.export({ type: "spki", format: "pem" });
    return { certificate: this.sign(subject, spki, use, names), key: pkcs8(privateKey) };
  }

  /** For another host that may let hosts in. */
  export(): Credentials {
    return { certificate: this.certificate, key: pkcs8(this.#key) };
  }
}

export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

function publicKeyOf(text: string): KeyObject {
  try {
    const key = createPublicKey(text);
    if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  } catch {
    // said below
  }
  throw new DriverError("invalid", "Cannot sign: the key is not an ECDSA key on P-256");
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}

/** The certificate last: who finds it finds its key. */
export async function writeCredentials(folder: string, name: string, { certificate, key }: Credentials): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(folder, `${name}.key`), key, 0o600);
  await writeFileAtomic(join(folder, `${name}.crt`), certificate, 0o644);
}

export async function readCredentials(folder: string, name: string): Promise<Credentials> {
  return {
    certificate: await readFile(join(folder, `${name}.crt`), "utf8"),
    key: await readFile(join(folder, `${name}.key`), "utf8"),
  };
}

/** Days until a certificate in a file ends; undefined where there is none. */
export async function daysLeft(path: string, now = Date.now()): Promise<number | undefined> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (Date.parse(new X509Certificate(text).validTo) - now) / 86_400_000;
}
