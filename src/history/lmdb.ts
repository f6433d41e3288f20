/**
 * History in LMDB: offset -> record, and id -> offset for publishers' own ids (ours say their offset themselves). lmdb
 * gathers the writes of a turn into one transaction and commits it in another thread, some 0.1 ms later; a memory tail in
 * front answers for what is not committed yet, and for most reads, which are of the newest.
 *
 * Offsets are never given out twice, though a browser may hold one that was sent but not committed when the process was
 * killed: a store that was not closed goes on far above the highest offset it holds.
 *
 * When the disk is full, appending rejects and streaming goes on from the tail; what the tail lets go of without having been
 * stored counts as trimmed, so that whoever comes back for it is told. Later appends are stored again when there is room.
 */
import { join } from "node:path";
import { type Database, open, type RootDatabase } from "lmdb";
import { M2pushError } from "../errors.js";
import { fill } from "../hub/page.js";
import type { History, Page, ReadOptions } from "../hub/ports.js";
import { offsetOf } from "../hub/position.js";
import type { Lifetime } from "../protocol/archive.js";
import type { Publication } from "../protocol/publication.js";
import type { Cancel, Clock } from "../util/clock.js";
import { tolerateStrayRejections } from "../util/stray.js";
import { checkFile, checkVersion, reasonOf, unusable } from "./check.js";
import { type Lock, lockFolder } from "./lock.js";
import { type Bounds, MemoryHistory, newEpoch } from "./memory.js";
import { decodeRecord, encodeRecord } from "./record.js";

export interface LmdbOptions extends Bounds {
  /** The folder; made if it is not there. */
  readonly path: string;
  /** When an append is done: "memory" = at once, "commit" = it outlives the process, "sync" = it outlives the machine. */
  readonly durability: "memory" | "commit" | "sync";
  /** Milliseconds to wait for another daemon on the same folder, which is told to stop; absent = none, it is an error. */
  readonly takeover?: number;
  /** The most that the file may grow to, bytes; absent = as the disk has. */
  readonly mapSize?: number;
  /** What new data goes on with; absent = a lifetime of its own. */
  readonly lifetime?: Lifetime;
  /** What to do about another process on the folder, for people; absent = what a daemon can do. */
  readonly mend?: string;
}

const VERSION = 1;
/** After a sudden end, offsets go on this far above the highest that is stored: nobody publishes as many between two commits. */
const SKIP = 1_048_576;
/** What the tail holds at most. */
const TAIL = { maxEvents: 20_000, maxBytes: 16_000_000 };
/** Trimmed in one go: removing 256 records takes about a millisecond. */
const TRIM_STEP = 256;
/** Steps of one second: after a burst the surplus is soon gone. */
const TRIM_STEPS = 20;
const TRIM_EVERY = 1000;
/** After a write has failed none is tried for this long, milliseconds: lmdb says each failure on stderr. */
const REST = 1000;
export const FILE = "history.mdb";

export async function openLmdb(options: LmdbOptions, clock: Clock): Promise<LmdbHistory> {
  const { path, takeover = 0, mend } = options;
  const lock = await lockFolder(path, clock, takeover, mend);
  try {
    checkFile(join(path, FILE));
    return new LmdbHistory(options, clock, lock);
  } catch (cause) {
    await lock.release();
    if (cause instanceof M2pushError) throw cause;
    throw unusable(join(path, FILE), cause instanceof Error ? cause.message : String(cause), cause);
  }
}

interface Waiting {
  readonly offset: number;
  readonly id: string;
  readonly record: Buffer;
  readonly done: () => void;
  readonly failed: (error: M2pushError) => void;
}

export class LmdbHistory implements History {
  readonly epoch: string;
  readonly #options: LmdbOptions;
  readonly #clock: Clock;
  readonly #lock: Lock;
  readonly #root: RootDatabase;
  readonly #events: Database<Buffer, number>;
  readonly #ids: Database<number, string>;
  readonly #meta: Database<string | number, string>;
  readonly #tail: MemoryHistory;
  readonly #timer: Cancel;
  #floor: number;
  #count = 0;
  #bytes = 0;
  /** The highest offset that could not be stored. */
  #unstored = 0;
  /** Up to here, offsets count as given out from the next start on. */
  #reserved = 0;
  /** Why the last write failed, and when the next is tried. */
  #trouble: { readonly why: string; readonly cause: unknown; readonly until: number } | undefined;
  /** What was appended in this turn of the event loop. */
  #waiting: Waiting[] = [];

