/**
 * Every key of the configuration, once: its kind (form, unit, range), default, meaning, and whether SIGHUP can change it.
 * The Config type, the flags, the environment variables, the faults and `m2push config --print` all come from these tables.
 * Times are milliseconds, sizes are bytes once they are loaded; paths are absolute. Long because it is one table.
 */

import {
  addressRange,
  bearerToken,
  filePath,
  hostname,
  keyMaterial,
  listenAddress,
  natsServer,
  optionalPath,
  origin,
  ownOrigin,
  parentPath,
  plainText,
  secretText,
  spec,
  urlPath,
} from "./text-types.js";
import { DAY, SECOND } from "./units.js";
import { booleanType, choice, duration, integer, list, size, text, type ValueType } from "./value-type.js";

export interface Key<T> {
  readonly kind: ValueType<NonNullable<T>>;
  /** Undefined: the key may be left out, and then there is no value. */
  readonly default: T;
  /** One line. Says what special values mean. */
  readonly doc: string;
  /** "live": SIGHUP changes it. "restart": SIGHUP warns that it stays as it was. */
  readonly change: "live" | "restart";
}

/** Keeps the value's type, and checks the default against the kind. */
const key = <T>(definition: Key<T>): Key<T> => definition;

const address = spec();
const MEGABYTE = 1_000_000;

/** The keys of one [[mongrel2]] table. */
export const SERVER_KEYS = {
  name: key<string>({
    kind: text("a name of letters, digits, '.', '_' and '-', at most 64", /^[A-Za-z0-9._-]{1,64}$/),
    default: "main",
    change: "restart",
    doc: "What logs and metrics call this server; unique.",
  }),
  send_spec: key<string>({
    kind: address,
    default: "tcp://127.0.0.1:9999",
    change: "restart",
    doc: "As in mongrel2.conf: Mongrel2's PUSH socket, our PULL.",
  }),
  recv_spec: key<string>({
    kind: address,
    default: "tcp://127.0.0.1:9998",
    change: "restart",
    doc: "As in mongrel2.conf: Mongrel2's SUB socket, our PUB.",
  }),
  send_ident: key<string>({
    kind: text("letters, digits and '-' only", /^[A-Za-z0-9-]{1,255}$/),
    default: "54c6755b-9628-40a4-9a2d-cc82a816345e",
    change: "restart",
    doc: "As in mongrel2.conf: what Mongrel2 calls itself in its requests.",
  }),
  identity: key<string>({
    kind: text("1 to 255 printable ASCII characters without blanks", /^[!-~]{1,255}$/),
    default: "82209006-86FF-4982-B5EA-D1E29E55D481",
    change: "restart",
    doc: "The ZeroMQ identity of our sockets.",
  }),
  control: key<string | undefined>({
    kind: address,
    default: undefined,
    change: "restart",
    doc: "Mongrel2's control port; left out: no adoption of clients after a restart, and with bind no private events.",
  }),
  max_targets: key<number>({
    kind: integer(1, 65_536),
    default: 128,
    change: "restart",
    doc: "The most connections in one message; not above Mongrel2's limits.handler_targets.",
  }),
  bind: key<boolean>({
    kind: booleanType,
    default: false,
    change: "restart",
    doc: "Bind our two sockets instead of connecting them, for a Mongrel2 behind a ZeroMQ proxy.",
  }),
  database: key<string>({
    kind: optionalPath,
    default: "",
    change: "restart",
    doc: "Mongrel2's configuration database (m2sh load -db FILE). With it the daemon knows whether it is the only handler of this Mongrel2, and then closes at once what an earlier process left unanswered.",
  }),
  shared: key<boolean>({
    kind: booleanType,
    default: false,
    change: "restart",
    doc: "Other daemons read from the same send_spec on purpose: keep serving beside them, and treat no connection as ours alone.",
  }),
  orphan_timeout: key<number>({
    kind: duration({ min: SECOND, off: true }),
    default: 60 * SECOND,
    change: "restart",
    doc: "After a restart, a connection that may be ours and on which no byte has moved for this long is closed; 0 = never.",
  }),
  link_timeout: key<number>({
    kind: duration({ min: 5 * SECOND, off: true }),
    default: 60 * SECOND,
    change: "restart",
    doc: "A link to Mongrel2 on which nothing has answered for this long is connected again; 0 = never.",
  }),
};

