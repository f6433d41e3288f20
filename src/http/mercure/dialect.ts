/**
 * The two dialects of Mercure that are spoken, as translations of the same operations: what a request subscribes to, which topics are
 * reserved, how subscriptions are shown. v0.ts and v8.ts implement it side by side; no other module distinguishes them.
 */
import type { JsonValue, Subscribed, Subscriber } from "../../delivery/subscriber.js";
import type { ReplyCode } from "../../errors.js";
import type { Selector, SelectorKind } from "../../matching/selector.js";
import type { DialectName } from "../auth/grants.js";
import type { Form } from "../form.js";

/** One selector of a subscribe request, in the terms of the dialect. */
export interface RequestedSelector {
  /** How the value selects. */
  readonly selects: SelectorKind;
  /** How active subscriptions name it. */
  readonly kind: Subscribed["kind"];
  readonly value: string;
}

/** Which active subscriptions are requested; absent = all. */
export interface SubscriptionQuery {
  readonly kind?: Subscribed["kind"];
  readonly match?: string;
  readonly subscriber?: string;
}

/** One subscription of one subscriber. */
export interface SubscriptionView {
  readonly subscriber: Subscriber;
  readonly subscribed: Subscribed;
}

type JsonDocument = { readonly [name: string]: JsonValue };

export interface MercureDialect {
  readonly name: DialectName;

  // ---- Subscribe ---------------------------------------------------------------------------------------------------
  /** Throws "invalid" for a form that the dialect does not allow. */
  readonly requestedSelectors: (form: Form) => readonly RequestedSelector[];
  /**
   * What a change of an open stream adds or removes: `add` and `remove` stand for the parameter that selects a topic, as in
   * `add_urlpattern` for `match_urlpattern`. Empty = nothing. Throws "invalid".
   */
  readonly changedSelectors: (form: Form, action: "add" | "remove") => readonly RequestedSelector[];
  /** In one request, and of one stream. */
  readonly maxSelectorCount: number;
  /** The parameters of a request for these selectors, as in a form: the names, and their values. */
  readonly parametersOf: (selectors: readonly Selector[]) => Readonly<Record<string, readonly string[]>>;
  /** The last event id of a form, under any of its names (http/last-event-id.ts); "" if it is empty. */
  readonly lastEventId: (form: Form) => string | undefined;
  /** The response header that says where the replay begins. */
  readonly lastEventIdHeader: string;

  // ---- Publish -----------------------------------------------------------------------------------------------------
  /** Whether a topic is in the namespace of the hub. `hub` is the hub's URL. */
  readonly isReserved: (topic: string, hub: URL) => boolean;
  readonly reservedTopicCode: ReplyCode;
  /** Whether topics may contain the invisible characters ZWNJ and ZWJ. */
  readonly allowsJoiners: boolean;
  readonly tooManyTopicsCode: "invalid" | "too_large";

  // ---- Active subscriptions ----------------------------------------------------------------------------------------
  /** Whether the dialect shows a subscription. */
  readonly shows: (subscribed: Subscribed) => boolean;
  /** The `event` field of presence events; undefined = none. */
  readonly eventType: string | undefined;
  readonly contentType: string;
  /** The path of one subscription below `<hub>/subscriptions`. */
  readonly pathOf: (subscription: SubscriptionView) => string;
  /** The reverse for a request; `segments` are decoded. "unknown": an unknown kind. Undefined: no such path. */
  readonly parsePath: (segments: readonly string[]) => SubscriptionQuery | "unknown" | undefined;
  /** The document of one subscription; `id` is its topic. */
  readonly document: (id: string, subscription: SubscriptionView, active: boolean) => JsonDocument;
  readonly collection: (id: string, documents: readonly JsonValue[], lastEventId: string) => JsonValue;
  /** The document as the response to a request for it alone. */
  readonly singleDocument: (document: JsonDocument, lastEventId: string) => JsonValue;
}

/** The parameters of a form whose names are, or begin with, `action`, with `parameter` in its place. */
export function renamedParameters(form: Form, action: "add" | "remove", parameter: "topic" | "match"): Form {
  const names = new RegExp(`^${action}(?=_|$)`);
  return form.filter(([name]) => names.test(name)).map(([name, value]) => [name.replace(names, parameter), value]);
}

/** Percent-encodes every character that is not unreserved (RFC 3986). */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);
}
