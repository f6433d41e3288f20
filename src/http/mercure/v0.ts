/** Mercure 0.x: draft-dunglas-mercure-07 and its reference hub before 1.0; what deployed clients speak. */
import { ProtocolError } from "../../errors.js";
import { cursorIn } from "../cursor.js";
import { valuesOf } from "../form.js";
import { encodeSegment, type MercureDialect } from "./dialect.js";
import { isReserved } from "./reserved.js";

/** In one request; the number of the reference hub. */
const MAX_TOPICS = 100;
const CONTEXT = { "@context": "https://mercure.rocks/" };

export const v0: MercureDialect = {
  name: "0.x",

  /** `topic`, repeated: a topic, a URI template, or `*`. */
  asked(form) {
    const topics = valuesOf(form, "topic");
    if (topics.length === 0) throw new ProtocolError("invalid", 'missing "topic" parameter');
    if (topics.length > MAX_TOPICS) {
      throw new ProtocolError("invalid", `${topics.length} topics, at most ${MAX_TOPICS} are taken`);
    }
    return topics.map((value) => ({ selects: "template", kind: "topic", value }));
  },

  cursor: (form) => cursorIn(form, ["lastEventID", "Last-Event-ID"]),
  cursorHeader: "Last-Event-ID",

  /** The hub's path anywhere in it, and what leads there; but "#general" and "?page=1" are names here, not addresses. */
  isReserved: (topic, hub) => topic.includes(hub.pathname) || (!/^[#?]/.test(topic) && isReserved(topic, hub)),
  reservedStatus: 403,
  joinersInTopics: true,
  tooManyTopicsStatus: 400,

  tells: ({ kind }) => kind === "topic",
  eventType: undefined,
  contentType: "application/ld+json",

  pathOf: ({ subscriber, subscribed }) => `/${encodeSegment(subscribed.match)}/${encodeSegment(subscriber.id)}`,

  sought([match, subscriber, ...more]) {
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

  single: (document, lastEventID) => ({ ...document, lastEventID }),
};
