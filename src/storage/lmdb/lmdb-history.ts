/**
 * History in LMDB behind a tail in memory, which answers for uncommitted events and for most reads.
 *
 * The events of one turn of the event loop are one transaction, committed before any of them is sent (History.commit): a killed
 * process has never sent an event to some of its clients only. No offset is given out twice, although a browser may hold an
 * uncommitted one as its position: after an unclean shutdown, offsets continue far above the highest stored one.
 *
 * When a write fails (see #fail, which every failure passes), the unstored events are discarded before they are sent and their appends
 * reject; further appends throw at once, until a small write that is tried each second succeeds. With durability "memory" the events
 * were acknowledged: they are sent from the tail; unstored events that leave it count as trimmed, and clients that need them get a gap.
 * Long because every failure of a write passes one place.
 */
import { join } from "node:path";
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, History, HistoryPage, KeepPolicy, ReadOptions } from "../../delivery/history.js";
import { RecentKeys } from "../../delivery/recent-keys.js";
import { type AppliedRemovals, RemovalPass, type Removals } from "../../delivery/removals.js";
import { M2pushError, messageOf } from "../../errors.js";
import type { Publication } from "../../protocol/publication.js";
import type { KeyEntry } from "../../protocol/stored-key.js";
import type { Cancel, Clock } from "../../util/clock.js";
import { ClockJumpDetector } from "../../util/clock-jump-detector.js";
import { type FolderLock, lockFolder } from "../folder-lock.js";
import { Tail } from "../memory/tail.js";
import { StorageFailure, type StorageObserver } from "../storage-failure.js";
import { unusable } from "./check-file.js";
import { BASE_PAGES, keyPages, pagesToAdd } from "./commit-pages.js";
import { LmdbStore, type LmdbStoreOptions } from "./lmdb-store.js";
import { PendingCommit } from "./pending-commit.js";

export interface LmdbHistoryOptions extends LmdbStoreOptions {
  /** The folder, created if it does not exist. */
  readonly path: string;
  /** Milliseconds to wait for another daemon on the folder after SIGTERM; absent = an error at once. */
  readonly takeover?: number;
  /** The fix that an error about another process on the folder names; absent = a daemon's. */
  readonly lockFix?: string;
  /** Absent = only rejected appends tell of a failure. */
  readonly observer?: StorageObserver;
  /** Receives warnings for operators; absent = none. */
  readonly warn?: (warning: string) => void;
}

/** Events trimmed in one transaction: 0.3 ms; 1.6 ms for single events or custom ids; 4 ms for large events. */
const TRIM_BATCH_EVENTS = 512;
/** Trim transactions of one interval, to remove the surplus of a burst soon. */
const MAX_TRIM_ROUNDS = 10;
const TRIM_INTERVAL_MS = 1000;
/** Limits of the keys that are not stored. */
const UNSTORED_KEY_WINDOW_MS = 3_600_000;
const MAX_UNSTORED_KEYS = 10_000;
/** Limit of the pages that must be free before publications are accepted again: 1 MB. */
const MAX_PROBE_PAGES = 256;
export const HISTORY_FILE = "history.mdb";

export async function openLmdbHistory(options: LmdbHistoryOptions, clock: Clock): Promise<LmdbHistory> {
  const { path, takeover = 0, lockFix } = options;
  const lock = await lockFolder(path, clock, takeover, lockFix);
  const file = join(path, HISTORY_FILE);
  try {
    return new LmdbHistory(new LmdbStore(file, options, clock), options, clock, lock);
  } catch (cause) {
    await lock.release();
    if (cause instanceof M2pushError) throw cause;
    throw unusable(file, messageOf(cause), { cause });
  }
}

function jumpWarning(milliseconds: number): string {
  const by = `${Math.round(Math.abs(milliseconds) / 1000)} s ${milliseconds > 0 ? "forward" : "back"}`;
  return `the wall clock jumped ${by}: events are kept by elapsed time all the same; fix: see that the clock is kept by NTP`;
}

export class LmdbHistory implements History {
  readonly #store: LmdbStore;
  readonly #options: LmdbHistoryOptions;
  readonly #clock: Clock;
  readonly #lock: FolderLock;
  readonly #tail: Tail;
  readonly #trimTimer: Cancel;
  /** The promise of the pending events; undefined = none is pending. */
  #pendingCommit: PendingCommit | undefined;
  /** Keys of acknowledged events that are not stored yet, or could not be (durability "memory"). */
  readonly #acknowledgedKeys: RecentKeys;
  /** The highest acknowledged offset that was not stored. */
  #lastUnstoredOffset = 0;
  /** The failure since which nothing is stored; undefined = storage works. */
  #failure: StorageFailure | undefined;
  /** Pages that the failed write needed: a probe with fewer would prove nothing. */
  #probePages = BASE_PAGES;
  /** Removals that are not committed yet. */
  #pendingRemovals: Publication[] = [];
  readonly #removalPass: RemovalPass;
  #hasFinal: boolean;
  #notifyDiscarded = () => {};
  #notifyRepeatedId: (topic: string) => void = () => {};

