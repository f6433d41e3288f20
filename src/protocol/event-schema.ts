/** An event as JSON, for machine-readable documentation: the members that json-event.ts reads. */
import type { JsonSchema } from "../api-docs/json-schema.js";
import type { EventOption } from "./json-event.js";
import { LIMITS } from "./limits.js";

/** One schema for each reader of json-event.ts: the compiler demands it. */
const OPTION_SCHEMAS: Readonly<Record<EventOption, JsonSchema>> = {
  id: { type: "string", description: `The id; "" or absent: the daemon makes one. At most ${LIMITS.idBytes} bytes.` },
  type: { type: "string", description: "The type of the event in the browser; absent: message." },
  retry: { type: "integer", minimum: 0, maximum: LIMITS.retryMs, description: "Reconnection delay, milliseconds." },
  private: { type: "boolean", description: "Only subscribers whose token grants a topic get it. Default: false." },
  ttl: { anyOf: [{ type: "string" }, { type: "number" }], description: "How long it is delivered and replayed." },
  final: { type: "boolean", description: "The last event of its topics." },
  key: { type: "string", maxLength: LIMITS.keyLength, description: "Idempotency key." },
  traceparent: { type: "string", description: "The trace of the publisher (W3C Trace Context)." },
};

export const EVENT_SCHEMA: JsonSchema = {
  type: "object",
  description: "One event.",
  properties: {
    topic: { type: "string", description: `The topic, at most ${LIMITS.topicBytes} bytes.` },
    topics: {
      type: "array",
      items: { type: "string" },
      minItems: 1,
      maxItems: LIMITS.topics,
      description: "The topic, then alternates.",
    },
    data: { description: "A text is sent as it is, any other JSON value as its source." },
    ...OPTION_SCHEMAS,
  },
  required: ["data"],
  oneOf: [{ required: ["topic"] }, { required: ["topics"] }],
  additionalProperties: false,
};