  /** The lock is held and the file has been checked. */
  constructor(options: LmdbOptions, clock: Clock, lock: Lock) {
    this.#options = options;
    this.#clock = clock;
    this.#lock = lock;
    tolerateStrayRejections();
    const { path, durability, mapSize } = options;
    const file = join(path, FILE);
    this.#root = open({
      path: file,
      maxDbs: 3,
      noSync: durability !== "sync",
      overlappingSync: false,
      ...(mapSize !== undefined && { mapSize, maxMapSize: mapSize }),
    } as Parameters<typeof open>[0]);
    this.#events = this.#root.openDB({ name: "events", encoding: "binary" });
    this.#ids = this.#root.openDB({ name: "ids", encoding: "json" });
    this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
    this.epoch = this.#begin(file);
    this.#floor = Number(this.#meta.get("floor") ?? 0);
    this.#measure(file);
    const last = this.#lastOffset();
    this.#tail = new MemoryHistory({ ...TAIL, maxAge: options.maxAge }, clock, { epoch: this.epoch, last });
    this.#tail.release(last);
    // At once, so that no event can be sent before it is known that this process might be killed.
    this.#meta.putSync("last", last);
    this.#meta.putSync("closed", 0);
    this.#timer = clock.every(TRIM_EVERY, () => {
      for (let step = 0; step < TRIM_STEPS && this.#trim() === TRIM_STEP; step++);
    });
  }

  get last(): number {
    return this.#tail.last;
  }

  get floor(): number {
    const lost = this.#unstored > 0 && this.#unstored <= this.#tail.floor ? this.#unstored : 0;
    return Math.max(this.#floor, lost);
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(publication: Publication): Promise<void> | undefined {
    const record = encodeRecord(publication);
    this.#tail.append(publication);
    this.#count++;
    this.#bytes += record.length;
    const stored = this.#queue(publication, record);
    if (this.#count > this.#options.maxEvents + TRIM_STEP || this.#bytes > this.#options.maxBytes) this.#trim();
    if (this.#options.durability !== "memory") return stored;
    stored.catch(() => {}); // told by the floor
    return undefined;
  }

  read(position: number, options: ReadOptions): Page {
    // The tail may hold what is trimmed.
    const after = Math.max(position, this.floor);
    if (after >= this.#tail.floor) return this.#tail.read(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    return fill(this.#stored(after, through), after, through, { ...options, through });
  }

  find(id: string): number | undefined {
    // The oldest counts, and what is stored is older than what is in the tail only. An id goes with its event, so it is enough
    // that one of the two is there.
    const ours = offsetOf(this.epoch, id);
    const stored = ours === undefined ? this.#ids.get(id) : this.#events.doesExist(ours) ? ours : undefined;
    const found = stored !== undefined && stored > this.floor ? stored : this.#tail.find(id);
    return found !== undefined && found > this.floor ? found : undefined;
  }

  async close(): Promise<void> {
    this.#timer();
    this.#write();
    await this.#meta.put("last", Math.max(this.last, this.#reserved)).catch(() => {});
    await this.#meta.put("closed", 1).catch(() => {});
    await this.#root.flushed;
    await this.#root.close();
    await this.#lock.release();
  }

  /**
   * To be written when this turn of the event loop is over: what is published leaves first. (lmdb begins in a thread of its
   * own at once, and where that shares a core with us and Mongrel2, a lone event left 2 to 5 ms later, one time in ten.)
   */
  #queue({ offset, id }: Publication, record: Buffer): Promise<void> {
    if (this.#waiting.length === 0) setImmediate(() => this.#write());
    return new Promise((done, failed) => this.#waiting.push({ offset, id, record, done, failed }));
  }

  #write(): void {
    for (const { offset, id, record, done, failed } of this.#waiting.splice(0)) {
      this.#store(offset, id, record)
        .then(done, failed)
        .finally(() => this.#tail.release(offset));
    }
  }

  async #store(offset: number, id: string, record: Buffer): Promise<void> {
    if (this.#trouble && this.#clock.monotonic() < this.#trouble.until) throw this.#unstorable(offset, this.#trouble);
    try {
      // Both in one turn, so in one transaction.
      const writes: Promise<unknown>[] = [this.#events.put(offset, record)];
      if (offsetOf(this.epoch, id) === undefined && this.#tail.find(id) === offset && !this.#ids.doesExist(id)) {
        writes.push(this.#ids.put(id, offset));
      }
      await Promise.all(writes);
      if (this.#options.durability === "sync") await this.#root.flushed;
    } catch (cause) {
      this.#trouble = { why: await reasonOf(cause), cause, until: this.#clock.monotonic() + REST };
      throw this.#unstorable(offset, this.#trouble);
    }
  }

  #unstorable(offset: number, { why, cause }: { why: string; cause: unknown }): M2pushError {
    this.#unstored = Math.max(this.#unstored, offset);
    return new M2pushError("history.failed", `the event could not be stored: ${why}; is the disk full?`, { cause });
  }

  *#stored(after: number, through: number): Iterable<Publication> {
    for (const { key, value } of this.#events.getRange({ start: after + 1, end: through + 1 })) {
      const publication = decodeRecord(key, Buffer.from(value));
      if (publication) yield publication;
    }
  }

  /** The version and the epoch, made when the data is. */
  #begin(file: string): string {
    const version = this.#meta.get("version");
    const epoch = this.#meta.get("epoch");
    if (version === undefined && epoch === undefined) {
      const { epoch: made, floor, last } = this.#options.lifetime ?? { epoch: newEpoch(), floor: 0, last: 0 };
      this.#meta.putSync("version", VERSION);
      this.#meta.putSync("epoch", made);
      this.#meta.putSync("floor", floor);
      // Whoever this lifetime is from may have gone on with it.
      if (last > 0) this.#reserved = last + SKIP;
      return made;
    }
    if (typeof version !== "number" || typeof epoch !== "string") throw unusable(file, "it is not a history of m2push");
    checkVersion(file, version, VERSION);
    return epoch;
  }

  /** What is held, by looking at all of it: 100,000 events take about 80 ms. A bad first or last record is an error. */
  #measure(file: string): void {
    for (const { value } of this.#events.getRange({})) {
      this.#count++;
      this.#bytes += value.length;
    }
    for (const reverse of [false, true]) {
      for (const { key, value } of this.#events.getRange({ limit: 1, reverse })) {
        if (!decodeRecord(key, Buffer.from(value))) throw unusable(file, `the event at offset ${key} is damaged`);
      }
    }
  }

  #lastOffset(): number {
    let highest = Math.max(Number(this.#meta.get("last") ?? 0), this.#floor);
    for (const key of this.#events.getKeys({ limit: 1, reverse: true })) highest = Math.max(highest, key);
    return this.#meta.get("closed") === 0 ? highest + SKIP : highest;
  }

  /** Removes the oldest that are too many, too large or too old; some at a time. Returns how many. */
  #trim(): number {
    const { maxEvents, maxBytes, maxAge } = this.#options;
    const oldest = this.#clock.now() - maxAge;
    let [trimmed, floor] = [0, 0];
    // From the floor on: what was trimmed a moment ago can still be seen until it is committed.
    for (const { key, value } of this.#events.getRange({ start: this.#floor + 1, limit: TRIM_STEP })) {
      const record = decodeRecord(key, Buffer.from(value));
      if (this.#count <= maxEvents && this.#bytes <= maxBytes && record && record.time >= oldest) break;
      trimmed++;
      floor = key;
      this.#count--;
      this.#bytes -= value.length;
      this.#events.remove(key).catch(() => {});
      if (record && this.#ids.get(record.id) === key) this.#ids.remove(record.id).catch(() => {});
    }
    if (trimmed === 0) return 0;
    this.#floor = Math.max(this.#floor, floor);
    this.#meta.put("floor", this.#floor).catch(() => {});
    return trimmed;
  }
}
