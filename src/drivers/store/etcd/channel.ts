/** A connection to one member of etcd. Knows nothing of other members, tries nothing twice. */

import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  type ClientDuplexStream,
  credentials,
  Client as GrpcClient,
  Metadata,
} from "@grpc/grpc-js";
import type { Endpoint } from "./endpoint.ts";

/** PEM texts. */
export interface Tls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface CallOptions {
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Answered also by a member that has no leader. */
  readonly leaderless?: boolean;
}

type Unary<I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly methodKind: "unary";
  readonly input: I;
  readonly output: O;
};
type Bidi<I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly methodKind: "bidi_streaming";
  readonly input: I;
  readonly output: O;
};

export class Channel {
  readonly endpoint: Endpoint;
  readonly #client: GrpcClient;
  readonly #closed = new AbortController();

  constructor(endpoint: Endpoint, tls: Tls) {
    this.endpoint = endpoint;
    this.#client = new GrpcClient(endpoint.authority, credentialsOf(endpoint, tls), {
      // A channel that is made anew must not get the connection that the old one was left for.
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      ...(endpoint.tls && isIP(endpoint.host) !== 0 ? { "grpc.ssl_target_name_override": NO_NAME } : {}),
    });
  }

  /** Aborted when the channel is closed: streams on it are of no use any more. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** @throws a gRPC ServiceError, or the signal's reason */
  call<I extends DescMessage, O extends DescMessage>(
    method: Unary<I, O>,
    message: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest<MessageShape<I>, MessageShape<O>>(
        pathOf(method),
        (value) => Buffer.from(toBinary(method.input, value)),
        (bytes) => fromBinary(method.output, bytes),
        create(method.input, message),
        metadata(options),
        { deadline: Date.now() + timeoutMs },
        (error, value) => {
          clearTimeout(timer);
          signal?.removeEventListener("abort", stop);
          if (signal?.aborted === true) reject(signal.reason as Error);
          else if (value === undefined) reject(error ?? new Error("etcd answered nothing"));
          else resolve(value);
        },
      );
      const stop = (): void => call.cancel();
      // gRPC's deadline is of the wall clock, which may jump; this one is of the monotonic clock.
      const timer = setTimeout(stop, timeoutMs + 100);
      signal?.addEventListener("abort", stop, { once: true });
      if (signal?.aborted === true) stop();
    });
  }

  /** A stream that ends with the signal or the channel. The caller reads it to its end or destroys it. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: Bidi<I, O>,
    token: string | undefined,
    signal: AbortSignal,
  ): ClientDuplexStream<MessageShape<I>, MessageShape<O>> {
    const stream = this.#client.makeBidiStreamRequest<MessageShape<I>, MessageShape<O>>(
      pathOf(method),
      (value) => Buffer.from(toBinary(method.input, value)),
      (bytes) => fromBinary(method.output, bytes),
      metadata({ token }),
    );
    const stop = (): void => stream.cancel();
    const ends = AbortSignal.any([signal, this.closed]);
    ends.addEventListener("abort", stop, { once: true });
    stream.once("close", () => ends.removeEventListener("abort", stop));
    if (ends.aborted) stop();
    return stream;
  }

  close(): void {
    this.#closed.abort(new Error("the connection was given up"));
    this.#client.close();
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/**
 * `hasleader`: a member that has lost its leader refuses at once, and ends its streams, rather than to keep silent (etcd's
 * clientv3.WithRequireLeader). `token`: rpctypes.TokenFieldNameGRPC.
 */
function metadata({ token, leaderless = false }: Pick<CallOptions, "token" | "leaderless">): Metadata {
  const out = new Metadata();
  if (!leaderless) out.set("hasleader", "true");
  if (token !== undefined) out.set("token", token);
  return out;
}

/** An address is no name to send in a TLS handshake (RFC 6066 section 3), and gRPC would send it; the certificate is judged by the address. */
const NO_NAME = "address.invalid";

function credentialsOf({ tls, host }: Endpoint, { ca, cert, key }: Tls): ChannelCredentials {
  if (!tls) return credentials.createInsecure();
  const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
  return credentials.createSsl(pem(ca), pem(key), pem(cert), {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
}
