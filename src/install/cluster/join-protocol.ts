/** What a host that wants in says, and what it is answered. Over TLS, after the pinned CA was recognized. */
import * as z from "zod";

export const JoinRequest = z.strictObject({
  id: z.string().max(64),
  secret: z.string().max(128),
  host: z.string().max(253),
  /** SPKI, PEM: the private key stays where it was made. */
  publicKey: z.string().max(4096),
  addresses: z.array(z.string().max(64)).max(16),
  /** RFC 3339. */
  now: z.string().max(64),
  version: z.string().max(64),
});
export type JoinRequest = Readonly<z.infer<typeof JoinRequest>>;

export const JoinAnswer = z.object({
  /** PEM. */
  ca: z.string(),
  certificate: z.string(),
  store: z.object({
    endpoints: z.array(z.string()),
    /** The store's certificates are of the cluster's own CA: the certificate above opens it. */
    own: z.boolean(),
    /** Otherwise: how the others open it. PEM, and a password. */
    ca: z.string().optional(),
    cert: z.string().optional(),
    key: z.string().optional(),
    user: z.string().optional(),
    password: z.string().optional(),
  }),
  /** For a host that becomes a member of etcd: it then lets hosts in as well. */
  authorityKey: z.string().optional(),
});
export type JoinAnswer = Readonly<z.infer<typeof JoinAnswer>>;
