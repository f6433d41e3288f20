/** The schema of GET /status. The compiler compares it with the type. */
import {
  anything,
  count,
  flag,
  list,
  nullable,
  number,
  object,
  optional,
  record,
  type Schema,
  text,
  word,
} from "../../api-docs/json-schema.js";
import { CONDITION_TYPES, type ConditionCode } from "../../util/conditions.js";
import { LIMIT_NAMES } from "../metrics/snapshot.js";
import type { Status } from "./status.js";

type Server = Status["servers"][number];
type Condition = Status["conditions"][number];
type Rates = Status["perSecond"];
type History = NonNullable<Status["history"]>;
type Node = NonNullable<Status["nodes"]>[number];
type Hot = NonNullable<Status["hotTopics"]>;
type Slow = NonNullable<Status["slowestClients"]>[number];
type EventFeed = NonNullable<Status["eventFeed"]>;

const SENDER_STATES = ["idle", "sending", "waiting", "disabled", "closed"] as const;
const PHASES = ["starting", "running", "stopping"] as const;
const CODES = Object.keys(CONDITION_TYPES) as ConditionCode[];
const milliseconds = (description: string) => nullable(number(`${description} Milliseconds; null = none yet.`));

const CONDITION: Schema<Condition> = object("A problem that lasts.", {
  code: word("docs/operating.md has all codes.", CODES),
  subject: text("A server, an address or a file."),
  message: text("What happened."),
  fix: text("What to do."),
  details: optional(record("Figures.", anything("A figure."))),
  since: text("ISO 8601."),
});

const RATES: Schema<Rates> = object("Counts a second, averaged over the last five seconds.", {
  publications: number("Accepted publications."),
  deliveries: number("Publications times clients."),
  connects: number("Clients that connected."),
  disconnects: number("Clients that disconnected."),
  frames: number("Messages to Mongrel2."),
  bytes: number("Bytes of these messages."),
});

const SERVER: Schema<Server> = object("One Mongrel2.", {
  name: text("The [[mongrel2]] name."),
  sendSpec: text("send_spec."),
  recvSpec: text("recv_spec."),
  live: flag("A fence has passed: its clients are served."),
  silent: flag("It takes messages and does not answer."),
  clients: count("Connected clients."),
  catchingUp: count("Clients that read from the history."),
  audiences: count("Sets of clients with the same subscriptions."),
  queuedBodies: count("Bodies that wait for Mongrel2."),
  maxBehindEvents: count("How far the slowest client is behind."),
  fenceRoundTripMs: milliseconds("From the last flush to its acknowledgement."),
  publishToFenceMs: milliseconds("Age of the oldest publication of that flush then."),
  lateness: object("The same for all flushes of the last 30 to 60 seconds.", {
    flushes: count("Flushes."),
    p50Ms: milliseconds("Median."),
    p90Ms: milliseconds("90 % quantile."),
    p99Ms: milliseconds("99 % quantile."),
  }),
  deliveriesPerSecond: number("Publications times clients."),
  connects: count("Clients that connected since the start."),
  disconnects: count("Clients that disconnected since the start."),
  fellBehind: count("Live clients that fell behind since the start."),
  deliveries: count("Deliveries since the start."),
  linkLosses: count("Lost links since the start."),
});

const HISTORY: Schema<History> = object("The stored events.", {
  epoch: text("The name of the history."),
  last: count("Offset of the newest event."),
  floor: count("Offset of the newest event that was trimmed."),
  keys: count("Known idempotency keys."),
  count: count("Stored events."),
  kept: count("Events that are kept below the floor."),
  bytes: count("Size of the stored events."),
});

const NODE_SERVERS: Schema<NonNullable<Node["mongrel2"]>> = object(
  "The Mongrel2s that it serves. Absent: it has an older version.",
  { total: count("All of them."), live: count("Those that answer.") },
);

const NODE: Schema<Node> = object("One daemon of the cluster.", {
  name: text("Host and process."),
  version: text("Of m2push."),
  clients: count("Its clients."),
  mongrel2: optional(NODE_SERVERS),
  epoch: text("Of its history."),
  position: count("Offset of its newest event."),
  self: flag("It is the one that answers."),
  lag: count("Events that another node has and this one has not."),
  heard: number("Seconds since its last report."),
});

const HOT: Schema<Hot> = object("The topics that make the most work.", {
  windowSeconds: number("The rates are averages over this time."),
  topics: list(
    "At most 10, the hottest first.",
    object("One topic.", {
      topic: text("Abbreviated to 200 characters."),
      publicationsPerSecond: number("Publications."),
      bytesPerSecond: number("Bytes of the publications, counted once each."),
      deliveriesPerSecond: number("Publications times live clients."),
    }),
  ),
});

const SLOW: Schema<Slow> = object("A client that catches up.", {
  server: text("The [[mongrel2]] name."),
  id: count("The connection id."),
  remote: text("The address of the visitor."),
  topics: list("Its first topics, abbreviated.", text("A topic or a pattern.")),
  connectedSeconds: number("For how long it has been connected."),
  eventsBehind: count("Events that it has not been sent yet."),
  creditAvailableBytes: nullable(number("Bytes that may be sent now; null = no limit.")),
});

const EVENT_FEED: Schema<EventFeed> = object("The PUB socket of [events] zmq.", {
  subscribers: count("Connected subscribers."),
  events: count("Events since the start."),
  dropped: nullable(count("Messages that slow subscribers have lost; null = unknown.")),
});

const WEBHOOK: Schema<Status["webhooks"][number]> = object("A receiver of client events.", {
  name: text("Its name."),
  pending: count("Events that wait."),
  oldestSeconds: number("Age of the oldest of them."),
  lost: count("Events that were removed before it got them, since the start."),
  state: word("What its sender does.", SENDER_STATES),
  sent: count("Events that it has taken since the start."),
  failures: count("Requests that failed since the start."),
});

export const STATUS_SCHEMA: Schema<Status> = object("The state of the daemon.", {
  m2push: text("The version."),
  pid: count("The process."),
  phase: word("What it does.", PHASES),
  ready: flag("Clients and publications are served."),
  notReadyReasons: list("Why it is not ready.", text("A reason, with a fix.")),
  conditions: list("The oldest first.", CONDITION),
  startedAt: text("ISO 8601."),
  uptimeSeconds: number("Since the start."),
  clients: count("Connected clients."),
  catchingUp: count("Clients that read from the history."),
  publications: count("Accepted publications since the start."),
  perSecond: RATES,
  eventLoopLagMs: number("The longest delay of the event loop in the last five seconds."),
  servers: list("One for each [[mongrel2]].", SERVER),
  history: nullable(HISTORY),
  nodes: nullable(list("The nodes of the cluster, this one first.", NODE)),
  limits: list(
    "How much of each limit is used.",
    object("One limit.", {
      limit: word("Its name.", LIMIT_NAMES),
      used: number("How much is used."),
      max: nullable(number("The limit; null = none.")),
    }),
  ),
  losses: object("Counts since the start.", {
    gaps: record("Clients that miss events, by reason.", count("Clients.")),
    rejected: record("Rejected events, by source.", record("By error code.", count("Events."))),
  }),
  hotTopics: nullable(HOT),
  slowestClients: nullable(list("The one that is furthest behind first.", SLOW)),
  eventFeed: nullable(EVENT_FEED),
  webhooks: list("One for each [[webhook]].", WEBHOOK),
});
