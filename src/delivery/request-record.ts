/** The port that records requests in progress for the next process; storage/clients/file-request-record.ts implements it. */

/** Requests of one server as the previous process, or the previous generation of the link, left them. */
export interface PreviousRequests {
  /** The highest connection id whose request was read. Requests of higher ids are lost unless this process receives them. */
  readonly highest: number;
  /** Read without a response: no process will respond to them. */
  readonly unanswered: ReadonlySet<number>;
  /** Responded to, and the connection was kept open for another request. */
  readonly kept: ReadonlySet<number>;
  /** As in PreviousClients: no request is lost. */
  readonly cleanStop: boolean;
}

/** A connection that may expect a response or events that no process will send; see mongrel2/orphans.ts. */
export interface Orphan {
  readonly id: number;
  /** What was lost: one request (rule R4), or the record of a stream (rule S1). */
  readonly kind: "request" | "stream";
  /** No byte has moved on the connection since: Clock.monotonic(). */
  readonly quietSince: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * The requests of one server. The record outlives a kill of the process: all calls of one turn of the event loop are on disk at its end.
 * Calls return at once and never throw. Sets of ids are bounded, because clients control their size.
 */
export interface RequestRecord {
  /** A request of this connection was read. */
  read(id: number): void;
  /**
   * A request of the connection has its response; `isKept`: the connection stays open for another request. A request that became a stream
   * is not reported: it counts as unanswered until the client store has its client on disk.
   */
  answered(id: number, isKept: boolean): void;
  /** The connection is closed. */
  ended(id: number): void;
  /** Whether this process has read a request of the connection and the connection may still be open; false for streams. */
  has(id: number): boolean;
  /** The highest connection id that was ever read. */
  readonly highest: number;
  /** Connections of which this process has read requests. */
  readonly connections: number;
  /** Undefined: nothing is known of the previous process, or all its requests are decided. */
  readonly previous: PreviousRequests | undefined;
  /** Left undecided by the previous process or link, or by keepOrphans(). */
  readonly orphans: readonly Orphan[];
  /** Stores the undecided connections for the next process. */
  keepOrphans(orphans: readonly Orphan[]): void;
  /** Every connection of `previous` is decided or among the orphans. */
  previousDecided(): void;
  /** The link was lost, and requests with it: the present record becomes `previous`. */
  linkLost(): void;
  /** Mongrel2 was restarted: all connection ids are invalid. */
  reset(): void;
}
