/** AsyncAPI 3 of the event streams and of the ZeroMQ sockets for publishers and backends, at the configured addresses. */
import {
  anything,
  count,
  flag,
  type JsonSchema,
  list,
  number,
  object,
  optional,
  type Schema,
  text,
  word,
} from "../api-docs/json-schema.js";
import type { ClientEvent } from "../client-events/client-event.js";
import { type Config, EVENT_KINDS } from "../config/schema.js";
import { GAP_REASONS } from "../delivery/reasons.js";
import { EVENT_SCHEMA } from "../protocol/event-schema.js";

const SELECTORS: Schema<NonNullable<ClientEvent["selectors"]>> = list("What it follows.", anything("A selector."));

const CLIENT_EVENT: Schema<ClientEvent> = object("What a backend is told of clients.", {
  kind: word("What happened.", EVENT_KINDS),
  time: text("ISO 8601."),
  daemon: text("Host and process."),
  server: optional(text("The [[mongrel2]] name.")),
  ident: optional(text("Its send_ident.")),
  connection: optional(count("Mongrel2's connection id.")),
  connections: optional(list("Of a gap: all clients that missed the same.", count("A connection id."))),
  remote: optional(text("The address of the visitor.")),
  subject: optional(text("The sub claim of its token.")),
  selectors: optional(SELECTORS),
  moreSelectors: optional(count("Selectors that are left out.")),
  lastEventId: optional(text("As the client sent it, abbreviated.")),
  reason: optional(text("Of a disconnect or a gap.")),
  connectedSeconds: optional(number("From its connect to its disconnect.")),
  eventId: optional(text("Of a publication.")),
  topics: optional(list("Of a publication.", text("A topic."))),
  private: optional(flag("Of a publication.")),
  bytes: optional(count("Of a publication.")),
});

/** The data of the events that the daemon itself puts into a stream, by their type. A test compares them with the source. */
const NOTICES: Readonly<Record<string, readonly [doc: string, data: JsonSchema]>> = {
  "m2push-open": [
    "The first position of a stream; with control=1 its name.",
    { type: "object", properties: { stream: { type: "string" } }, additionalProperties: false },
  ],
  "m2push-gap": [
    "Events are missing. oldest: the position before the oldest stored event.",
    {
      type: "object",
      properties: { reason: { enum: GAP_REASONS }, oldest: { type: "string" } },
      required: ["reason", "oldest"],
    },
  ],
  "m2push-topics": ["From here on the changed topics hold.", { type: "object" }],
  "m2push-heartbeat": ["With heartbeat=event: seconds to the next one.", { type: "number", exclusiveMinimum: 0 }],
};

const REPLY: JsonSchema = {
  type: "object",
  description:
    "What became of the message of a REQ or DEALER socket: id, error, or events with the result of each event.",
  properties: {
    id: { type: "string" },
    error: { type: "object", required: ["code", "message"] },
    events: { type: "array" },
  },
};

const message = (doc: string, payload: JsonSchema, contentType = "application/json"): JsonSchema => ({
  summary: doc,
  contentType,
  payload,
});

/** The messages of an event stream; `data` of a notice is JSON. */
const STREAM_MESSAGES = {
  event: message("An event as it was published.", { type: "string", description: "The data." }, "text/event-stream"),
  ...Object.fromEntries(
    Object.entries(NOTICES).map(([type, [doc, data]]) => [type, { ...message(doc, data), name: type }]),
  ),
};

interface Channel {
  readonly name: string;
  readonly server: string;
  readonly address: string;
  readonly doc: string;
  /** What the daemon does there. */
  readonly action: "send" | "receive";
  readonly messages: Readonly<Record<string, JsonSchema>>;
}

/** `version`: of m2push. Sockets that are switched off are left out. Long because it lists the channels. */
export function describeChannels(version: string, { hub, stream, publish, events }: Config): JsonSchema {
  const web = { host: new URL(hub.origin).host, protocol: new URL(hub.origin).protocol.slice(0, -1) };
  const channels: Channel[] = [
    {
      name: "stream",
      server: "web",
      address: stream.path,
      doc: "Plain event stream.",
      action: "send",
      messages: STREAM_MESSAGES,
    },
    {
      name: "hub",
      server: "web",
      address: hub.path,
      doc: "Mercure stream.",
      action: "send",
      messages: STREAM_MESSAGES,
    },
  ];
  const servers: Record<string, JsonSchema> = { web: { ...web, description: "Mongrel2: Server-Sent Events." } };
  if (publish.zmq !== "") {
    servers.publishers = { ...zmqServer(publish.zmq), description: "A bound socket for PUSH, REQ and DEALER sockets." };
    const [one, batch] = [EVENT_SCHEMA, { type: "array", items: EVENT_SCHEMA }];
    const messages = { event: message("One event.", one), batch: message("A batch.", batch) };
    const [address, doc] = ["publish", "Publications, in one ZeroMQ part."];
    channels.push({ name: "publish", server: "publishers", address, doc, action: "receive", messages });
    const replies = { reply: message("The result.", REPLY) };
    channels.push({
      name: "replies",
      server: "publishers",
      address: "reply",
      doc: "Replies to REQ and DEALER sockets.",
      action: "send",
      messages: replies,
    });
  }
  if (events.zmq !== "") {
    servers.backends = { ...zmqServer(events.zmq), description: "A bound PUB socket: two parts, the topic and JSON." };
    const messages = { clientEvent: message("A client event, with its numbers.", withNumbers(CLIENT_EVENT.json)) };
    channels.push({
      name: "clientEvents",
      server: "backends",
      address: "events",
      doc: "docs/events.md",
      action: "send",
      messages,
    });
  }
  return {
    asyncapi: "3.0.0",
    info: { title: "m2push", version, description: "Event streams and ZeroMQ sockets. HTTP: /openapi.json." },
    defaultContentType: "application/json",
    servers,
    channels: Object.fromEntries(channels.map((it) => [it.name, channelOf(it)])),
    operations: Object.fromEntries(channels.map((it) => [`${it.action}_${it.name}`, operationOf(it)])),
  };
}

/** The feed adds numbers by which a subscriber sees its losses. */
const withNumbers = (schema: JsonSchema): JsonSchema => ({ ...schema, additionalProperties: true });

const zmqServer = (address: string): JsonSchema => ({ host: address.replace(/^[a-z]+:\/\//, ""), protocol: "zmq" });

const channelOf = ({ address, doc, server, messages }: Channel): JsonSchema => ({
  address,
  description: doc,
  servers: [{ $ref: `#/servers/${server}` }],
  messages,
});

const operationOf = ({ name, action, doc }: Channel): JsonSchema => ({
  action,
  summary: doc,
  channel: { $ref: `#/channels/${name}` },
});
