/** Mercure 0.x: draft-dunglas-mercure-07 and its reference hub before 1.0, spoken by most deployed clients. */
import { ProtocolError } from "../../errors.js";
import { wordsOf } from "../../matching/selector.js";
import { valuesOf } from "../form.js";
import { lastEventIdIn } from "../last-event-id.js";
import { encodeSegment, type MercureDialect, renamedParameters } from "./dialect.js";
import { isReserved } from "./reserved.js";

/** In one request; the limit of the reference hub. */
const MAX_TOPIC_COUNT = 100;
const CONTEXT = { "@context": "https://mercure.rocks/" };

export const v0: MercureDialect = {
  name: "0.x",

  /** `topic`, repeated: a topic, a URI template, or `*`. */
  requestedSelectors(form) {
    const topics = valuesOf(form, "topic");
    if (topics.length === 0) throw new ProtocolError("invalid", 'missing "topic" parameter');
    if (topics.length > MAX_TOPIC_COUNT) {
      throw new ProtocolError("invalid", `${topics.length} topics, at most ${MAX_TOPIC_COUNT} are accepted`);
    }
    return topics.map((value) => ({ selects: "template", kind: "topic", value }));
  },

  changedSelectors(form, action) {
    const topics = renamedParameters(form, action, "topic");
    if (topics.some(([name]) => name !== "topic")) {
      throw new ProtocolError("invalid", `"${action}_..." is draft-08, and the stream is of 0.x: use "${action}"`);
    }
    return topics.length === 0 ? [] : v0.requestedSelectors(topics);
  },

  maxSelectorCount: MAX_TOPIC_COUNT,
  parametersOf: (selectors) => ({ topic: selectors.map(wordsOf) }),

  lastEventId: (form) => lastEventIdIn(form, ["lastEventID", "Last-Event-ID"]),
  lastEventIdHeader: "Last-Event-ID",

  /** A topic that contains the hub's path, or resolves to it; "#general" and "?page=1" are names, not addresses. */
  isReserved: (topic, hub) => topic.includes(hub.pathname) || (!/^[#?]/.test(topic) && isReserved(topic, hub)),
  reservedTopicCode: "forbidden",
  allowsJoiners: true,
  tooManyTopicsCode: "invalid",

  shows: ({ kind }) => kind === "topic",
  eventType: undefined,
  contentType: "application/ld+json",

  pathOf: ({ subscriber, subscribed }) => `/${encodeSegment(subscribed.match)}/${encodeSegment(subscriber.id)}`,

  parsePath([match, subscriber, ...more]) {
    if (more.length > 0) return undefined;
    return { ...(match !== undefined && { match }), ...(subscriber !== undefined && { subscriber }) };
  },

  document: (id, { subscriber, subscribed }, active) => ({
    ...CONTEXT,
    id,
    type: "Subscription",
    subscriber: subscriber.id,
    topic: subscribed.match,
    active,
    ...(subscribed.payload !== undefined && { payload: subscribed.payload }),
  }),

  collection: (id, documents, lastEventID) => ({
    ...CONTEXT,
    id,
    type: "Subscriptions",
    lastEventID,
    subscriptions: documents,
  }),

  singleDocument: (document, lastEventID) => ({ ...document, lastEventID }),
};
