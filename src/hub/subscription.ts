/** A client as it comes, from its browser or from the store, and as it is stored. */
import type { Client } from "./client.js";
import type { Interest } from "./interest.js";
import type { StoredClient, Subscriber } from "./ports.js";
import { selectorOf, textOf } from "./selector.js";
import type { Server } from "./server.js";

/** What a client that connects asks for. */
export interface Subscription {
  readonly id: number;
  readonly remote: string;
  readonly interest: Interest;
  /** When its stream must end: milliseconds since 1970; undefined = never. */
  readonly expiresAt?: number | undefined;
  /** Absent: nobody is told of it. */
  readonly subscriber?: Subscriber | undefined;
  /** The last event it has seen; undefined = none, "earliest" = before everything that is held. */
  readonly lastEventId: string | undefined;
  /** Mongrel2's DOWNLOAD_CREDITS: bytes that may be under way to it; undefined = it said nothing. */
  readonly allowance?: number | undefined;
  /**
   * Makes the first bytes to the browser (the HTTP head and what comes before the first event). `after`: the id of the event
   * before the first one that will be sent, if it was asked for and is known; undefined = something may be missing.
   */
  readonly opening: (after: string | undefined) => Buffer;
}

/** What the next one to serve a client needs to know. */
export function stored(server: Server, client: Client): StoredClient {
  const { id, remote, audience, since, seen, settled, allowance, expiresAt, subscriber } = client;
  const { selectors, grants } = audience.interest;
  return {
    id,
    remote,
    since,
    seen: settled ? Math.max(seen, server.outbox.fenced) : seen,
    settled,
    selectors: selectors.map(textOf),
    ...(grants.length > 0 && { grants: grants.map(textOf) }),
    ...(allowance !== Number.POSITIVE_INFINITY && { allowance }),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(subscriber && { subscriber }),
  };
}

export function interestOf({ selectors, grants = [] }: StoredClient): Interest {
  return { selectors: selectors.map(selectorOf), grants: grants.map(selectorOf) };
}