  constructor(store: LmdbStore, options: LmdbHistoryOptions, clock: Clock, lock: FolderLock) {
    this.#store = store;
    this.#options = options;
    // A kept event may be final: what it is was not read.
    this.#hasFinal = store.hadFinal || store.keptCount > 0;
    this.#clock = clock;
    this.#lock = lock;
    this.#tail = new Tail(store.epoch, store.last);
    const windowMs = Math.min(UNSTORED_KEY_WINDOW_MS, options.keys?.windowMs ?? UNSTORED_KEY_WINDOW_MS);
    this.#acknowledgedKeys = new RecentKeys({ windowMs, maxKeys: MAX_UNSTORED_KEYS });
    this.#probe();
    this.#removalPass = new RemovalPass(store.removals, {
      remove: (applied, after) => this.#remove(applied, after),
    });
    this.#removalPass.start();
    const jumps = new ClockJumpDetector(clock, (ms) => options.warn?.(jumpWarning(ms)));
    this.#trimTimer = clock.every(TRIM_INTERVAL_MS, () => {
      jumps.check();
      store.sampleAge(this.last);
      this.#checkFile();
      if (this.#failure) this.#probe();
      this.#removalPass.start();
      for (let step = 0; step < MAX_TRIM_ROUNDS && this.#trim() === TRIM_BATCH_EVENTS; step++);
      this.#trim("sweepKept");
      for (let step = 0; step < MAX_TRIM_ROUNDS && this.#trim("trimKeys") === TRIM_BATCH_EVENTS; step++);
    });
  }

  get epoch(): string {
    return this.#store.epoch;
  }

  get last(): number {
    return this.#tail.last;
  }

  get floor(): number {
    const lost =
      this.#lastUnstoredOffset > 0 && this.#lastUnstoredOffset <= this.#tail.floor ? this.#lastUnstoredOffset : 0;
    return Math.max(this.#store.floor, lost);
  }

  get count(): number {
    return this.#tail.pending.reduce((sum, { offsets }) => sum + offsets.length, this.#store.count);
  }

  get keptCount(): number {
    return this.#store.keptCount;
  }

  get bytes(): number {
    return this.#tail.pending.reduce((sum, { bytes }) => sum + bytes, this.#store.bytes);
  }

  /** A warning about the lock, for operators; undefined = none. */
  get lockWarning(): string | undefined {
    return this.#lock.warning;
  }

  /** Blocks that were damaged when the file was opened. Readers get HistoryPage.isBroken there. */
  get damagedBlocks(): number {
    return this.#store.damagedBlocks;
  }

  onDiscarded(listener: () => void): void {
    this.#notifyDiscarded = listener;
  }

  /** Whether the previous process did not close the file. */
  get hadUncleanShutdown(): boolean {
    return this.#store.hadUncleanShutdown;
  }

  append(publication: Publication): Promise<void> | undefined {
    if (this.#failure && !this.#acknowledgesAtOnce) throw this.#failure;
    this.#tail.append(publication);
    const { storedKey, offset } = publication;
    if (publication.isFinal) this.#hasFinal = true;
    if (publication.removes) this.#pendingRemovals.push(publication);
    if (storedKey && this.#acknowledgesAtOnce)
      this.#acknowledgedKeys.add(storedKey, this.epoch, offset, this.#clock.monotonic());
    if (!this.#pendingCommit) setImmediate(() => this.commit());
    this.#pendingCommit ??= new PendingCommit();
    return this.#acknowledgesAtOnce ? undefined : this.#pendingCommit.promise;
  }

  get #acknowledgesAtOnce(): boolean {
    return this.#options.durability === "memory";
  }

  commit(): void {
    const pending = this.#pendingCommit;
    if (!pending) return;
    this.#pendingCommit = undefined;
    const blocks = this.#tail.seal();
    try {
      if (this.#failure) throw this.#failure;
      const repeatedTopics = this.#store.add(blocks);
      this.#tail.keep();
      this.#applyRemovals();
      if (this.#lastUnstoredOffset === 0) this.#acknowledgedKeys.clear();
      pending.resolve();
      for (const topic of repeatedTopics) this.#notifyRepeatedId(topic);
    } catch (cause) {
      this.#fail(cause);
      const keys = blocks.reduce((sum, block) => sum + block.keys.length, 0);
      const pages = pagesToAdd(blocks, () => 0) + keyPages(keys, () => Number.POSITIVE_INFINITY);
      this.#probePages = Math.min(pages, MAX_PROBE_PAGES);
      this.#discardUnstored(pending, this.#failure ?? cause);
    }
    const { count, bytes } = this.#store;
    if (count > this.#options.maxEvents + TRIM_BATCH_EVENTS || bytes > this.#options.maxBytes) this.#trim();
  }

  /** Rejects and discards events that were not stored; acknowledged ones stay in the tail. */
  #discardUnstored(pending: PendingCommit, failure: unknown): void {
    if (this.#acknowledgesAtOnce) {
      this.#lastUnstoredOffset = this.#tail.last;
      this.#tail.keep();
      this.#applyRemovals();
    } else {
      this.#tail.discard();
      this.#pendingRemovals = [];
      this.#notifyDiscarded();
    }
    pending.reject(failure);
  }

  /** From now on reads leave out what the removals concern. */
  #applyRemovals(): void {
    for (const publication of this.#pendingRemovals) this.removals.add(publication);
    this.#pendingRemovals = [];
    this.#removalPass.start();
  }

  /** One slice; undefined = storage fails. Unstored events that leave the tail here count as trimmed. */
  #remove(applied: AppliedRemovals, after: number): number | undefined {
    if (after === 0) this.commit();
    if (this.#failure) return undefined;
    if (after === 0) this.#tail.forget();
    try {
      const reached = this.#store.remove(applied, after);
      if (reached >= applied.through) this.#store.removed(applied);
      return reached;
    } catch (cause) {
      this.#fail(cause);
      return undefined;
    }
  }

  /** A truncated file must be detected before LMDB reads it. */
  #checkFile(): void {
    try {
      this.#store.checkLength();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Tries a small write; its success ends a failure. */
  #probe(): void {
    try {
      this.#store.probe(this.#probePages);
      if (!this.#failure) return;
      this.#failure = undefined;
      this.#probePages = BASE_PAGES;
      this.#options.observer?.storageRecovered();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #trim(oldest: "trim" | "trimKeys" | "sweepKept" = "trim"): number {
    if (this.#failure) return 0;
    try {
      return this.#store[oldest](TRIM_BATCH_EVENTS);
    } catch (cause) {
      this.#fail(cause);
      return 0;
    }
  }

  get hasFinal(): boolean {
    return this.#hasFinal;
  }

  get removals(): Removals {
    return this.#store.removals;
  }

  get keyCount(): number {
    return this.#store.keyCount + this.#acknowledgedKeys.size;
  }

  findKey(hash: string): KeyEntry | undefined {
    try {
      return this.#acknowledgedKeys.find(hash, this.#clock.monotonic()) ?? this.#store.findKey(hash);
    } catch (cause) {
      this.#fail(cause);
      throw this.#failure;
    }
  }

  /** Every failed write comes here: add, probe, trim, checkLength and close. */
  #fail(cause: unknown): void {
    this.#failure = cause instanceof StorageFailure ? cause : new StorageFailure(cause, this.#options.path);
    this.#options.observer?.storageFailed(this.#failure);
  }

  read(position: number, options: ReadOptions): HistoryPage {
    if (options.kept && position < this.floor) {
      const end = Math.min(options.through, this.floor);
      return fillPage(this.#store.readKept(position, end, options.only), position, end, options);
    }
    // The tail may hold trimmed events.
    const after = Math.max(position, this.floor);
    if (after >= this.#tail.floor) return this.#tail.read(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    return fillPage(this.#store.read(after, through, options.only), after, through, { ...options, through });
  }

  keep(policy: KeepPolicy): void {
    try {
      this.#store.keep(policy);
    } catch (cause) {
      this.#fail(cause); // the next probe tries again
    }
  }

  /** Adds kept events of another history (LmdbStore.addKept). Throws errors of LMDB. */
  addKept(publications: readonly Publication[]): void {
    this.#store.addKept(publications);
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#notifyRepeatedId = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined {
    // Stored events are older than those in the tail only. An id is removed with its event, so one of the two suffices.
    const held = [this.#store.find(id, which), this.#tail.find(id, which)];
    const [stored, recent] = held.map((it) => (it !== undefined && it > this.floor ? it : undefined));
    return (which === "newest" ? (recent ?? stored) : (stored ?? recent)) ?? this.#store.findKept(id);
  }

  async close(): Promise<void> {
    this.#trimTimer();
    this.#removalPass.close();
    this.commit();
    try {
      await this.#store.close(this.last);
    } catch (cause) {
      this.#fail(cause);
      if (!this.#options.observer) throw this.#failure;
    } finally {
      await this.#lock.release();
    }
  }
}
