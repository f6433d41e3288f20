/** The port to the record of clients, from which the next process continues their streams. Implementations: storage/clients. */
import type { RequestRecord } from "./request-record.js";
import type { StoredSelection } from "./selection.js";
import type { StreamControl } from "./stream-control.js";
import type { Subscriber } from "./subscriber.js";

/** What the next process, or the next generation of the link, needs to continue a client's stream. */
export interface StoredClient {
  readonly id: number;
  readonly remote: string;
  /** Texts of its selectors and grants: see matching/selector.ts. */
  readonly selectors: readonly string[];
  readonly grants?: readonly string[];
  /** See Interest; absent = its heartbeats are comments. */
  readonly hasHeartbeatEvents?: true | undefined;
  /** See Interest; absent = its stream is plain. */
  readonly isCompressed?: true | undefined;
  /** Milliseconds since 1970; absent = never. */
  readonly expiresAt?: number | undefined;
  /** See Client; absent = it connected without a token, or an older version stored it. */
  readonly keyFingerprints?: readonly string[] | undefined;
  readonly tokenIds?: readonly string[] | undefined;
  readonly subscriber?: Subscriber | undefined;
  readonly subject?: string | undefined;
  /** When it subscribed: Clock.monotonic(). */
  readonly since: number;
  /** Mongrel2 has taken every publication for it up to this offset. */
  readonly acknowledgedOffset: number;
  /** Fences of its server also acknowledge publications for this client: it is live, and was when the fence was sent. */
  readonly coveredByServerFence: boolean;
  /** Bytes that may be in flight to it; absent = no limit. */
  readonly creditLimit?: number | undefined;
  /** It is being sent a selection, of which `acknowledgedOffset` tells how far; absent = it gets every publication after that offset. */
  readonly selection?: StoredSelection | undefined;
  /** Absent = its topics do not change. */
  readonly control?: StreamControl | undefined;
}

/** The clients of one server as the previous process, or the previous generation of the link, left them. */
export interface PreviousClients {
  readonly clients: readonly StoredClient[];
  /** When the previous owner was last known to run with its link intact: Clock.monotonic(). */
  readonly aliveAt: number;
  /** The previous process answered every request that Mongrel2 had handed to it: see ClientStore.stoppedCleanly. */
  readonly cleanStop: boolean;
  /** The record of this server is missing or unreadable: streams that are in no record may be open. */
  readonly isMissing: boolean;
}

/**
 * Calls return at once; the record is written a moment later, in the order of the calls. A process that is killed loses the last moments
 * at most: then a stored position is too low (the client gets some events twice) or a client is missing (it is cancelled and reconnects),
 * never the reverse.
 */
export interface ClientStore {
  /**
   * The record of this server when the store was opened. Positions of another epoch read as BEFORE_ALL. `cleanStop` is removed from the
   * disk by then: if this process is killed, it may leave requests without a response.
   */
  previousClients(server: string): PreviousClients;
  /** The requests of this server: always the same object. */
  requests(server: string): RequestRecord;
  /** Stores a client, or its new position. Overwrites. */
  put(server: string, client: StoredClient): void;
  remove(server: string, id: number): void;
  /** Resolves when the calls so far are on disk; rejects with "storage_failed" if they cannot be written now. */
  written(): Promise<void>;
  /** A fence acknowledges every publication up to this offset for every client with coveredByServerFence. */
  fenced(server: string, through: number): void;
  /** From now on the stored clients of the server are the open streams of this process, which confirms so while it runs. */
  markTrusted(server: string): void;
  /** The link was lost: the stored clients may not be connected any more. */
  markUntrusted(server: string): void;
  /** The last call for a server: this process has responded to every request that Mongrel2 handed to it. */
  stoppedCleanly(server: string): void;
  /** A new epoch begins: stored clients stay, but their positions are invalid. */
  renew(epoch: string): void;
  /** Writes everything and releases the files. */
  close(): Promise<void>;
}
