/** The port behind which requests under way are recorded, for the next process: see storage/clients/file-request-record.ts. */

/** What a process, or a link, that ended has left of the requests of one server. */
export interface PreviousRequests {
  /** The highest connection id whose request was read; requests of higher ids were lost if this process does not hear of them. */
  readonly highest: number;
  /** Read and not answered: nobody will answer them. */
  readonly unanswered: ReadonlySet<number>;
  /** Answered, and the connection was kept open for another request. */
  readonly kept: ReadonlySet<number>;
  /** As in Legacy: none was lost. */
  readonly cleanStop: boolean;
}

/** A connection that may wait for an answer or for events that nobody will send; see mongrel2/orphans.ts. */
export interface Orphan {
  readonly id: number;
  /** What was lost: one request (rule R4), or the record of a stream (rule S1). */
  readonly kind: "request" | "stream";
  /** No byte has moved on it since: Clock.monotonic(). */
  readonly quietSince: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * The requests of one server, kept where the next process finds them even if this one is killed: what was said in a turn of the
 * event loop is on disk when that turn is over. Calls return at once and never throw. Sets of ids are bounded, because strangers
 * grow them.
 */
export interface RequestRecord {
  /** A request of this connection was read. */
  read(id: number): void;
  /**
   * One of its requests was answered; `isKept`: the connection stays open for another. A request that became a stream is not
   * reported: it counts as unanswered until the client store has its client on disk.
   */
  answered(id: number, isKept: boolean): void;
  /** The connection is closed. */
  ended(id: number): void;
  /** Whether this process has read a request of the connection and the connection may still be open; streams apart. */
  has(id: number): boolean;
  /** The highest connection id that was ever read. */
  readonly highest: number;
  /** How many connections this process has read requests of. */
  readonly connections: number;
  /** Undefined: nothing is known of what went before, or all of it is decided. */
  readonly previous: PreviousRequests | undefined;
  /** Left undecided by an earlier process or link, or by keepOrphans(). */
  readonly orphans: readonly Orphan[];
  /** These are undecided now; the next process takes them over. */
  keepOrphans(orphans: readonly Orphan[]): void;
  /** What was to be concluded from `previous` is decided or among the orphans. */
  previousDecided(): void;
  /** The link was lost, and requests with it: what is known now becomes `previous`. */
  linkLost(): void;
  /** Mongrel2 was restarted: no id means anything any more. */
  reset(): void;
}
