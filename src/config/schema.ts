/**
 * Every key of the configuration, once: its type (form, unit, range), default, documentation, and whether SIGHUP can change it. The
 * Config type, the flags, the environment variables, the errors, docs/configuration.md and `m2push config --print` are all derived
 * from these tables. Loaded durations are milliseconds, sizes are bytes, paths are absolute. Long because it is one table.
 */

import { DAY_MS, SECOND_MS } from "../util/units.js";
import {
  booleanType,
  choiceType,
  durationType,
  integerType,
  listType,
  plainTextType,
  sizeType,
  textType,
} from "./basic-types.js";
import { type CurvePublisher, curvePublicKeyType, curvePublishersType, curveSecretKeyType } from "./curve-types.js";
import { endpointType, listenAddressType } from "./endpoint-types.js";
import {
  addressRangeType,
  collectorUrlType,
  corsOriginType,
  hostnameType,
  jwksUrlType,
  natsServerType,
  originType,
  webhookUrlType,
} from "./network-types.js";
import { filePathType, optionalPathType, parentPathType, urlPathType } from "./path-types.js";
import { bearerTokenType, keyMaterialType, secretTextType, webhookSecretType } from "./secret-types.js";
import type { ValueType } from "./value-type.js";

/** What backends can be told of clients; and, over ZeroMQ, of publications. */
const CLIENT_EVENT_KINDS = ["connect", "adopt", "topics", "disconnect", "gap"] as const;
export type ClientEventKind = (typeof CLIENT_EVENT_KINDS)[number];
export const EVENT_KINDS = [...CLIENT_EVENT_KINDS, "publish"] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export interface ConfigKey<T> {
  readonly type: ValueType<NonNullable<T>>;
  /** Undefined: without the key there is no value. */
  readonly default: T;
  /** One line: a noun phrase, then the effect, and the meaning of special values. describeKey() adds the default and the range. */
  readonly doc: string;
  /** "live": SIGHUP changes it. "restart": SIGHUP logs a warning that it is unchanged. */
  readonly change: "live" | "restart";
}

/** Infers the type of the value, and checks the default against it. */
const key = <T>(definition: ConfigKey<T>): ConfigKey<T> => definition;

const address = endpointType();
const MEGABYTE_BYTES = 1_000_000;

