/** The documentation of the routes that Mongrel2 forwards: what docs/subscribe.md and docs/publish.md describe, for machines. */
import {
  anything,
  type JsonSchema,
  list,
  object,
  optional,
  record,
  type Schema,
  text,
} from "../../api-docs/json-schema.js";
import { type OperationDocs, type ParameterDocs, TEXT_CONTENT } from "../../api-docs/operation.js";
import { EVENT_SCHEMA } from "../../protocol/event-schema.js";
import { ERROR_CONTENT, errorDocs } from "./error-docs.js";

const STREAM = {
  "text/event-stream": { type: "string", description: "An event stream (WHATWG HTML 9.2); see /asyncapi.json." },
};
const FORM = "application/x-www-form-urlencoded";

const query = (name: string, doc: string, more: Partial<ParameterDocs> = {}): ParameterDocs => ({
  name,
  in: "query",
  doc,
  ...more,
});
const header = (name: string, doc: string): ParameterDocs => ({ name, in: "header", doc });

const COMMON_PARAMETERS = [
  query("latest", "The newest event of each topic first.", { schema: { const: "1" } }),
  query("last", "This number of the newest events first.", { schema: { type: "string", pattern: "^[0-9]{1,9}$" } }),
  query("since", "The events since a duration ago or a time (RFC 3339) first."),
  query("heartbeat", "Heartbeats are events of the type m2push-heartbeat.", { schema: { const: "event" } }),
  query("control", "The topics can be changed while the stream is open.", { schema: { const: "1" } }),
  header("Last-Event-ID", "The position after which the stream continues."),
];

const STREAM_RESPONSES = {
  200: { doc: "The stream.", content: STREAM },
  204: { doc: "The topic has ended, and the client has had everything: EventSource does not reconnect." },
};

export const STREAM_DOCS: OperationDocs = {
  id: "openStream",
  summary: "Open a plain event stream",
  parameters: [
    query("topic", "A topic, a URI template, or *. Absent: every public event.", { repeats: true }),
    query("last_event_id", "The position after which the stream continues, where no header can be set."),
    ...COMMON_PARAMETERS,
  ],
  responses: { ...STREAM_RESPONSES, ...errorDocs(400, 401, 429, 503) },
};

export const SUBSCRIBE_DOCS: OperationDocs = {
  id: "subscribe",
  summary: "Subscribe (Mercure)",
  parameters: [
    query("topic", "0.x: a topic, a URI template, or *.", { repeats: true }),
    query("match", "draft-08: a topic.", { repeats: true }),
    query("match_urlpattern", "draft-08: a URL pattern.", { repeats: true }),
    query("last_event_id", "draft-08: the position after which the stream continues."),
    query("lastEventID", "0.x: the same."),
    query("authorization", "0.x: the token, where no header can be set."),
    ...COMMON_PARAMETERS,
  ],
  responses: { ...STREAM_RESPONSES, ...errorDocs(400, 401, 429, 503) },
};

export const QUERY_DOCS: OperationDocs = {
  ...SUBSCRIBE_DOCS,
  id: "subscribeByQuery",
  summary: "Subscribe, with the parameters in the body (RFC 10008)",
  body: { [FORM]: { type: "object", description: "The parameters of GET." } },
  responses: { ...STREAM_RESPONSES, ...errorDocs(400, 401, 413, 415, 429, 503) },
};

const PUBLISHED: JsonSchema = object<{ readonly id: string }>("One event was published.", {
  id: text("The id of the event."),
}).json;
interface EventError {
  readonly code: string;
  readonly message: string;
}
const EVENT_ERROR = object<EventError>("Why it was not published.", {
  code: text("The error code."),
  message: text("What happened, what was expected, and a fix."),
});
const RESULTS: Schema<{ readonly events: readonly { readonly id?: string; readonly error?: EventError }[] }> = object(
  "What became of each event of a batch.",
  {
    events: list(
      "In the order of the batch.",
      object("An id, or an error.", { id: optional(text("The id of the event.")), error: optional(EVENT_ERROR) }),
    ),
  },
);
const BATCH_ERRORS = { "application/json": RESULTS.json };

