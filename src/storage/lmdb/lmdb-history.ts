/**
 * History in LMDB, with a memory tail in front, which answers for what is not committed yet, and for most reads, which are of
 * the newest.
 *
 * What a turn of the event loop appends is one transaction, committed before anything of it is sent (History.commit): so no
 * process that is killed has sent an event to some of its clients only. Offsets are never given out twice, though a browser
 * may hold one (as its position) that was not committed then: a store that was not closed goes on far above the highest
 * offset it holds.
 *
 * When the disk is full, what could not be stored is discarded before it is sent, and its append rejects; further appends throw
 * at once, until a small write that is tried each second succeeds. With durability "memory" they were acknowledged: they are sent
 * from the tail, and what the tail lets go of without having been stored counts as trimmed, so that whoever comes back for it is
 * told.
 */
import { join } from "node:path";
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, History, HistoryPage, ReadOptions } from "../../delivery/history.js";
import { M2pushError } from "../../errors.js";
import type { Publication } from "../../protocol/publication.js";
import type { Cancel, Clock } from "../../util/clock.js";
import { ClockJumpDetector } from "../../util/clock-jump-detector.js";
import { type FolderLock, lockFolder } from "../folder-lock.js";
import { Tail } from "../memory/tail.js";
import { StorageFailure, type StorageObserver } from "../storage-failure.js";
import { unusable } from "./check-file.js";
import { BASE_PAGES, pagesToAdd } from "./commit-pages.js";
import { LmdbStore, type LmdbStoreOptions } from "./lmdb-store.js";

export interface LmdbHistoryOptions extends LmdbStoreOptions {
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Milliseconds to wait for another daemon on the same folder, which is told to stop; absent = none, it is an error. */
  readonly takeover?: number;
  /** What to do about another process on the folder, for people; absent = what a daemon can do. */
  readonly mend?: string;
  /** Absent = whoever appends learns of a failure. */
  readonly observer?: StorageObserver;
  /** Told what an operator should know; absent = nobody is. */
  readonly warn?: (warning: string) => void;
}

/** Events trimmed in one go: that takes 0.3 ms, 1.6 where each came alone or with an id of its publisher's, 4 where they are large. */
const TRIM_STEP = 512;
/** Steps of one second: after a burst the surplus is soon gone. */
const TRIM_STEPS = 10;
const TRIM_EVERY = 1000;
/** The largest room that is asked for before publications are taken again, pages: 1 MB. */
const MAX_PROBE_PAGES = 256;
export const FILE = "history.mdb";

