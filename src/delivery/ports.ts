/**
 * The ports of the hub: what it needs from the world, stated by the hub, implemented elsewhere (see daemon.ts for who is
 * plugged into what). Each port's prose says what an implementation promises and what the hub must not assume. Long because it
 * is all of them.
 */
import type { Draft, Publication } from "../protocol/publication.js";
import type { RequestRecord } from "./request-record.js";

/**
 * A ready list of connections of one Mongrel2, at most `Outlet.maxTargets` of them, in the form the outlet writes.
 * Opaque: whoever holds one may only keep it and hand it back to the outlet that made it.
 */
export type Address = Buffer & { readonly __address?: never };

/**
 * The way out to the browsers of one Mongrel2. Everything handed to an outlet leaves in the order it was handed over, over
 * one socket. No call blocks, throws or reports failure: delivery is known only by `fence`. The buffers handed over belong
 * to the outlet from then on and must not change.
 */
export interface Outlet {
  /** Mongrel2's limits.handler_targets: the most connections that one address may hold. */
  readonly maxTargets: number;
  /** Makes the address of 1..maxTargets connections. */
  address(ids: readonly number[]): Address;
  /** Sends raw bytes to each connection of the address. An empty body would close them: use close(). */
  deliver(address: Address, body: Buffer): void;
  /** Told before a flush: how much it will be for all live clients together, bytes; those that catch up add little. */
  prepare(bytes: number): void;
  /**
   * Sends a connection the beginning of its stream. Those that come at the same moment and get the same may go together, a
   * moment later; never after anything else that is handed over for them.
   */
  open(id: number, body: Buffer): void;
  /** Closes connections politely: after what is queued for them has been written. */
  close(ids: readonly number[]): void;
  /** Closes connections at once, dropping what is queued. The only way that ends a connection which does not read. */
  cancel(ids: readonly number[]): void;
  /** Resets Mongrel2's idle clock of each connection, writes nothing to it; each dead id comes back as a notice. */
  keepAlive(ids: readonly number[]): void;
  /**
   * Calls `passed` once Mongrel2 has taken everything handed over before. Fences pass in order. A fence that is pending
   * when the link's epoch ends never passes: the hub hears of the new epoch instead. `isFlush`: it stands behind events, and is
   * measured as their way to Mongrel2; absent = true.
   */
  fence(passed: () => void, isFlush?: boolean): void;
}

/**
 * Gives every publication its position and its place in the one order that all clients see. `start` is called once, before
 * any publish. Implementations: local (this process counts), nats (a JetStream stream counts).
 */
export interface Bus {
  /** Names one lifetime of the positions: offsets of two epochs cannot be compared. [A-Za-z0-9_-]+ */
  readonly epoch: string;
  /**
   * From here on every publication of the bus is handed to `deliver`, one at a time, by rising offset, none left out. Where
   * that cannot be had, `interrupted` is called between the two that do not follow on each other: "expired" when what was
   * between them is lost (the history's floor and last are beyond it), "unknown" when the epoch is another from now on (the
   * bus's, the history's, and all its offsets).
   */
  start(deliver: Deliver, interrupted: (reason: GapReason) => void): Promise<void>;
  /**
   * Publishes one event. Two calls in a row keep their order. Settles when the event is as durable as configured; rejects
   * when that cannot be had: with "storage_failed", and no client gets the event, or with "unavailable", when nobody can tell.
   */
  publish(draft: Draft): Promise<Publication>;
  /**
   * The same for whoever wants to hear of failures only, which may be told of several events at once: a promise that events of
   * one moment may share; undefined = it is done. What publish() rejects with may be thrown. (A promise for each event in a flood
   * was a tenth of what it cost.)
   */
  post(draft: Draft): Promise<unknown> | undefined;
  close(): Promise<void>;
}

/** Takes one publication in; the promise settles when it is as durable as configured. Must not be called from inside itself. */
export type Deliver = (publication: Publication) => Promise<void> | undefined;

/** What history hands back for one read: publications by rising offset. */
export interface HistoryPage {
  readonly publications: readonly Publication[];
  /** Everything up to and including this offset has been looked at: read on from here. */
  readonly through: number;
  /** What there was up to there cannot be read any more: a reader has lost something. Nothing else is on such a page. */
  readonly isBroken?: true;
}

export interface ReadOptions {
  /** Look at nothing beyond this offset. */
  readonly through: number;
  /** Stop before the wire bytes of the page exceed this (a first publication larger than it is still returned). */
  readonly maxBytes: number;
  /** Look at so many publications at most; absent = at any number. Offsets that no publication has cost nothing. */
  readonly most?: number;
  /** Which publications to return; absent = all. */
  readonly match?: (publication: Publication) => boolean;
}