/** The keys of one [[mongrel2]] table. */
const SERVER_KEYS = {
  name: key<string>({
    type: textType('a name of at most 64 letters, digits, ".", "_" and "-"', /^[A-Za-z0-9._-]{1,64}$/),
    default: "main",
    change: "restart",
    doc: "Name of this Mongrel2 in logs and metrics. It must be unique.",
  }),
  send_spec: key<string>({
    type: address,
    default: "tcp://127.0.0.1:9999",
    change: "restart",
    doc: "ZeroMQ address of Mongrel2's PUSH socket: send_spec of the Handler in mongrel2.conf. The daemon receives requests from it.",
  }),
  recv_spec: key<string>({
    type: address,
    default: "tcp://127.0.0.1:9998",
    change: "restart",
    doc: "ZeroMQ address of Mongrel2's SUB socket: recv_spec of the Handler in mongrel2.conf. The daemon sends responses to it.",
  }),
  send_ident: key<string>({
    type: textType('letters, digits and "-" only', /^[A-Za-z0-9-]{1,255}$/),
    default: "54c6755b-9628-40a4-9a2d-cc82a816345e",
    change: "restart",
    doc: "Identifier of Mongrel2 in its messages: send_ident of the Handler in mongrel2.conf. Both must be the same.",
  }),
  identity: key<string>({
    type: textType("1 to 255 printable ASCII characters without spaces", /^[!-~]{1,255}$/),
    default: "82209006-86FF-4982-B5EA-D1E29E55D481",
    change: "restart",
    doc: "ZeroMQ identity that the daemon's sockets announce.",
  }),
  control: key<string | undefined>({
    type: address,
    default: undefined,
    change: "restart",
    doc: "Address of Mongrel2's control port: control_port of the Server in mongrel2.conf. Without it, streams do not survive a restart of the daemon, and with bind = true private events are not served.",
  }),
  max_targets: key<number>({
    type: integerType(1, 65_536),
    default: 128,
    change: "restart",
    doc: "Maximum number of connections that one message to Mongrel2 addresses. It must not exceed limits.handler_targets in mongrel2.conf: Mongrel2 drops larger messages.",
  }),
  bind: key<boolean>({
    type: booleanType,
    default: false,
    change: "restart",
    doc: "Whether the daemon binds its two sockets instead of connecting them. Set it for a Mongrel2 behind a ZeroMQ proxy.",
  }),
  curve_server_secret_key: key<string>({
    type: curveSecretKeyType,
    default: "",
    change: "restart",
    doc: "Secret key of the daemon's two sockets, as CURVE servers. Only for a ZeroMQ proxy beside Mongrel2 (bind = true): Mongrel2 has no CURVE. libzmq serves the link then.",
  }),
  curve_client_public_key: key<string>({
    type: curvePublicKeyType,
    default: "",
    change: "restart",
    doc: "Public key of that proxy's sockets, the only one that is admitted. Required with curve_server_secret_key.",
  }),
  database: key<string>({
    type: optionalPathType,
    default: "",
    change: "restart",
    doc: "Path of Mongrel2's configuration database (m2sh load -db FILE). From it the daemon learns whether it is the only handler of this Mongrel2; if so, it closes at once the connections that a previous process left unanswered.",
  }),
  shared: key<boolean>({
    type: booleanType,
    default: false,
    change: "restart",
    doc: "Whether other daemons read from the same send_spec on purpose. If true, the daemon keeps serving beside them, and treats no connection as certainly its own.",
  }),
  orphan_timeout: key<number>({
    type: durationType({ min: SECOND_MS, off: true }),
    default: 60 * SECOND_MS,
    change: "restart",
    doc: "Idle timeout of connections that a previous daemon process may have left. After a restart the daemon closes such a connection when no byte has moved on it for this long.",
  }),
  link_timeout: key<number>({
    type: durationType({ min: 5 * SECOND_MS, off: true }),
    default: 60 * SECOND_MS,
    change: "restart",
    doc: "Timeout of a link on which Mongrel2 answers nothing. The daemon then reconnects the link.",
  }),
};

const topicText = (example: string): ValueType<string> =>
  textType(`${example}, without control characters; "*" = every topic`, /^[^\p{Cc}\p{Cs}]{1,4096}$/u);

/** The keys of one [[topic]] table. Exactly one of the first three is given. */
const TOPIC_KEYS = {
  topic: key<string | undefined>({
    type: topicText('a topic such as "https://example.com/news"'),
    default: undefined,
    change: "live",
    doc: "Topic of this table.",
  }),
  template: key<string | undefined>({
    type: topicText('a URI template such as "https://example.com/users/{id}"'),
    default: undefined,
    change: "live",
    doc: "Topics of this table, as a URI template (RFC 6570).",
  }),
  pattern: key<string | undefined>({
    type: topicText('a URL pattern such as "https://example.com/users/:id"'),
    default: undefined,
    change: "live",
    doc: "Topics of this table, as a URL pattern. A relative one is resolved against [hub] origin and path.",
  }),
  max_events: key<number>({
    type: integerType(0, 1_000_000_000, "no limit of its own"),
    default: 0,
    change: "live",
    doc: "Number of the newest events of each topic that are replayed. Older ones are not shown any more; [history] max_events removes them.",
  }),
  max_age: key<number>({
    type: durationType({ min: SECOND_MS, max: 3650 * DAY_MS, off: true }),
    default: 0,
    change: "live",
    doc: "Age up to which events are replayed. Older ones are not shown any more; [history] max_age removes them.",
  }),
  keep: key<"none" | "last">({
    type: choiceType("none", "last"),
    default: "none",
    change: "live",
    doc: "What outlives the limits of [history]. last: the newest event of each topic, for latest, last, since and If-Match. Not in a cluster.",
  }),
  ttl: key<number>({
    type: durationType({ min: SECOND_MS, max: 3650 * DAY_MS, off: true }),
    default: 0,
    change: "live",
    doc: "Time to live of events from their publication on, after which they are neither sent nor replayed. An event's own ttl counts if it is shorter.",
  }),
  private: key<boolean>({
    type: booleanType,
    default: false,
    change: "live",
    doc: "Whether every event is private, whatever its publisher says: only subscribers with a grant for one of its topics receive it.",
  }),
  rate: key<number>({
    type: integerType(0, 1_000_000, "no limit"),
    default: 0,
    change: "live",
    doc: "Events a second of each topic, from all publishers of this daemon together, as many at once. More are answered 429 over HTTP and rate_limited to REQ and DEALER sockets; PUSH sockets are read more slowly.",
  }),
  anonymous: key<boolean>({
    type: booleanType,
    default: true,
    change: "live",
    doc: "Whether subscribers without a token receive the events. If false, a stream without a token that names the topic gets 401, and one whose template, pattern or * selects it gets none of its events.",
  }),
};