export async function openLmdbHistory(options: LmdbHistoryOptions, clock: Clock): Promise<LmdbHistory> {
  const { path, takeover = 0, mend } = options;
  const lock = await lockFolder(path, clock, takeover, mend);
  const file = join(path, FILE);
  try {
    return new LmdbHistory(new LmdbStore(file, options, clock), options, clock, lock);
  } catch (cause) {
    await lock.release();
    if (cause instanceof M2pushError) throw cause;
    throw unusable(file, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function jumpWarning(milliseconds: number): string {
  const by = `${Math.round(Math.abs(milliseconds) / 1000)} s ${milliseconds > 0 ? "forward" : "back"}`;
  return `the wall clock jumped ${by}: events are kept by elapsed time all the same; fix: see that the clock is kept by NTP`;
}

/** Whether what was appended is stored, which is known when it has been tried. */
class Outcome {
  readonly promise: Promise<void>;
  done!: () => void;
  failed!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((done, failed) => {
      this.done = done;
      this.failed = failed;
    });
    this.promise.catch(() => {}); // the observer has been told
  }
}

export class LmdbHistory implements History {
  readonly #store: LmdbStore;
  readonly #options: LmdbHistoryOptions;
  readonly #lock: FolderLock;
  readonly #tail: Tail;
  readonly #timer: Cancel;
  /** Of what is pending; undefined = nothing is. */
  #outcome: Outcome | undefined;
  /** The highest offset that could not be stored, and was acknowledged. */
  #unstored = 0;
  /** Why nothing can be stored now. */
  #failure: StorageFailure | undefined;
  /** What the write that failed may have needed: with less there is no use in trying again. */
  #neededPages = BASE_PAGES;
  #discarded: () => void = () => {};
  #repeated: (topic: string) => void = () => {};

  constructor(store: LmdbStore, options: LmdbHistoryOptions, clock: Clock, lock: FolderLock) {
    this.#store = store;
    this.#options = options;
    this.#lock = lock;
    const { epoch, last } = store;
    this.#tail = new Tail(epoch, last);
    this.#probe();
    const jumps = new ClockJumpDetector(clock, (ms) => options.warn?.(jumpWarning(ms)));
    this.#timer = clock.every(TRIM_EVERY, () => {
      jumps.check();
      store.noteAge(this.last);
      this.#check();
      if (this.#failure) this.#probe();
      for (let step = 0; step < TRIM_STEPS && this.#trim() === TRIM_STEP; step++);
    });
  }

  get epoch(): string {
    return this.#store.epoch;
  }

  get last(): number {
    return this.#tail.last;
  }

  get floor(): number {
    const lost = this.#unstored > 0 && this.#unstored <= this.#tail.floor ? this.#unstored : 0;
    return Math.max(this.#store.floor, lost);
  }

  get count(): number {
    return this.#tail.pending.reduce((sum, { offsets }) => sum + offsets.length, this.#store.count);
  }

  get bytes(): number {
    return this.#tail.pending.reduce((sum, { bytes }) => sum + bytes, this.#store.bytes);
  }

  /** What an operator should know of the lock; undefined = nothing. */
  get lockWarning(): string | undefined {
    return this.#lock.warning;
  }

  /** Blocks that were damaged when the file was opened; a reader hears where they are: Page.isBroken. */
  get damaged(): number {
    return this.#store.damaged;
  }

  onDiscarded(listener: () => void): void {
    this.#discarded = listener;
  }

  /** Whether the process that used the file before did not close it. */
  get endedSuddenly(): boolean {
    return this.#store.endedSuddenly;
  }

  append(publication: Publication): Promise<void> | undefined {
    if (this.#failure && !this.#acknowledgesAtOnce) throw this.#failure;
    this.#tail.append(publication);
    if (!this.#outcome) setImmediate(() => this.commit());
    this.#outcome ??= new Outcome();
    return this.#acknowledgesAtOnce ? undefined : this.#outcome.promise;
  }

  get #acknowledgesAtOnce(): boolean {
    return this.#options.durability === "memory";
  }

  commit(): void {
    const outcome = this.#outcome;
    if (!outcome) return;
    this.#outcome = undefined;
    const blocks = this.#tail.seal();
    try {
      if (this.#failure) throw this.#failure;
      const repeated = this.#store.add(blocks);
      this.#tail.keep();
      outcome.done();
      for (const topic of repeated) this.#repeated(topic);
    } catch (cause) {
      this.#fail(cause);
      this.#neededPages = Math.min(
        pagesToAdd(blocks, () => 0),
        MAX_PROBE_PAGES,
      );
      this.#abandon(outcome, this.#failure ?? cause);
    }
    const { count, bytes } = this.#store;
    if (count > this.#options.maxEvents + TRIM_STEP || bytes > this.#options.maxBytes) this.#trim();
  }

  /** What could not be stored. */
  #abandon(outcome: Outcome, failure: unknown): void {
    if (this.#acknowledgesAtOnce) {
      this.#unstored = this.#tail.last;
      this.#tail.keep();
    } else {
      this.#tail.discard();
      this.#discarded();
    }
    outcome.failed(failure);
  }

  /** A file that was made shorter must be noticed before anything looks at it. */
  #check(): void {
    try {
      this.#store.check();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Whether something can be stored now. */
  #probe(): void {
    try {
      this.#store.probe(this.#neededPages);
      if (!this.#failure) return;
      this.#failure = undefined;
      this.#neededPages = BASE_PAGES;
      this.#options.observer?.storageRecovered();
    } catch (cause) {
      this.#fail(cause);
    }
  }

  #trim(): number {
    if (this.#failure) return 0;
    try {
      return this.#store.trim(TRIM_STEP);
    } catch (cause) {
      this.#fail(cause);
      return 0;
    }
  }

  #fail(cause: unknown): void {
    this.#failure = cause instanceof StorageFailure ? cause : new StorageFailure(cause, this.#options.path);
    this.#options.observer?.storageFailed(this.#failure);
  }

  read(position: number, options: ReadOptions): HistoryPage {
    // The tail may hold what is trimmed.
    const after = Math.max(position, this.floor);
    if (after >= this.#tail.floor) return this.#tail.read(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    return fillPage(this.#store.read(after, through), after, through, { ...options, through });
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#repeated = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined {
    // What is stored is older than what is in the tail only. An id goes with its event, so it is enough that one of the two is there.
    const held = [this.#store.find(id, which), this.#tail.find(id, which)];
    const [stored, recent] = held.map((it) => (it !== undefined && it > this.floor ? it : undefined));
    return which === "newest" ? (recent ?? stored) : (stored ?? recent);
  }

  async close(): Promise<void> {
    this.#timer();
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
