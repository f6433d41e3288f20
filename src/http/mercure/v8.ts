/** Mercure draft-dunglas-mercure-08. */
import { ProtocolError } from "../../errors.js";
import { type Selector, wordsOf } from "../../matching/selector.js";
import { lastEventIdIn } from "../last-event-id.js";
import { encodeSegment, type MercureDialect, type RequestedSelector, renamedParameters } from "./dialect.js";
import { isReserved } from "./reserved.js";

/** In one request; the limit of the reference hub. */
const MAX_MATCHER_COUNT = 100;

/** The parameters that select topics. */
const MATCHERS = new Map<string, "exact" | "urlpattern">([
  ["match", "exact"],
  ["match_exact", "exact"],
  ["match_urlpattern", "urlpattern"],
]);

export const v8: MercureDialect = {
  name: "draft-08",

  /** `match`, `match_exact`, `match_urlpattern`, repeated. Another name with this prefix is an unknown type or a mistake. */
  requestedSelectors(form) {
    const selectors: RequestedSelector[] = [];
    for (const [name, value] of form) {
      const kind = MATCHERS.get(name);
      if (kind) selectors.push({ selects: kind, kind, value });
      else if (/^match/i.test(name)) throw new ProtocolError("invalid", "an unknown type of matcher");
      else if (name === "topic") throw new ProtocolError("invalid", '"topic" is Mercure 0.x: use "match"');
    }
    if (selectors.length === 0) throw new ProtocolError("invalid", 'missing "match" parameter');
    if (selectors.length > MAX_MATCHER_COUNT) {
      throw new ProtocolError("invalid", `${selectors.length} matchers, at most ${MAX_MATCHER_COUNT} are accepted`);
    }
    return selectors;
  },

  changedSelectors(form, action) {
    const matchers = renamedParameters(form, action, "match");
    return matchers.length === 0 ? [] : v8.requestedSelectors(matchers);
  },

  maxSelectorCount: MAX_MATCHER_COUNT,

  parametersOf(selectors) {
    const isPattern = ({ kind }: Selector) => kind === "urlpattern";
    const patterns = selectors.filter(isPattern).map(wordsOf);
    const match = selectors.filter((it) => !isPattern(it)).map(wordsOf);
    return { match, ...(patterns.length > 0 && { match_urlpattern: patterns }) };
  },

  lastEventId: (form) => lastEventIdIn(form, ["last_event_id"]),
  lastEventIdHeader: "Mercure-Last-Event-ID",

  isReserved,
  reservedTopicCode: "invalid",
  allowsJoiners: false,
  tooManyTopicsCode: "too_large",

  shows: ({ kind }) => kind !== "topic",
  eventType: "mercure",
  contentType: "application/json",

  pathOf: ({ subscriber, subscribed: { kind, match } }) =>
    `/${kind}/${encodeSegment(match)}/${encodeSegment(subscriber.id)}`,

  parsePath([kind, match, subscriber, ...more]) {
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

  singleDocument: (document) => document,
};
