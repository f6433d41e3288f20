/** Mercure draft-dunglas-mercure-08. */
import { ProtocolError } from "../../errors.js";
import { cursorIn } from "../cursor.js";
import { encodeSegment, type MercureDialect, type RequestedSelectors } from "./dialect.js";
import { isReserved } from "./reserved.js";

/** In one request; the number of the reference hub. */
const MAX_MATCHERS = 100;

/** The parameters that say what to follow. */
const MATCHERS = new Map<string, "exact" | "urlpattern">([
  ["match", "exact"],
  ["match_exact", "exact"],
  ["match_urlpattern", "urlpattern"],
]);

export const v8: MercureDialect = {
  name: "draft-08",

  /** `match`, `match_exact`, `match_urlpattern`, repeated. Other names that begin like these are other types' or mistakes. */
  asked(form) {
    const asked: RequestedSelectors[] = [];
    for (const [name, value] of form) {
      const kind = MATCHERS.get(name);
      if (kind) asked.push({ selects: kind, kind, value });
      else if (/^match/i.test(name)) throw new ProtocolError("invalid", "a type of matcher that is not known");
      else if (name === "topic") throw new ProtocolError("invalid", '"topic" is Mercure 0.x: use "match"');
    }
    if (asked.length === 0) throw new ProtocolError("invalid", 'missing "match" parameter');
    if (asked.length > MAX_MATCHERS) {
      throw new ProtocolError("invalid", `${asked.length} matchers, at most ${MAX_MATCHERS} are taken`);
    }
    return asked;
  },

  cursor: (form) => cursorIn(form, ["last_event_id"]),
  cursorHeader: "Mercure-Last-Event-ID",

  isReserved,
  reservedStatus: 400,
  joinersInTopics: false,
  tooManyTopicsStatus: 413,

  tells: ({ kind }) => kind !== "topic",
  eventType: "mercure",
  contentType: "application/json",

  pathOf: ({ subscriber, subscribed: { kind, match } }) =>
    `/${kind}/${encodeSegment(match)}/${encodeSegment(subscriber.id)}`,

  sought([kind, match, subscriber, ...more]) {
    if (kind === undefined) return {};
    if (match === undefined || more.length > 0) return undefined;
    if (kind !== "exact" && kind !== "urlpattern") return "unknown";
    return { kind, match, ...(subscriber !== undefined && { subscriber }) };
  },

  document: (id, { subscriber, subscribed: { kind, match, payload } }, active) => ({
    id,
    type: "subscription",
    match_type: kind,
    match,
    subscriber: subscriber.id,
    active,
    ...(payload !== undefined && { payload }),
  }),

  collection: (id, documents) => ({ id, type: "subscriptions", subscriptions: documents }),

  single: (document) => document,
};
