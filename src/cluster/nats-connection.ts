/** Maps the bus's options to those of NATS' own client. */
import { credsAuthenticator, type NodeConnectionOptions } from "@nats-io/transport-node";

export interface NatsOptions {
  /** "nats://host:port" or "tls://host:port"; a user and password, or a token alone, may stand before the host. */
  readonly servers: readonly string[];
  readonly stream: string;
  readonly limits: Limits;
  /** Servers of a NATS cluster that hold the stream, 1 to 5. Counts when the stream is made. */
  readonly replicas: number;
  /** Forget the stream when NATS stops. Counts when the stream is made. */
  readonly inMemory: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The contents of a credentials file (JWT and seed). */
  readonly credentials?: Buffer;
  /** Absent = TLS where the server offers it, or an address says tls://. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer };
}

export interface Limits {
  readonly maxEvents: number;
  /** Milliseconds. */
  readonly maxAge: number;
  readonly maxBytes: number;
}

/** Longest time to connect. */
const CONNECT_TIMEOUT_MS = 5000;
/** A connection without a pong for two intervals is closed. */
const PING_INTERVAL_MS = 2000;

export function connectionOptions(options: NatsOptions): NodeConnectionOptions {
  const { servers, token, user, password, credentials, tls } = options;
  const urls = servers.map((server) => new URL(server));
  const named = urls.find(({ username }) => username !== "");
  const own = named && decodeURIComponent(named.username);
  const auth =
    named && named.password === ""
      ? { token: own }
      : named
        ? { user: own, pass: decodeURIComponent(named.password) }
        : {};
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || 4222}`),
    name: "m2push",
    reconnect: false,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...auth,
    ...(user !== undefined && { user, pass: password ?? "" }),
    ...(token !== undefined && { token }),
    ...(credentials !== undefined && { authenticator: credsAuthenticator(credentials) }),
    ...((tls || urls.some(({ protocol }) => protocol === "tls:")) && { tls: tlsOptions(tls) }),
  } as NodeConnectionOptions;
}

function tlsOptions({ ca, cert, key }: NonNullable<NatsOptions["tls"]> = {}) {
  return {
    ...(ca && { ca: ca.toString() }),
    ...(cert && { cert: cert.toString() }),
    ...(key && { key: key.toString() }),
  };
}