export const PUBLISH_DOCS: OperationDocs = {
  id: "publish",
  summary: "Publish an event or a batch",
  parameters: [
    header("Idempotency-Key", "A repeat with the same key publishes nothing and gets the first response."),
    header("If-Match", "Publish only if the newest event of the topic has this id."),
    header("If-None-Match", "*: publish only if the topic has no event."),
  ],
  body: {
    [FORM]: {
      type: "object",
      description: "Mercure's form.",
      properties: {
        topic: { type: "array", items: { type: "string" } },
        data: { type: "string" },
        private: { type: "string" },
        id: { type: "string" },
        type: { type: "string" },
        retry: { type: "string", pattern: "^[0-9]+$" },
        ttl: { type: "string" },
      },
      required: ["topic"],
    },
    "application/json": { anyOf: [EVENT_SCHEMA, { type: "array", items: EVENT_SCHEMA }] },
    "application/x-ndjson": { type: "string", description: "One event in each line." },
    "application/cloudevents+json": { type: "object", description: "A CloudEvent in the structured mode." },
    "application/cloudevents-batch+json": { type: "array", items: { type: "object" } },
  },
  responses: {
    200: {
      doc: "Published: the id as text to a form, JSON to everything else.",
      content: { ...TEXT_CONTENT, "application/json": { anyOf: [PUBLISHED, RESULTS.json] } },
    },
    ...withBatches(errorDocs(400, 401, 403, 412, 413, 415, 422, 429, 501, 503)),
  },
};

/** A batch of which a part failed has the results in the body. */
function withBatches(errors: ReturnType<typeof errorDocs>): ReturnType<typeof errorDocs> {
  return Object.fromEntries(
    Object.entries(errors).map(([status, docs]) => [
      status,
      { ...docs, content: { ...ERROR_CONTENT, ...BATCH_ERRORS } },
    ]),
  );
}

export const REMOVE_DOCS: OperationDocs = {
  id: "removeEvents",
  summary: "Take events back",
  parameters: [
    query("topic", "Every stored event of this topic. One of topic, id and before is required."),
    query("id", "The events with this id."),
    query("before", "The events from before this time (RFC 3339)."),
  ],
  responses: {
    200: {
      doc: "Removed.",
      content: {
        "application/json": object<{ readonly removed: number }>("Removed.", {
          removed: { json: { type: "integer", minimum: 0, description: "The number of events." } },
        }).json,
      },
    },
    ...errorDocs(400, 401, 403, 404, 413, 429, 503),
  },
};

export const CHANGE_TOPICS_DOCS: OperationDocs = {
  id: "changeTopics",
  summary: "Add and remove topics of an open stream",
  parameters: [{ name: "name", in: "path", doc: "The name of the stream: the header M2push-Stream of its response." }],
  body: {
    [FORM]: { type: "object", description: "add, add_urlpattern, remove, remove_urlpattern, last_event_id, since." },
  },
  responses: {
    200: {
      doc: "Changed.",
      content: {
        "application/json": {
          type: "object",
          description:
            "Where the change holds, and the parameters of a request for the topics that the stream has now.",
          properties: { position: { type: "string" } },
          required: ["position"],
          additionalProperties: record("Values of one parameter.", list("Values.", text("A value."))).json
            .additionalProperties,
        },
      },
    },
    ...errorDocs(400, 401, 403, 404, 413, 415, 503),
  },
};

const SUBSCRIPTIONS = {
  "application/ld+json": anything("0.x: subscriptions as JSON-LD.").json,
  "application/json": anything("draft-08: subscriptions.").json,
};

/** `parameters`: of the path. */
export const subscriptionsDocs = (id: string, parameters: readonly string[]): OperationDocs => ({
  id,
  summary: "List active subscriptions",
  parameters: [
    ...parameters.map(
      (name): ParameterDocs => ({ name, in: "path", doc: `${name} of the subscription, percent-encoded.` }),
    ),
    header("If-None-Match", "The ETag of an earlier response."),
  ],
  responses: {
    200: { doc: "All active subscriptions, those of one topic, or one.", content: SUBSCRIPTIONS },
    304: { doc: "Nothing has changed." },
    ...errorDocs(400, 401, 403, 404, 503),
  },
});

export const METADATA_DOCS: OperationDocs = {
  id: "hubMetadata",
  summary: "Metadata of the hub (RFC 9728)",
  responses: {
    200: {
      doc: "What the hub supports, and which issuers it trusts.",
      content: {
        "application/json": {
          type: "object",
          required: ["resource", "bearer_methods_supported"],
          properties: { resource: { type: "string" } },
        },
      },
    },
    ...errorDocs(),
  },
};

export const PREFLIGHT_DOCS: OperationDocs = {
  id: "preflight",
  summary: "Methods of the path, and the answer to a CORS preflight",
  responses: { 204: { doc: "Allow has the methods." }, ...errorDocs() },
};