/** The keys of each other table. */
export const SECTIONS = {
  stream: {
    path: key<string>({
      kind: urlPath,
      default: "/esupdates",
      change: "restart",
      doc: "The plain EventSource address; without parameters it gives every public event.",
    }),
    retry: key<number>({
      kind: duration({ min: 1 }),
      default: 5 * SECOND,
      change: "live",
      doc: "How long a browser waits before it reconnects.",
    }),
    heartbeat: key<number>({
      kind: duration({ min: 10, off: true }),
      default: 15 * SECOND,
      change: "live",
      doc: "A comment line is sent after this long without an event, for proxies.",
    }),
    keepalive: key<number>({
      kind: duration({ min: 10 }),
      default: 45 * SECOND,
      change: "live",
      doc: "Every client's idle clock in Mongrel2 is reset within this time; keep it well below limits.min_ping (120 s).",
    }),
    max_clients: key<number>({
      kind: integer(0, 100_000_000, "; 0 = no limit"),
      default: 0,
      change: "live",
      doc: "Further clients get 503 with Retry-After.",
    }),
    max_per_address: key<number>({
      kind: integer(0, 100_000_000, "; 0 = no limit"),
      default: 0,
      change: "live",
      doc: "Further clients of the same peer address get 429; not for a Mongrel2 behind a proxy, where all have one address.",
    }),
    max_pattern_cost: key<number>({
      kind: integer(0, 1_000_000_000, "; 0 = no limit"),
      default: 5_000_000,
      change: "live",
      doc: "States of all distinct templates and URL patterns of all clients together, and 16 for each; a stream beyond it gets 503 with Retry-After.",
    }),
    max_lifetime: key<number>({
      kind: duration({ min: 60 * SECOND, max: 30 * DAY, off: true }),
      default: 0,
      change: "live",
      doc: "Longest time that one stream lasts. Each stream closes after 80 to 100 % of it and its client reconnects. 0: no limit; a token's expiry always ends its stream.",
    }),
  },
  beacon: {
    interval: key<number>({
      kind: duration({ min: 10, off: true }),
      default: 5 * SECOND,
      change: "live",
      doc: 'How often "Timestamp <ISO 8601>" is published.',
    }),
    topic: key<string>({
      kind: text('a topic: any text without control characters, not "*"', /^(?!\*$)[^\p{Cc}\p{Cf}\p{Cs}]+$/u),
      default: "beacon",
      change: "live",
      doc: "Where it is published.",
    }),
  },
  publish: {
    zmq: key<string>({
      kind: spec({ off: true }),
      default: "tcp://127.0.0.1:9997",
      change: "restart",
      doc: "Our bound PULL socket, for publishers' PUSH.",
    }),
  },
  hub: {
    path: key<string>({
      kind: parentPath,
      default: "/.well-known/mercure",
      change: "restart",
      doc: "Subscribe (GET) and publish (POST) by the Mercure protocol.",
    }),
    origin: key<string>({
      kind: ownOrigin,
      default: "http://localhost:6767",
      change: "restart",
      doc: "Where browsers find the hub: scheme, host and port. With the path it is the hub's URL, which access tokens name (aud) and relative topics and patterns are resolved against.",
    }),
    hosts: key<readonly string[]>({
      kind: list(hostname, 'host names such as ["push.example.com", "[::1]"]'),
      default: [],
      change: "live",
      doc: "Host headers that are served, without port; any other gets 421 (a page whose name was made to lead here). Empty: any.",
    }),
    protocol: key<"both" | "0.x" | "draft-08">({
      kind: choice("both", "0.x", "draft-08"),
      default: "both",
      change: "restart",
      doc: "Which dialects of Mercure are served: topic=... and tokens with a mercure claim (0.x), match=... and OAuth access tokens (draft-08).",
    }),
  },
  history: {
    store: key<"lmdb" | "memory">({
      kind: choice("lmdb", "memory"),
      default: "lmdb",
      change: "restart",
      doc: "Where past events are kept for clients that come back; memory forgets them when the daemon stops.",
    }),
    path: key<string>({
      kind: filePath,
      default: "data",
      change: "restart",
      doc: "The folder of stored data.",
    }),
    max_events: key<number>({
      kind: integer(1, 1_000_000_000),
      default: 100_000,
      change: "restart",
      doc: "The oldest events beyond this many are forgotten.",
    }),
    max_age: key<number>({
      kind: duration({ min: SECOND, max: 3650 * DAY }),
      default: DAY,
      change: "restart",
      doc: "Older events are forgotten.",
    }),
    max_bytes: key<number>({
      kind: size(100_000, 1_000_000 * MEGABYTE),
      default: 256 * MEGABYTE,
      change: "restart",
      doc: "The oldest events beyond this size are forgotten: events as they are sent. The file takes 1.1 to 2.1 times as much (pages of 4 kB).",
    }),
    durability: key<"memory" | "commit" | "sync">({
      kind: choice("memory", "commit", "sync"),
      default: "commit",
      change: "restart",
      doc:
        "When a publish is acknowledged: taken in (memory: it is sent even where it cannot be stored), committed (commit: it outlives " +
        "the daemon), or synced to disk (sync: it outlives the machine).",
    }),
  },
  auth: {
    anonymous: key<boolean>({
      kind: booleanType,
      default: true,
      change: "live",
      doc: "Whether subscribers without a token get public events.",
    }),
    publisher_key: key<string>({
      kind: keyMaterial,
      default: "",
      change: "live",
      doc: "Verifies publishers' tokens; empty: publishing over HTTP is refused with 401.",
    }),
    subscriber_key: key<string>({
      kind: keyMaterial,
      default: "",
      change: "live",
      doc: "Verifies subscribers' tokens; empty: publisher_key does.",
    }),
    issuer: key<string>({
      kind: text("the issuer's identifier, such as https://login.example, or nothing", /^\P{Cc}{0,512}$/u),
      default: "",
      change: "live",
      doc: "The iss that tokens of both dialects must have; empty: any, the key alone decides.",
    }),
    leeway: key<number>({
      kind: duration({ min: 1, max: 600 * SECOND, off: true }),
      default: 30 * SECOND,
      change: "live",
      doc: "How far the clocks of token issuers may be from ours: a token may be used so long before its nbf or iat and after its exp.",
    }),
    allow_publish_from: key<readonly string[]>({
      kind: list(addressRange, 'IP addresses and networks such as ["10.0.0.7", "fd00::/8"]'),
      default: [],
      change: "live",
      doc: "Peers that may publish over HTTP without a token; a page of another site in their browser may not. Behind a local proxy everybody is 127.0.0.1.",
    }),
    cors_origins: key<readonly string[]>({
      kind: list(origin, 'origins such as ["https://example.com"], or ["*"]'),
      default: [],
      change: "live",
      doc: "Other sites whose pages may connect.",
    }),
  },
  cluster: {
    nats: key<readonly string[]>({
      kind: list(natsServer, 'NATS addresses such as ["nats://127.0.0.1:4222"]'),
      default: [],
      change: "restart",
      doc: "The NATS servers that join several daemons; empty: this machine alone.",
    }),
    stream: key<string>({
      kind: text("a stream name of letters, digits, '_' and '-'", /^[A-Za-z0-9_-]{1,64}$/),
      default: "m2push",
      change: "restart",
      doc: "The JetStream stream that the daemons share; it is made if it is not there, with the limits of [history].",
    }),
    replicas: key<number>({
      kind: integer(1, 5),
      default: 1,
      change: "restart",
      doc: "Servers of a NATS cluster that each hold the stream; 3 go on when one of them is lost.",
    }),
    user: key<string>({
      kind: plainText,
      default: "",
      change: "restart",
      doc: "For NATS servers that ask for a user; may stand in the address, too.",
    }),
    password: key<string>({
      kind: secretText,
      default: "",
      change: "restart",
      doc: "That user's password.",
    }),
    token: key<string>({
      kind: secretText,
      default: "",
      change: "restart",
      doc: "For NATS servers that ask for a token.",
    }),
    credentials: key<string>({
      kind: optionalPath,
      default: "",
      change: "restart",
      doc: "A NATS credentials file (.creds: JWT and seed).",
    }),
    tls_ca: key<string>({
      kind: optionalPath,
      default: "",
      change: "restart",
      doc: "A PEM file of authorities that the servers' certificates are checked against; empty: those of the system. Asks for TLS, as an address with tls:// does.",
    }),
    tls_cert: key<string>({
      kind: optionalPath,
      default: "",
      change: "restart",
      doc: "A PEM file with the certificate that this daemon shows to NATS.",
    }),
    tls_key: key<string>({
      kind: optionalPath,
      default: "",
      change: "restart",
      doc: "A PEM file with the key of tls_cert.",
    }),
  },
  admin: {
    listen: key<string>({
      kind: listenAddress,
      default: "127.0.0.1:6780",
      change: "restart",
      doc: "Serves /metrics, /healthz, /readyz and /status to whoever reaches it; the dashboard (/), /clients and /disconnect to operators.",
    }),
    token: key<string>({
      kind: bearerToken,
      default: "",
      change: "restart",
      doc: "What operators show (Authorization: Bearer ...) for the dashboard, /clients and /disconnect; empty: none where listen is of this machine only, and elsewhere these are refused.",
    }),
  },
  log: {
    level: key<"fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent">({
      kind: choice("fatal", "error", "warn", "info", "debug", "trace", "silent"),
      default: "info",
      change: "live",
      doc: "The least severe messages that are logged.",
    }),
  },
};

