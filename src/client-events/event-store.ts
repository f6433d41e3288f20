/**
 * The port to what is stored for webhooks: a log of events, the sessions of clients, and how far each webhook is. Implementation:
 * storage/client-events.
 *
 * Changes are visible to reads at once. Those of one turn of the event loop are written in one transaction at its end, or by commit(). They
 * survive a kill of the process once they are written. A failed write is repeated; meanwhile the changes stay in memory, and of too many
 * events the oldest are lost.
 */
import type { ClientEventKind } from "../config/schema.js";

/** An event in the log. */
export interface LoggedEvent {
  /** Rises by one with each event, also across processes. */
  readonly sequence: number;
  readonly kind: ClientEventKind;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** JSON of an object with at least one member. */
  readonly json: string;
}

/** A client that is connected, or has left within the grace. */
export interface StoredSession {
  readonly id: string;
  readonly server: string;
  readonly connection: number;
  /** Equal for clients that may be the same visitor: see Sessions. */
  readonly visitor: string;
  /** The disconnect event that is due unless the visitor returns; absent = it is connected. */
  readonly left?: { readonly json: string; readonly time: number } | undefined;
}

/** Events that a webhook does not get any more. */
export interface LostEvents {
  /** Sequences of the first and the last one. */
  readonly from: number;
  readonly through: number;
  readonly count: number;
  /** When they happened, milliseconds since 1970. */
  readonly since: number;
  readonly until: number;
}

export interface WebhookPosition {
  /** Every event up to this one was taken by the receiver, is not for it, or is among `lost`. */
  readonly through: number;
  /** The last event of the request that may have reached the receiver; it is repeated as it was. Absent = none is under way. */
  readonly batchThrough?: number | undefined;
  /** To be reported before the next event. */
  readonly lost?: LostEvents | undefined;
}

export interface EventStore {
  /** Names the log: sequences of another one mean nothing. */
  readonly epoch: string;
  /** The sequence of the newest event; 0 = there was none. */
  readonly last: number;
  /** Every event up to this one is removed. */
  readonly floor: number;
  /** The newest event that is older than the maximum age. */
  expiredThrough(): number;
  /** Returns the sequence. */
  append(event: Omit<LoggedEvent, "sequence">): number;
  /** Events above a sequence, in order. Nothing may be changed while they are read. */
  read(after: number): Iterable<LoggedEvent>;
  /** Removes events up to this one. */
  trim(through: number): void;
  /** The sessions that an earlier process left. */
  storedSessions(): Iterable<StoredSession>;
  putSession(session: StoredSession): void;
  removeSession(id: string): void;
  position(webhook: string): WebhookPosition | undefined;
  setPosition(webhook: string, position: WebhookPosition): void;
  /** Forgets all webhooks but these. */
  keepPositions(webhooks: readonly string[]): void;
  /** Writes what has changed. Returns false where that fails: the failure is reported. */
  commit(): boolean;
  /** Writes everything and releases the file. Further calls do nothing. */
  close(): Promise<void>;
}
