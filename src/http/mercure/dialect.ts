/**
 * The two dialects of Mercure that are spoken, as translations of the same few verbs: what a request asks to follow, what
 * publishers must keep away from, how subscriptions are shown. v0.ts and v8.ts stand side by side; nothing else knows which
 * one it has before it.
 */
import type { JsonValue, Subscribed, Subscriber } from "../../delivery/subscriber.js";
import type { SelectorKind } from "../../matching/selector.js";
import type { Form } from "../form.js";

/** One thing that a request asks to follow, in the dialect's words. */
export interface RequestedSelectors {
  /** How the value selects. */
  readonly selects: SelectorKind;
  /** How subscriptions name it. */
  readonly kind: Subscribed["kind"];
  readonly value: string;
}

/** Which subscriptions are asked for; absent = all. */
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

export interface MercureDialect {
  readonly name: "0.x" | "draft-08";

  // ---- Subscribe ---------------------------------------------------------------------------------------------------
  /** Throws "invalid" for what the dialect does not allow. */
  readonly asked: (form: Form) => readonly RequestedSelectors[];
  /** The last event id that a form has, under whatever name (http/cursor.ts); "" when it has an empty one. */
  readonly cursor: (form: Form) => string | undefined;
  /** The response header that says where a replay begins. */
  readonly cursorHeader: string;

  // ---- Publish -----------------------------------------------------------------------------------------------------
  /** Whether a topic is in the hub's own namespace. `hub` is the hub's URL. */
  readonly isReserved: (topic: string, hub: URL) => boolean;
  readonly reservedStatus: number;
  /** Whether topics may have the invisible characters ZWNJ and ZWJ. */
  readonly joinersInTopics: boolean;
  readonly tooManyTopicsStatus: number;

  // ---- Active subscriptions ----------------------------------------------------------------------------------------
  /** Which subscriptions are told of in this dialect. */
  readonly tells: (subscribed: Subscribed) => boolean;
  /** The `event` field of presence events; undefined = none. */
  readonly eventType: string | undefined;
  readonly contentType: string;
  /** What comes after `<hub>/subscriptions`, for one subscription. */
  readonly pathOf: (subscription: SubscriptionView) => string;
  /** The reverse, for what a request asks for; `segments` are decoded. "unknown": a kind that is not one. Undefined: no such path. */
  readonly sought: (segments: readonly string[]) => SubscriptionQuery | "unknown" | undefined;
  /** `id` is its topic. */
  readonly document: (
    id: string,
    subscription: SubscriptionView,
    active: boolean,
  ) => { readonly [name: string]: JsonValue };
  readonly collection: (id: string, documents: readonly JsonValue[], lastEventId: string) => JsonValue;
  /** What one document of the API has besides. */
  readonly single: (document: { readonly [name: string]: JsonValue }, lastEventId: string) => JsonValue;
}

/** RFC 3986: all but unreserved characters, percent-encoded. */
export function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase()}`);
}
