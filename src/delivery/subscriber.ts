/** A client as the subscription API and presence events show it (Mercure, "Active Subscriptions"). JSON, stored with the client. */

/** A value that JSON can represent. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** One selector of a subscriber, as it was requested. */
export interface Subscribed {
  /** How `match` is interpreted: "topic" in Mercure 0.x, "exact" or "urlpattern" in draft-08. */
  readonly kind: "topic" | "exact" | "urlpattern";
  readonly match: string;
  /** The part of its token that others may see. */
  readonly payload?: JsonValue;
}

export interface Subscriber {
  /** Unique to this connection and never chosen by the client: "urn:uuid:...". */
  readonly id: string;
  /** The `sub` claim of its token, for operators. */
  readonly subject?: string;
  readonly subscriptions: readonly Subscribed[];
}