/** The keys of one [[issuer]] table. `issuer` is required, and exactly one of keys and jwks_url. */
const ISSUER_KEYS = {
  name: key<string | undefined>({
    type: textType('a name of at most 64 letters, digits, ".", "_" and "-"', /^[A-Za-z0-9._-]{1,64}$/),
    default: undefined,
    change: "live",
    doc: "Name of this issuer in the log, conditions and metrics. Without it the issuer identifier stands there.",
  }),
  issuer: key<string | undefined>({
    type: textType('an issuer identifier such as "https://login.example"', /^\P{Cc}{1,512}$/u),
    default: undefined,
    change: "live",
    doc: "Issuer identifier: the iss claim of its tokens, byte for byte. A token with this iss is verified with the keys of this table only.",
  }),
  keys: key<string>({
    type: keyMaterialType,
    default: "",
    change: "live",
    doc: "Keys of this issuer, for publishers' and subscribers' tokens.",
  }),
  jwks_url: key<string>({
    type: jwksUrlType,
    default: "",
    change: "live",
    doc: "URL of the issuer's keys (JWKS), instead of keys. The daemon reads it at the start, as Cache-Control says (1 minute to 24 hours, 10 minutes without it), and for a token with an unknown kid, at most twice a minute. While it does not answer, the last keys count.",
  }),
  audience: key<readonly string[]>({
    type: listType(textType("an audience", /^\P{Cc}{1,512}$/u), 'audiences such as ["https://api.example"]'),
    default: [],
    change: "live",
    doc: "Accepted aud claims. Empty: the hub's URL for access tokens (draft-08), any or none for tokens of 0.x.",
  }),
};

/** The keys of one [[webhook]] table. url and secret are required. */
const WEBHOOK_KEYS = {
  name: key<string>({
    type: textType('a name of at most 64 letters, digits, ".", "_" and "-"', /^[A-Za-z0-9._-]{1,64}$/),
    default: "main",
    change: "live",
    doc: "Name of this webhook in the log, conditions and metrics. It must be unique. Events that wait belong to the name: another url under it gets them.",
  }),
  url: key<string | undefined>({
    type: webhookUrlType,
    default: undefined,
    change: "live",
    doc: "URL that gets a POST request with events. Redirects are not followed.",
  }),
  secret: key<string>({
    type: webhookSecretType,
    default: "",
    change: "live",
    doc: "Secret that signs the requests (Standard Webhooks, v1).",
  }),
  previous_secret: key<string>({
    type: webhookSecretType,
    default: "",
    change: "live",
    doc: "A second secret that also signs them, while receivers change to the new one.",
  }),
  events: key<readonly ClientEventKind[]>({
    type: listType(choiceType(...CLIENT_EVENT_KINDS), 'kinds of events such as ["connect", "disconnect"]'),
    default: CLIENT_EVENT_KINDS,
    change: "live",
    doc: "Kinds of events that it gets: connect, adopt, topics, disconnect, gap.",
  }),
  timeout: key<number>({
    type: durationType({ min: SECOND_MS, max: 60 * SECOND_MS }),
    default: 15 * SECOND_MS,
    change: "live",
    doc: "How long a request may take. Then it has failed, and is repeated.",
  }),
};