/**
 * What has been published, for clients that come back. Offsets rise but need not be dense. Positions are exclusive: "after
 * 7" begins with the first offset above 7. Trimming (by count, bytes, age) removes the oldest first and never pauses an
 * append or a read for long. Not to be assumed: that what was just read is still there in the next read.
 */
export interface History {
  /** Names one lifetime of the offsets; survives restarts as long as the data does. */
  readonly epoch: string;
  /** The highest offset ever appended or reserved; 0 before the first. */
  readonly last: number;
  /** Everything after this offset is still held: 0 when nothing was ever trimmed. A reader before it has lost something. */
  readonly floor: number;
  /** How many publications are held, and their size in bytes. */
  readonly count: number;
  readonly bytes: number;
  /**
   * Adds a publication; its offset must be above `last`. It can be read and found at once, in the same tick. Undefined when
   * it is already as durable as configured (durability "memory"); else a promise that settles then, or rejects with
   * "storage_failed". Throws that at once where it is known that nothing can be kept: then nothing was appended, and the offset
   * is free.
   */
  append(publication: Publication): Promise<void> | undefined;
  /**
   * Called before anything that was appended is sent: from then on it outlives this process, where the history is of that kind
   * at all. (Else one that is killed could have sent an event to some, and nobody could give it to the others.) Never throws:
   * what cannot be kept is discarded, and its append rejects.
   */
  commit(): void;
  /**
   * `listener` is called, in the same turn, when what was appended since the last commit is discarded: it cannot be read any more
   * and must not be sent. Absent = nothing is ever discarded.
   */
  onDiscarded?(listener: () => void): void;
  /**
   * Reads on after an offset. Never throws for an offset that is trimmed or not yet reached: the page is what there is. Throws or
   * rejects where what is there cannot be read; then it may be tried again.
   */
  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage>;
  /** `listener` is called with the topic of each publication whose publisher used an id again that is held. Absent = never. */
  onRepeatedId?(listener: (topic: string) => void): void;
  /**
   * The offset of the publication with this id (as printed in the stream, ours or a publisher's own); `which` counts when a publisher
   * used it more than once (absent = the oldest); undefined when it was never seen or is trimmed. O(log n). A promise where the
   * answer must be fetched. Throws or rejects where it cannot be looked up.
   */
  find(id: string, which?: EqualIds): number | undefined | Promise<number | undefined>;
  close(): Promise<void>;
}

/** Which of several publications with the same id. */
export type EqualIds = "oldest" | "newest";

/** Where a publication came from: HTTP, the ZeroMQ ingress, or the daemon itself (beacon, presence). */
export type PublicationSource = "http" | "zmq" | "internal";

/** Why a client is no longer connected. Labels of a metric: a closed set. */
export const DISCONNECT_REASONS = [
  /** Mongrel2 said so by itself: the client closed its connection. */
  "left",
  /** Mongrel2 said so when something was sent to it: the connection had ended without a word (probes.ts). */
  "found dead",
  /** Mongrel2 restarted or the link to it was lost: its old ids mean nothing any more. */
  "server lost",
  /** A request arrived on a connection that was streaming. */
  "second request",
  /** What it was allowed to see is over: its token has expired. */
  "expired",
  /** The key that its token was signed by is no key any more. */
  "revoked",
  /** An operator asked for it. */
  "kicked",
  /** Its patterns were too expensive for 10 s (overload.ts). */
  "too expensive",
  /** It was served public events only, and may have private ones from now on: it comes back for them. */
  "reopened",
  /** The daemon closed the stream while stopping. */
  "shutdown",
] as const;

export type DisconnectReason = (typeof DISCONNECT_REASONS)[number];

/** A value that JSON can write. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** One thing that a subscriber asked for, in its own words. */
export interface Subscribed {
  /** How the words are to be read: "topic" in Mercure 0.x, "exact" or "urlpattern" in draft-08. */
  readonly kind: "topic" | "exact" | "urlpattern";
  readonly match: string;
  /** What its token lets others see of it. */
  readonly payload?: JsonValue;
}

/** What a daemon of several says of itself. */
export interface NodeState {
  /** For operators: host and process. */
  readonly name: string;
  readonly version: string;
  readonly clients: number;
  readonly epoch: string;
  /** The offset of the newest publication that it has taken. */
  readonly position: number;
}

/** A node as another, or itself, sees it. */
export interface NodeSnapshot extends NodeState {
  /** It is the one that says so. */
  readonly self: boolean;
  /** Publications that another node has taken and this one has not. */
  readonly lag: number;
  /** Seconds since it was heard of. */
  readonly heard: number;
}