type Values<Keys> = { readonly [Name in keyof Keys]: Keys[Name] extends Key<infer Value> ? Value : never };

/** One [[mongrel2]] table. */
export type ServerConfig = Values<typeof SERVER_KEYS>;

/** The whole configuration, valid as it stands. */
export type Config = { readonly [Name in keyof typeof SECTIONS]: Values<(typeof SECTIONS)[Name]> } & {
  readonly mongrel2: readonly [ServerConfig, ...ServerConfig[]];
};

export type Keys = Readonly<Record<string, Key<unknown>>>;

/** The tables by name, for walking; the same objects as above. */
export const sections: Readonly<Record<string, Keys>> = SECTIONS;
export const serverKeys: Keys = SERVER_KEYS;

/** One key with its names. */
export interface NamedKey {
  /** As in faults: "stream.max_clients". */
  readonly path: string;
  /** "--stream-max-clients" */
  readonly flag: string;
  /** "M2PUSH_STREAM_MAX_CLIENTS" */
  readonly variable: string;
  readonly key: Key<unknown>;
}

/** Every key outside [[mongrel2]], in the order of the tables. */
export const namedKeys: readonly NamedKey[] = Object.entries(sections).flatMap(([section, keys]) =>
  Object.entries(keys).map(([name, definition]) => named(`${section}.${name}`, definition)),
);

/** Those of them that flags and variables can set: the ones with a single value. */
export const scalarKeys: readonly NamedKey[] = namedKeys.filter(({ key }) => key.kind.word !== undefined);

function named(path: string, definition: Key<unknown>): NamedKey {
  const words = path.split(/[._]/);
  return {
    path,
    flag: `--${words.join("-")}`,
    variable: `M2PUSH_${words.join("_").toUpperCase()}`,
    key: definition,
  };
}
