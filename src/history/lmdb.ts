/**
 * History in LMDB, with a memory tail in front, which answers for what is not committed yet, and for most reads, which are of
 * the newest.
 *
 * What a turn of the event loop appends is one transaction, committed before anything of it is sent (History.commit): so no
 * process that is killed has sent an event to some of its clients only. Offsets are never given out twice, though a browser
 * may hold one (as its position) that was not committed then: a store that was not closed goes on far above the highest
 * offset it holds.
 *
 * When the disk is full, appending rejects and streaming goes on from the tail; what the tail lets go of without having been
 * stored counts as trimmed, so that whoever comes back for it is told. Later appends are stored again when there is room.
 */
import { join } from "node:path";
import { M2pushError } from "../errors.js";
import { fill } from "../hub/page.js";
import type { History, Page, ReadOptions } from "../hub/ports.js";
import type { Publication } from "../protocol/publication.js";
import type { Cancel, Clock } from "../util/clock.js";
import { ClockJumps } from "../util/clock-jumps.js";
import { unusable } from "./check.js";
import { type Lock, lockFolder } from "./lock.js";
import { Store, type StoreOptions } from "./store.js";
import { Tail } from "./tail.js";

export interface LmdbOptions extends StoreOptions {
  /** The folder; made if it is not there. */
  readonly path: string;
  /** Milliseconds to wait for another daemon on the same folder, which is told to stop; absent = none, it is an error. */
  readonly takeover?: number;
  /** What to do about another process on the folder, for people; absent = what a daemon can do. */
  readonly mend?: string;
  /** Told what an operator should know; absent = nobody is. */
  readonly warn?: (warning: string) => void;
}

/** Events trimmed in one go: that takes 0.3 ms, 1.6 where each came alone or with an id of its publisher's, 4 where they are large. */
const TRIM_STEP = 512;
/** Steps of one second: after a burst the surplus is soon gone. */
const TRIM_STEPS = 10;
const TRIM_EVERY = 1000;
export const FILE = "history.mdb";

export async function openLmdb(options: LmdbOptions, clock: Clock): Promise<LmdbHistory> {
  const { path, takeover = 0, mend } = options;
  const lock = await lockFolder(path, clock, takeover, mend);
  const file = join(path, FILE);
  try {
    return new LmdbHistory(new Store(file, options, clock), options, clock, lock);
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
  failed!: (error: M2pushError) => void;

  constructor() {
    this.promise = new Promise((done, failed) => {
      this.done = done;
      this.failed = failed;
    });
    this.promise.catch(() => {}); // told by the floor where nobody waits for it
  }
}

export class LmdbHistory implements History {
  readonly #store: Store;
  readonly #options: LmdbOptions;
  readonly #lock: Lock;
  readonly #tail: Tail;
  readonly #timer: Cancel;
  /** Of what is pending; undefined = nothing is. */
  #outcome: Outcome | undefined;
  /** The highest offset that could not be stored. */
  #unstored = 0;

  constructor(store: Store, options: LmdbOptions, clock: Clock, lock: Lock) {
    this.#store = store;
    this.#options = options;
    this.#lock = lock;
    const { epoch, last } = store;
    this.#tail = new Tail(epoch, last);
    const jumps = new ClockJumps(clock, (ms) => options.warn?.(jumpWarning(ms)));
    this.#timer = clock.every(TRIM_EVERY, () => {
      jumps.check();
      store.noteAge(this.last);
      for (let step = 0; step < TRIM_STEPS && store.trim(TRIM_STEP) === TRIM_STEP; step++);
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

  /** Blocks that were damaged when the file was opened; a reader hears where they are: Page.isBroken. */
  get damaged(): number {
    return this.#store.damaged;
  }

  append(publication: Publication): Promise<void> | undefined {
    this.#tail.append(publication);
    if (!this.#outcome) setImmediate(() => this.commit());
    this.#outcome ??= new Outcome();
    return this.#options.durability === "memory" ? undefined : this.#outcome.promise;
  }

  commit(): void {
    const outcome = this.#outcome;
    if (!outcome) return;
    this.#outcome = undefined;
    try {
      this.#store.add(this.#tail.take());
      outcome.done();
    } catch (cause) {
      this.#unstored = this.#tail.last;
      const why = `${cause instanceof Error ? cause.message : cause}; is the disk full?`;
      outcome.failed(new M2pushError("history.failed", `the event could not be stored: ${why}`, { cause }));
    }
    const { count, bytes } = this.#store;
    if (count > this.#options.maxEvents + TRIM_STEP || bytes > this.#options.maxBytes) this.#store.trim(TRIM_STEP);
  }

  read(position: number, options: ReadOptions): Page {
    // The tail may hold what is trimmed.
    const after = Math.max(position, this.floor);
    if (after >= this.#tail.floor) return this.#tail.read(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    return fill(this.#store.read(after, through), after, through, { ...options, through });
  }

  find(id: string): number | undefined {
    // The oldest counts, and what is stored is older than what is in the tail only. An id goes with its event, so it is enough
    // that one of the two is there.
    const stored = this.#store.find(id);
    const found = stored !== undefined && stored > this.floor ? stored : this.#tail.find(id);
    return found !== undefined && found > this.floor ? found : undefined;
  }

  async close(): Promise<void> {
    this.#timer();
    this.commit();
    await this.#store.close(this.last);
    await this.#lock.release();
  }
}