/** A client as others may be told of it (Mercure, "Active Subscriptions"); JSON, kept with the client. */
export interface Subscriber {
  /** Unique to this connection, never the client's choice: "urn:uuid:...". */
  readonly id: string;
  /** The `sub` of its token, for operators. */
  readonly subject?: string;
  readonly subscriptions: readonly Subscribed[];
}

/**
 * Hears of subscribers that come and go, in order, each once: also of those that died silently, when that is found out, and
 * of those that an earlier process served and that did not outlive it. Never throws, never waits.
 */
export interface PresenceListener {
  joined(subscriber: Subscriber): void;
  /** It was there before this process; who watches knows of it. */
  adopted(subscriber: Subscriber): void;
  left(subscriber: Subscriber): void;
}

/** Hears of subscribers of other nodes that come and go. */
export interface RemotePresenceObserver {
  joined(subscriber: Subscriber): void;
  left(subscriber: Subscriber): void;
  /** Messages were missed: some may have come or gone of whom nothing was heard. */
  missed(): void;
}

/** Why publications after a client's last one cannot be given to it. Labels of a metric: a closed set. */
export const GAP_REASONS = [
  /** They were held once, and are not any more. */
  "expired",
  /** The same, while its patterns were too expensive to match (overload.ts). */
  "overload",
  /** Its last event id was never given out by this hub, or belongs to another lifetime of the history. */
  "unknown",
  /** Only events of subscriptions are missing (who comes and goes): the list of subscriptions is to be fetched again. */
  "presence",
  /** The history could not be read, again and again. */
  "unavailable",
] as const;

export type GapReason = (typeof GAP_REASONS)[number];

/** What is remembered of a client, so that another process, or a later life of the link, can go on serving it. */
export interface StoredClient {
  readonly id: number;
  readonly remote: string;
  /** Texts of its selectors and grants: see selector.ts. */
  readonly selectors: readonly string[];
  readonly grants?: readonly string[];
  /** Milliseconds since 1970; absent = never. */
  readonly expiresAt?: number | undefined;
  /** See Client; absent = it came without a token, or with an m2push that did not keep them. */
  readonly keyFingerprints?: readonly string[] | undefined;
  readonly subscriber?: Subscriber | undefined;
  /** When it subscribed: Clock.monotonic(). */
  readonly since: number;
  /** Mongrel2 has taken everything up to this offset for it. */
  readonly acknowledgedOffset: number;
  /** Whether what its server has fenced counts for it too: it is live, and so it was when that fence was raised. */
  readonly coveredByServerFence: boolean;
  /** Bytes that may be under way to it; absent = no limit. */
  readonly creditLimit?: number | undefined;
}

/** What was left behind for one server, by an earlier process or an earlier life of the link. */
export interface PreviousClients {
  readonly clients: readonly StoredClient[];
  /** When whoever left it was last known to be there with its link whole: Clock.monotonic(). */
  readonly aliveAt: number;
  /** The process before this one answered every request that Mongrel2 had handed to it: none is lost (ClientStore.stoppedCleanly). */
  readonly cleanStop: boolean;
  /** There is no record of this server, or none that can be read: streams may be open that nobody knows of. */
  readonly isMissing: boolean;
}

/**
 * The clients of each server, kept where the next process finds them. Calls return at once; what they say is kept a moment
 * later, in order. A process that is killed loses at most the last moments: then a client's position is too low (it gets
 * some events twice), or a client is missing (it is cancelled and comes back), never the reverse.
 */
export interface ClientStore {
  /**
   * What was left for this server, when the store was opened. Positions of another epoch are those of a client that has seen nothing
   * (BEFORE_ALL). `cleanStop` is gone from the disk by then: a process that is killed from now on may have read requests that nobody
   * answers.
   */
  previousClients(server: string): PreviousClients;
  /** The requests of this server: always the same object. */
  requests(server: string): RequestRecord;
  /** A client has come, or its position is known better. Overwrites. */
  put(server: string, client: StoredClient): void;
  remove(server: string, id: number): void;
  /** Every settled client of the server has seen everything up to this offset. */
  fenced(server: string, through: number): void;
  /** From now on this process knows what is stored for the server to be true, and says so as long as it lives. */
  markTrusted(server: string): void;
  /** It cannot say so any more: the link was lost. */
  markUntrusted(server: string): void;
  /** The last thing said of a server: no request that Mongrel2 has handed to this process is without an answer. */
  stoppedCleanly(server: string): void;
  /** From now on positions are of another epoch: what is stored of clients stays, but their positions mean nothing. */
  renew(epoch: string): void;
  /** Keeps everything that was said, and lets go. */
  close(): Promise<void>;
}
