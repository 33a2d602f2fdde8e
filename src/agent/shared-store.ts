/** From the configuration to the store that this host shares with others. */
import { readFile } from "node:fs/promises";
import { DriverError } from "../drivers/error.ts";
import { type EtcdStore, type EtcdStoreOptions, openEtcdStore, parseEndpoints } from "../drivers/store/etcd.ts";
import type { EtcdConfig } from "./config-file.ts";
import { readSecret } from "./secret-file.ts";

/** Reads certificates, keys and the password. Connects to nothing. @throws DriverError */
export async function openSharedStore(
  config: EtcdConfig,
  more: Pick<EtcdStoreOptions, "timing"> = {},
): Promise<EtcdStore> {
  const { endpoints, caFile, certFile, keyFile, user, passwordFile } = config;
  const password = passwordFile === undefined ? undefined : (await readSecret(passwordFile)).replace(/\r?\n$/, "");
  return openEtcdStore({
    endpoints: endpoints.flatMap((endpoint) =>
      parseEndpoints(endpoint, caFile !== undefined || certFile !== undefined),
    ),
    tls: {
      ...(caFile !== undefined && { ca: await certificate(caFile) }),
      ...(certFile !== undefined && { cert: await certificate(certFile) }),
      ...(keyFile !== undefined && { key: await readSecret(keyFile) }),
    },
    ...(user !== undefined && password !== undefined && { user: { name: user, password } }),
    ...more,
  });
}

async function certificate(path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new DriverError("not-found", `Cannot read the certificate "${path}": ${error.message}`);
  });
  if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  throw new DriverError("invalid", `Cannot use "${path}": there is no certificate (PEM) in it`);
}
