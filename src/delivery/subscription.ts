/** A client as it comes, from its browser or from the store, and as it is stored. */

import type { Interest } from "../matching/interest.js";
import { selectorOf, textOf } from "../matching/selector.js";
import { memoizeLast } from "../util/memoize-last.js";
import type { Client } from "./client.js";
import type { EqualIds, StoredClient, Subscriber } from "./ports.js";
import type { Server } from "./server-delivery.js";

/** What a client that connects asks for. */
export interface Subscription {
  readonly id: number;
  readonly remote: string;
  readonly interest: Interest;
  /** When its stream must end: milliseconds since 1970; undefined = never. */
  readonly expiresAt?: number | undefined;
  /** Of the keys that its tokens were signed by; undefined = it came without a token. */
  readonly keyFingerprints?: readonly string[] | undefined;
  /** Absent: nobody is told of it. */
  readonly subscriber?: Subscriber | undefined;
  /** The last event it has seen; undefined = none, "" = it does not know which, "earliest" = before everything that is held. */
  readonly lastEventId: string | undefined;
  /** Where a publisher used that id more than once: which of them it has seen. Absent = the oldest. */
  readonly equalIds?: EqualIds | undefined;
  /** Mongrel2's DOWNLOAD_CREDITS: bytes that may be under way to it; undefined = it said nothing. */
  readonly allowance?: number | undefined;
  /** Asked once, when nothing stands between it and being a client: false = it is none. Absent = it is admitted. */
  readonly admit?: () => boolean;
  /** Its first position comes as an event of the type m2push-open; false = as a block with nothing but an id. Absent = true. */
  readonly namesOpening?: boolean;
  /**
   * Makes the first bytes to the browser (the HTTP head and what comes before the first event). `after`: the id of the event
   * before the first one that will be sent, if it was asked for and is known; undefined = something may be missing.
   */
  readonly opening: (after: string | undefined) => Buffer;
}

/** Filled member by member: to spread in those that apply is slow where V8 has not compiled it yet, as in the first storm of connects. */
type Writable = { -readonly [Name in keyof StoredClient]: StoredClient[Name] };

/** What the next one to serve a client needs to know. */
export function toStoredClient(server: Server, client: Client): StoredClient {
  const {
    id,
    remote,
    audience,
    since,
    acknowledgedOffset: seen,
    coveredByServerFence: settled,
    creditLimit: allowance,
    expiresAt,
    keyFingerprints,
    subscriber,
  } = client;
  const { selectors, grants } = textsOf(audience.interest);
  const through = settled ? Math.max(seen, server.outbox.fenced) : seen;
  const known: Writable = { id, remote, since, acknowledgedOffset: through, coveredByServerFence: settled, selectors };
  if (grants.length > 0) known.grants = grants;
  if (allowance !== Number.POSITIVE_INFINITY) known.creditLimit = allowance;
  if (expiresAt !== undefined) known.expiresAt = expiresAt;
  if (keyFingerprints) known.keyFingerprints = keyFingerprints;
  if (subscriber) known.subscriber = subscriber;
  return known;
}

const textsOf = memoizeLast(({ selectors, grants }: Interest) => ({
  selectors: selectors.map(textOf),
  grants: grants.map(textOf),
}));

export function interestOf({ selectors, grants = [] }: StoredClient): Interest {
  return { selectors: selectors.map(selectorOf), grants: grants.map(selectorOf) };
}