/** The keys of each other table. */
const SECTIONS = {
  stream: {
    path: key<string>({
      type: urlPathType,
      default: "/esupdates",
      change: "restart",
      doc: "URL path of the plain EventSource stream. Without query parameters a stream there delivers every public event.",
    }),
    retry: key<number>({
      type: durationType({ min: 1 }),
      default: 5 * SECOND_MS,
      change: "live",
      doc: "Reconnection delay that the daemon sends to browsers (the EventSource field retry). A browser waits this long before it reconnects.",
    }),
    heartbeat: key<number>({
      type: durationType({ min: 10, off: true }),
      default: 15 * SECOND_MS,
      change: "live",
      doc: "Interval after which a stream without events gets a comment line. It keeps proxies from closing the stream.",
    }),
    keepalive: key<number>({
      type: durationType({ min: 10 }),
      default: 45 * SECOND_MS,
      change: "live",
      doc: "Interval within which the daemon resets Mongrel2's idle timer of every connection. It must be well below limits.min_ping in mongrel2.conf (Mongrel2's default is 120 s).",
    }),
    max_clients: key<number>({
      type: integerType(0, 100_000_000, "no limit"),
      default: 0,
      change: "live",
      doc: "Maximum number of open streams. Further clients get 503 with Retry-After.",
    }),
    max_per_address: key<number>({
      type: integerType(0, 100_000_000, "no limit"),
      default: 0,
      change: "live",
      doc: "Maximum number of open streams from one address. Further clients get 429. Behind a proxy set trusted_proxies as well, or keep it 0: all clients have the proxy's address.",
    }),
    trusted_proxies: key<readonly string[]>({
      type: listType(addressRangeType, 'IP addresses and networks such as ["127.0.0.1", "10.0.0.0/8"]'),
      default: [],
      change: "live",
      doc: "Addresses of the proxies in front of Mongrel2. What they say in Forwarded, X-Forwarded-For and X-Real-IP is believed: the visitor's address stands in the log and in /clients, and max_per_address, allow_publish_from and [publish] rate use it. Every program at these addresses can name any address. Empty: no such header is read.",
    }),
    compression: key<"off" | "public" | "all">({
      type: choiceType("off", "public", "all"),
      default: "off",
      change: "restart",
      doc: "Compression of streams with gzip, for clients that accept it. public: events that everybody may read are compressed once for all clients of the same topics, private ones are sent as they are. all: private events, too; a publisher that sees the sizes of the bodies of a stream can then guess what else is in them.",
    }),
    max_pattern_cost: key<number>({
      type: integerType(0, 1_000_000_000, "no limit"),
      default: 5_000_000,
      change: "live",
      doc: "Maximum number of matching states of all distinct URI templates and URL patterns of all streams, plus 16 for each. A stream beyond it gets 503 with Retry-After.",
    }),
    max_lifetime: key<number>({
      type: durationType({ min: 60 * SECOND_MS, max: 30 * DAY_MS, off: true }),
      default: 0,
      change: "live",
      doc: "Maximum lifetime of a stream. Each stream is closed after 80 to 100 % of it, and its client reconnects. The expiry of a token ends its stream in any case.",
    }),
  },
  beacon: {
    interval: key<number>({
      type: durationType({ min: 10, off: true }),
      default: 5 * SECOND_MS,
      change: "live",
      doc: 'Interval between test events with the data "Timestamp <ISO 8601>".',
    }),
    topic: key<string>({
      type: textType('a topic without control characters, other than "*"', /^(?!\*$)[^\p{Cc}\p{Cf}\p{Cs}]+$/u),
      default: "beacon",
      change: "live",
      doc: "Topic of the test events.",
    }),
  },
  publish: {
    zmq: key<string>({
      type: endpointType({ off: true }),
      default: "tcp://127.0.0.1:9997",
      change: "restart",
      doc: "ZeroMQ address that the daemon binds for the PUSH, REQ and DEALER sockets of publishers. Every program that can connect to it may publish. Over libzmq ([zmq] implementation) PUSH sockets only.",
    }),
    zmq_acknowledged: key<string>({
      type: endpointType({ off: true }),
      default: "",
      change: "restart",
      doc: "A second such address, needed over libzmq only: there it is for the REQ and DEALER sockets of publishers, which get a reply to each message.",
    }),
    curve: key<readonly CurvePublisher[]>({
      type: curvePublishersType,
      default: [],
      change: "restart",
      doc: "Publishers over ZeroMQ with CURVE, one table for each. The daemon binds the address and admits only the client's key. The topics are those that it may publish, as in a token; acknowledged = true is for REQ and DEALER sockets, otherwise for PUSH sockets. libzmq serves these addresses.",
    }),
    max_batch: key<number>({
      type: integerType(1, 100_000),
      default: 1000,
      change: "restart",
      doc: "Maximum number of events of one batch: a JSON array or JSON lines, over HTTP or as one ZeroMQ message.",
    }),
    max_batch_bytes: key<number>({
      type: sizeType(1_000, 8 * MEGABYTE_BYTES),
      default: 256 * 1024,
      change: "restart",
      doc: "Maximum size of one batch as it is sent. Over HTTP, Mongrel2 itself refuses bodies above limits.content_length in mongrel2.conf.",
    }),
    rate: key<number>({
      type: integerType(0, 1_000_000, "no limit"),
      default: 0,
      change: "live",
      doc: "Events a second that one publisher may publish: one subject of tokens, or all publishers without one; one connection over ZeroMQ. More are answered 429 over HTTP and rate_limited to REQ and DEALER sockets; PUSH sockets are read more slowly.",
    }),
    burst: key<number>({
      type: integerType(1, 1_000_000),
      default: 1000,
      change: "live",
      doc: "Events that one publisher may publish at once, before rate applies.",
    }),
    idempotency_window: key<number>({
      type: durationType({ min: SECOND_MS, max: 365 * DAY_MS }),
      default: DAY_MS,
      change: "restart",
      doc: "How long the daemon knows an idempotency key. A request that repeats a key within this time is answered with the first one's ids, and publishes nothing.",
    }),
    max_keys: key<number>({
      type: integerType(10_000, 100_000_000),
      default: 1_000_000,
      change: "restart",
      doc: "Maximum number of known idempotency keys. The daemon forgets the oldest beyond it, also within idempotency_window. A key takes about 140 bytes on disk, or 190 in memory where history.store is memory.",
    }),
  },
  zmq: {
    implementation: key<"auto" | "native" | "libzmq">({
      type: choiceType("auto", "native", "libzmq"),
      default: "auto",
      change: "restart",
      doc: "Implementation of the ZeroMQ sockets. auto: native, and libzmq where native sockets cannot serve an address; libzmq: libzmq everywhere. Over libzmq a message costs four times the CPU, and a stop may lose requests. m2push config --check lists what serves each address, and why.",
    }),
  },
  hub: {
    path: key<string>({
      type: parentPathType,
      default: "/.well-known/mercure",
      change: "restart",
      doc: "URL path of the Mercure hub. GET subscribes, POST publishes.",
    }),
    origin: key<string>({
      type: originType,
      default: "http://localhost:6767",
      change: "restart",
      doc: "Public origin of the hub: scheme, host and port as in a browser's address bar. With path it forms the hub's URL, which access tokens name in aud, and which relative topics and patterns are resolved against.",
    }),
    hosts: key<readonly string[]>({
      type: listType(hostnameType, 'host names such as ["push.example.com", "[::1]"]'),
      default: [],
      change: "live",
      doc: "Accepted Host headers, without port. Any other gets 421, which stops DNS rebinding. An empty list accepts all.",
    }),
    protocol: key<"both" | "0.x" | "draft-08">({
      type: choiceType("both", "0.x", "draft-08"),
      default: "both",
      change: "restart",
      doc: "Supported versions of the Mercure protocol. 0.x: topic=... and tokens with a mercure claim; draft-08: match=... and OAuth access tokens.",
    }),
  },
  history: {
    store: key<"lmdb" | "memory">({
      type: choiceType("lmdb", "memory"),
      default: "lmdb",
      change: "restart",
      doc: "Storage of past events. lmdb keeps them on disk; memory loses them when the daemon stops.",
    }),
    path: key<string>({
      type: filePathType,
      default: "data",
      change: "restart",
      doc: "Data folder: past events and the list of connected clients. One daemon uses it at a time.",
    }),
    max_events: key<number>({
      type: integerType(1, 1_000_000_000),
      default: 100_000,
      change: "restart",
      doc: "Maximum number of stored events. The daemon removes the oldest beyond it.",
    }),
    max_age: key<number>({
      type: durationType({ min: SECOND_MS, max: 3650 * DAY_MS }),
      default: DAY_MS,
      change: "restart",
      doc: "Retention time of stored events. The daemon removes older ones.",
    }),
    max_bytes: key<number>({
      type: sizeType(100_000, 1_000_000 * MEGABYTE_BYTES),
      default: 256 * MEGABYTE_BYTES,
      change: "restart",
      doc: "Maximum size of all stored events, measured as they are sent. The daemon removes the oldest beyond it. The file on disk is 1.1 to 2.1 times as large (pages of 4 kB).",
    }),
    max_latest: key<number>({
      type: integerType(1, 1_000_000),
      default: 1_000,
      change: "restart",
      doc: "Maximum number of events that a stream gets at its start where it asks for latest=1 or last=N. Beyond it the stream gets the newest ones and an m2push-gap with the reason latest.",
    }),
    max_latest_scan: key<number>({
      type: integerType(1, 10_000_000),
      default: 20_000,
      change: "restart",
      doc: "Maximum number of topics that are looked at for one stream that asks for latest=1 or last=N with a URI template, a URL pattern or *. Beyond it the stream gets what was found, and an m2push-gap with the reason latest.",
    }),
    durability: key<"memory" | "commit" | "sync">({
      type: choiceType("memory", "commit", "sync"),
      default: "commit",
      change: "restart",
      doc: "When a publication is acknowledged. memory: when received (it is sent even if it cannot be stored); commit: when committed (it survives a crash of the daemon); sync: when flushed to disk (it survives a crash of the machine).",
    }),
  },
  auth: {
    anonymous: key<boolean>({
      type: booleanType,
      default: true,
      change: "live",
      doc: "Whether subscribers without a token receive public events. If false, they get 401.",
    }),
    publisher_key: key<string>({
      type: keyMaterialType,
      default: "",
      change: "live",
      doc: "Key that verifies publishers' tokens. Empty: publishing over HTTP is rejected with 401.",
    }),
    subscriber_key: key<string>({
      type: keyMaterialType,
      default: "",
      change: "live",
      doc: "Key that verifies subscribers' tokens. Empty: publisher_key verifies them.",
    }),
    issuer: key<string>({
      type: textType('an issuer identifier such as "https://login.example"; "" = any', /^\P{Cc}{0,512}$/u),
      default: "",
      change: "live",
      doc: "Required iss claim of tokens that publisher_key or subscriber_key verifies, in both versions of the protocol: the short form of one [[issuer]] table. Empty: any; beside [[issuer]] tables, access tokens (draft-08) need an issuer that one of them names.",
    }),
    leeway: key<number>({
      type: durationType({ min: 1, max: 600 * SECOND_MS, off: true }),
      default: 30 * SECOND_MS,
      change: "live",
      doc: "Tolerated clock difference to the issuers of tokens. A token is accepted this long before its nbf and iat, and after its exp.",
    }),
    allow_publish_from: key<readonly string[]>({
      type: listType(addressRangeType, 'IP addresses and networks such as ["10.0.0.7", "fd00::/8"]'),
      default: [],
      change: "live",
      doc: "Peer addresses that may publish over HTTP without a token. Requests that a browser sends for a page of another site are rejected. Behind a proxy on this machine every client has the address 127.0.0.1, unless [stream] trusted_proxies has it.",
    }),
    cors_origins: key<readonly string[]>({
      type: listType(corsOriginType, 'origins such as ["https://example.com"], or ["*"]'),
      default: [],
      change: "live",
      doc: "Origins of other sites whose pages may connect (CORS).",
    }),
  },
  cluster: {
    nats: key<readonly string[]>({
      type: listType(natsServerType, 'NATS addresses such as ["nats://127.0.0.1:4222"]'),
      default: [],
      change: "restart",
      doc: "NATS servers that connect several daemons to a cluster. Empty: this daemon runs alone.",
    }),
    stream: key<string>({
      type: textType('a stream name of letters, digits, "_" and "-"', /^[A-Za-z0-9_-]{1,64}$/),
      default: "m2push",
      change: "restart",
      doc: "JetStream stream that the daemons of a cluster share. If it does not exist, the daemon creates it with the limits of [history].",
    }),
    replicas: key<number>({
      type: integerType(1, 5),
      default: 1,
      change: "restart",
      doc: "Number of NATS servers that hold the stream. With 3, the cluster survives the loss of one.",
    }),
    user: key<string>({
      type: plainTextType,
      default: "",
      change: "restart",
      doc: "User name for NATS. It may be part of the address instead.",
    }),
    password: key<string>({
      type: secretTextType,
      default: "",
      change: "restart",
      doc: "Password of that user.",
    }),
    token: key<string>({
      type: secretTextType,
      default: "",
      change: "restart",
      doc: "Authentication token for NATS.",
    }),
    credentials: key<string>({
      type: optionalPathType,
      default: "",
      change: "restart",
      doc: "Path of a NATS credentials file (.creds: JWT and seed).",
    }),
    tls_ca: key<string>({
      type: optionalPathType,
      default: "",
      change: "restart",
      doc: "Path of a PEM file with the certificate authorities that verify the NATS servers. Empty: those of the system. Setting it enables TLS, as does an address with tls://.",
    }),
    tls_cert: key<string>({
      type: optionalPathType,
      default: "",
      change: "restart",
      doc: "Path of a PEM file with the daemon's client certificate for NATS.",
    }),
    tls_key: key<string>({
      type: optionalPathType,
      default: "",
      change: "restart",
      doc: "Path of a PEM file with the private key of tls_cert.",
    }),
  },
  admin: {
    listen: key<string>({
      type: listenAddressType,
      default: "127.0.0.1:6780",
      change: "restart",
      doc: "Listen address of the admin server. /metrics, /healthz, /readyz and /status are open to every client that can connect; the dashboard (/), /clients, /disconnect and /revoke are for operators.",
    }),
    token: key<string>({
      type: bearerTokenType,
      default: "",
      change: "restart",
      doc: "Bearer token for the dashboard (/), /clients, /disconnect and /revoke. Empty: open on a loopback address, disabled on any other.",
    }),
  },
  events: {
    zmq: key<string>({
      type: endpointType({ off: true }),
      default: "",
      change: "restart",
      doc: "ZeroMQ address that the daemon binds for a PUB socket, which tells who connects and who leaves. Every program that can connect to it learns addresses and subjects of all clients.",
    }),
    zmq_events: key<readonly EventKind[]>({
      type: listType(choiceType(...CLIENT_EVENT_KINDS, "publish"), 'kinds of events such as ["connect", "disconnect"]'),
      default: CLIENT_EVENT_KINDS,
      change: "restart",
      doc: "Kinds of events that the PUB socket sends: connect, adopt, topics, disconnect, gap, publish.",
    }),
    grace: key<number>({
      type: durationType({ min: 100, max: 600 * SECOND_MS, off: true }),
      default: 5 * SECOND_MS,
      change: "live",
      doc: "How long webhooks are not told that a client has left. If the same visitor asks for the same topics again within this time, it counts as the same session, and webhooks are told of neither.",
    }),
    max_pending: key<number>({
      type: integerType(1000, 100_000_000),
      default: 1_000_000,
      change: "live",
      doc: "Maximum number of events that wait for one webhook. The oldest beyond it are removed, and an events_lost event takes their place.",
    }),
    max_age: key<number>({
      type: durationType({ min: 60 * SECOND_MS, max: 30 * DAY_MS }),
      default: DAY_MS,
      change: "restart",
      doc: "Age up to which events wait for a webhook. Older ones are removed in the same way.",
    }),
  },
  log: {
    level: key<"fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent">({
      type: choiceType("fatal", "error", "warn", "info", "debug", "trace", "silent"),
      default: "info",
      change: "live",
      doc: "Minimum severity of logged messages.",
    }),
    format: key<"auto" | "json" | "journald">({
      type: choiceType("auto", "json", "journald"),
      default: "auto",
      change: "restart",
      doc: "Form of the lines on standard output: JSON, or JSON after a priority for systemd's journal such as <4>. auto: readable lines on a terminal, JSON elsewhere.",
    }),
  },
  traces: {
    endpoint: key<string>({
      type: collectorUrlType,
      default: "",
      change: "restart",
      doc: "URL of an OpenTelemetry collector that takes OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces. The daemon sends it the spans of events whose publication has a sampled traceparent. Empty: no event is traced. It needs OpenTelemetry's packages, which m2push does not install.",
    }),
    service_name: key<string>({
      type: plainTextType,
      default: "m2push",
      change: "restart",
      doc: "Name of the daemon in traces: the attribute service.name.",
    }),
  },
};

