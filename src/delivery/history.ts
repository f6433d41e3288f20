/** The port to the stored publications. Implementations: storage/memory, storage/lmdb, cluster/cluster-history.ts. */
import type { Publication } from "../protocol/publication.js";
import type { KeyEntry } from "../protocol/stored-key.js";
import type { Removals } from "./removals.js";

/** The result of one read: publications by rising offset. */
export interface HistoryPage {
  readonly publications: readonly Publication[];
  /** The read has covered every offset up to and including this one: the next read goes on after it. */
  readonly through: number;
  /** Publications up to `through` are lost: they cannot be read any more. Such a page holds no publications. */
  readonly isBroken?: true;
}

export interface ReadOptions {
  /** The last offset that the read may cover. */
  readonly through: number;
  /** The page ends before its wire bytes exceed this; a larger first publication is returned alone. */
  readonly maxBytes: number;
  /** The page ends after this number of examined publications; absent = no limit. Offsets without a publication are free. */
  readonly most?: number;
  /** Selects the publications to return; absent = all. */
  readonly match?: (publication: Publication) => boolean;
  /** The offsets that `match` may select, rising: a history may read these alone. Absent = any. */
  readonly only?: readonly number[];
  /** Also those that are kept below the floor (KeepPolicy); absent = the read begins above the floor. */
  readonly kept?: true;
  /** Also those that have expired, and those beyond the limits of their topics: for an index of what is stored. Absent = not. */
  readonly hidden?: true;
}

/** Decides which publications are kept when they are trimmed, and for how long. */
export interface KeepPolicy {
  /** Whether any may be kept at all. */
  readonly isNeeded: boolean;
  /** Whether it can be asked in this tick. Until it can, nothing is trimmed. */
  readonly isReady: boolean;
  /** Whether a publication is the newest of a topic whose newest one is kept. */
  isKept(topics: readonly string[], offset: number): boolean;
  /** One that isKept() is not kept any longer, because it has expired or was removed. */
  dropped(topics: readonly string[], offset: number): void;
}

/** Selects one of several publications with the same id. */
export type EqualIds = "oldest" | "newest";

/**
 * Published events, kept for clients that reconnect. Offsets rise but need not be dense. Positions are exclusive: "after 7" starts at the
 * first offset above 7. Trimming (by count, bytes, age) removes the oldest first and delays neither appends nor reads for long. A caller
 * must not assume that a second read still finds what the first one returned.
 */
export interface History {
  /** Names one sequence of offsets; survives restarts as long as the data does. */
  readonly epoch: string;
  /** The highest offset ever appended or reserved; 0 before the first. */
  readonly last: number;
  /** Every publication after this offset is still stored; 0 = nothing was ever trimmed. A reader before it has lost some. */
  readonly floor: number;
  /** Stored publications. */
  readonly count: number;
  /** Publications that are kept below the floor, a few included that nobody may read any more: see keep(). Absent = none are. */
  readonly keptCount?: number;
  /** Size of the stored publications, bytes. */
  readonly bytes: number;
  /**
   * Adds a publication, whose offset must be above `last`; it can be read and found in the same tick. Returns undefined when it already
   * is as durable as configured (durability "memory"), otherwise a promise that resolves then or rejects with "storage_failed". Throws
   * "storage_failed" where it is known that nothing can be stored: nothing was appended then, and the offset is free. A key that the
   * publication has is stored with it, in one transaction.
   */
  append(publication: Publication): Promise<void> | undefined;
  /**
   * What append() was given that removes other publications, as long as read() may still return those: VisibleHistory leaves them out. A
   * removed publication keeps its offset and its id, so that a client that had it goes on after it.
   */
  readonly removals: Removals;
  /**
   * Called before appended publications are sent: from then on they outlive this process, if the history is persistent at all. (A process
   * that is killed could otherwise have sent an event to some clients that the next process cannot give to the others.) Never throws:
   * publications that cannot be stored are discarded, and their appends reject.
   */
  commit(): void;
  /**
   * `listener` is called, in the same tick, when the publications appended since the last commit are discarded: they cannot be read any
   * more and must not be sent. Absent = publications are never discarded.
   */
  onDiscarded?(listener: () => void): void;
  /**
   * Reads on after an offset. Does not throw for an offset that is trimmed or not reached yet: the page covers what there is. Throws or
   * rejects where stored data cannot be read; the caller may retry.
   */
  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage>;
  /** Whether a publication that was read may still be delivered; absent = it may. */
  isVisible?(publication: Publication): boolean;
  /** False = no stored publication is final. True = one is, or was. */
  readonly hasFinal: boolean;
  /** `listener` is called with the topic of each publication whose id a stored publication already has. Absent = never called. */
  onRepeatedId?(listener: (topic: string) => void): void;
  /**
   * The offset of the publication with this id (as printed in the stream, generated or the publisher's own); `which` (default "oldest")
   * selects among equal ids; undefined when the id is unknown or trimmed, unless its event is kept. O(log n). A promise where the answer must be fetched. Throws
   * or rejects where the lookup fails.
   */
  find(id: string, which?: EqualIds): number | undefined | Promise<number | undefined>;
  /**
   * What was published with this key (StoredKey.hash); undefined = nothing within the window, or the key was evicted because there are
   * too many. Keys are kept longer than their events. Throws "storage_failed" where the keys cannot be read.
   */
  findKey(hash: string): KeyEntry | undefined;
  /** Keys that are known. */
  readonly keyCount: number;
  /**
   * From now on, trimmed publications that the policy selects can still be read, with ReadOptions.kept, also by the next process. Absent =
   * none are kept. Called again when the policy selects others.
   */
  keep?(policy: KeepPolicy): void;
  close(): Promise<void>;
}
