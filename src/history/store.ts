/**
 * The file of a history: offset -> record, and id -> offset for publishers' own ids (ours say their offset themselves), in
 * LMDB. Everything here is done when it returns.
 *
 * Transactions are synchronous: one of a single event takes 7 us, one of 100 events 50 us; through lmdb's own thread it was 54
 * and 230 us of CPU, and a lone event that shared a core with it left 2 to 5 ms later, one time in ten.
 */
import { type Database, open, type RangeOptions, type RootDatabase } from "lmdb";
import { offsetOf } from "../hub/position.js";
import type { Lifetime } from "../protocol/archive.js";
import type { Publication } from "../protocol/publication.js";
import type { Clock } from "../util/clock.js";
import { checkFile, checkVersion, unusable } from "./check.js";
import { type Bounds, newEpoch } from "./memory.js";
import { decodeRecord, stampOf } from "./record.js";
import { Runs } from "./runs.js";

export interface StoreOptions extends Bounds {
  /**
   * When an append is done: "memory" = at once, "commit" = it outlives the process, "sync" = it outlives the machine (a commit waits
   * for the disk then, and so does everything else).
   */
  readonly durability: "memory" | "commit" | "sync";
  /** The most that the file may grow to, bytes; absent = as the disk has. */
  readonly mapSize?: number;
  /** What new data goes on with; absent = a lifetime of its own. */
  readonly lifetime?: Lifetime;
}

/** One event, encoded (record.ts). */
export interface Entry {
  readonly offset: number;
  readonly id: string;
  readonly record: Buffer;
}

const VERSION = 1;
/** After a sudden end, offsets go on this far above the highest that is stored: nobody publishes as many in one turn. */
const SKIP = 1_048_576;
/** After a commit has failed none is tried for this long, milliseconds. */
const REST = 1000;

export class Store {
  readonly epoch: string;
  /** The highest offset that may have been given out before. */
  readonly last: number;
  readonly #options: StoreOptions;
  readonly #clock: Clock;
  readonly #root: RootDatabase;
  readonly #events: Database<Buffer, number>;
  readonly #ids: Database<number, string>;
  readonly #meta: Database<string | number, string>;
  readonly #held = new Runs();
  #floor: number;
  #bytes = 0;
  /** Up to here, offsets count as given out from the next start on. */
  #reserved = 0;
  /** Why the last commit failed, and when the next is tried. */
  #trouble: { readonly cause: unknown; readonly until: number } | undefined;

  /** The file must belong to this process alone. Throws "history.unusable", or what LMDB throws. */
  constructor(file: string, options: StoreOptions, clock: Clock) {
    checkFile(file);
    this.#options = options;
    this.#clock = clock;
    const { durability, mapSize } = options;
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
    this.last = this.#lastOffset();
    // At once, so that no event can be sent before it is known that this process might be killed.
    this.#meta.putSync("last", this.last);
    this.#meta.putSync("closed", 0);
  }

  /** As History has them. */
  get floor(): number {
    return this.#floor;
  }

  get count(): number {
    return this.#held.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Adds events, by rising offset: all of them, or none, and throws. */
  add(entries: readonly Entry[]): void {
    this.#transact(() => {
      for (const { offset, id, record } of entries) {
        this.#events.putSync(offset, record);
        if (offsetOf(this.epoch, id) === undefined && !this.#ids.doesExist(id)) this.#ids.putSync(id, offset);
      }
    });
    for (const { offset } of entries) this.#held.add(offset);
    this.#bytes += entries.reduce((sum, { record }) => sum + record.length, 0);
  }

  /** The events above one offset and up to another; damaged ones are left out. */
  *read(after: number, through: number): Iterable<Publication> {
    for (const { offset, record } of this.#records({ start: after + 1, end: through + 1 })) {
      const publication = decodeRecord(offset, Buffer.from(record));
      if (publication) yield publication;
    }
  }

  /** The offset of the oldest event with this id. */
  find(id: string): number | undefined {
    const ours = offsetOf(this.epoch, id);
    if (ours === undefined) return this.#ids.get(id);
    return this.#held.has(ours) ? ours : undefined;
  }

  /** Removes the oldest that are too many, too large or too old, at most so many. Returns how many. */
  trim(most: number): number {
    const { maxEvents, maxBytes, maxAge } = this.#options;
    const oldest = this.#clock.now() - maxAge;
    const old: { readonly offset: number; readonly id: string | undefined }[] = [];
    let bytes = this.#bytes;
    for (const { offset, record } of this.#records({ limit: most })) {
      const stamp = stampOf(record);
      const isWithin = this.count - old.length <= maxEvents && bytes <= maxBytes;
      // What it says of its time counts only where the record is whole: a damaged one must not hold up those behind it.
      if (isWithin && stamp && stamp.time >= oldest && decodeRecord(offset, Buffer.from(record))) break;
      const isOurs = stamp === undefined || offsetOf(this.epoch, stamp.id) !== undefined;
      old.push({ offset, id: isOurs ? undefined : stamp.id });
      bytes -= record.length;
    }
    const floor = old.at(-1)?.offset;
    if (floor === undefined) return 0;
    try {
      this.#transact(() => {
        for (const { offset, id } of old) {
          this.#events.removeSync(offset);
          if (id !== undefined && this.#ids.get(id) === offset) this.#ids.removeSync(id);
        }
        this.#meta.putSync("floor", floor);
      });
    } catch {
      return 0; // tried again
    }
    this.#floor = floor;
    this.#held.forget(floor);
    this.#bytes = bytes;
    return old.length;
  }

  /** `last`: the highest offset that was given out. */
  async close(last: number): Promise<void> {
    try {
      this.#transact(() => {
        this.#meta.putSync("last", Math.max(last, this.#reserved));
        this.#meta.putSync("closed", 1);
      });
    } catch {
      // The disk is full: the next start takes it for a sudden end.
    }
    await this.#root.close();
  }

  #transact(write: () => void): void {
    if (this.#trouble && this.#clock.monotonic() < this.#trouble.until) throw this.#trouble.cause;
    try {
      this.#root.transactionSync(write);
    } catch (cause) {
      this.#trouble = { cause, until: this.#clock.monotonic() + REST };
      throw cause;
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
    for (const { offset, record } of this.#records({})) {
      this.#held.add(offset);
      this.#bytes += record.length;
    }
    for (const reverse of [false, true]) {
      for (const { offset, record } of this.#records({ limit: 1, reverse })) {
        if (!decodeRecord(offset, Buffer.from(record)))
          throw unusable(file, `the event at offset ${offset} is damaged`);
      }
    }
  }

  #lastOffset(): number {
    let highest = Math.max(Number(this.#meta.get("last") ?? 0), this.#floor);
    for (const { offset } of this.#records({ limit: 1, reverse: true })) highest = Math.max(highest, offset);
    return this.#meta.get("closed") === 0 ? highest + SKIP : highest;
  }
  /**
   * What is stored, by rising offset. LMDB gives keys as floats, whole as they are. One such in a publication, and V8 keeps the offsets
   * of all as floats from then on, and throws away what it has compiled of all that they go through: a second after the start, in the
   * middle of a flood.
   */
  *#records(range: RangeOptions): Iterable<{ readonly offset: number; readonly record: Buffer }> {
    for (const { key, value } of this.#events.getRange(range)) yield { offset: Math.trunc(key), record: value };
  }
}