type Values<ConfigKeys> = {
  readonly [Name in keyof ConfigKeys]: ConfigKeys[Name] extends ConfigKey<infer Value> ? Value : never;
};

/** One [[mongrel2]] table. */
export type ServerConfig = Values<typeof SERVER_KEYS>;

/** One [[topic]] table. */
export type TopicTable = Values<typeof TOPIC_KEYS>;

/** One [[issuer]] table. */
export type IssuerTable = Values<typeof ISSUER_KEYS>;

/** One [[webhook]] table. */
export type WebhookTable = Values<typeof WEBHOOK_KEYS>;

/** The whole configuration. It has been checked. */
export type Config = { readonly [Name in keyof typeof SECTIONS]: Values<(typeof SECTIONS)[Name]> } & {
  readonly mongrel2: readonly [ServerConfig, ...ServerConfig[]];
  /** The first table that matches a topic applies to it. */
  readonly topic: readonly TopicTable[];
  readonly issuer: readonly IssuerTable[];
  readonly webhook: readonly WebhookTable[];
};

export type ConfigKeys = Readonly<Record<string, ConfigKey<unknown>>>;

/** The same tables by name, for iteration. */
export const sections: Readonly<Record<string, ConfigKeys>> = SECTIONS;

/** The tables of which a file may have several: [[mongrel2]], [[topic]], [[issuer]], [[webhook]]. */
export const tableArrays: Readonly<Record<"mongrel2" | "topic" | "issuer" | "webhook", ConfigKeys>> = {
  mongrel2: SERVER_KEYS,
  topic: TOPIC_KEYS,
  issuer: ISSUER_KEYS,
  webhook: WEBHOOK_KEYS,
};
export type TableArray = keyof typeof tableArrays;

/** A key with its names in the file, on the command line and in the environment. */
export interface NamedKey {
  /** As in errors: "stream.max_clients". */
  readonly path: string;
  /** "--stream-max-clients" */
  readonly flag: string;
  /** "M2PUSH_STREAM_MAX_CLIENTS" */
  readonly variable: string;
  readonly key: ConfigKey<unknown>;
}

/** Every key outside [[mongrel2]] and [[topic]], in the order of the tables. */
export const namedKeys: readonly NamedKey[] = Object.entries(sections).flatMap(([section, keys]) =>
  Object.entries(keys).map(([name, definition]) => namedKey(`${section}.${name}`, definition)),
);

/** The keys that flags and variables can set: those with a single value. */
export const scalarKeys: readonly NamedKey[] = namedKeys.filter(({ key }) => key.type.word !== undefined);

function namedKey(path: string, definition: ConfigKey<unknown>): NamedKey {
  const words = path.split(/[._]/);
  return {
    path,
    flag: `--${words.join("-")}`,
    variable: `M2PUSH_${words.join("_").toUpperCase()}`,
    key: definition,
  };
}
