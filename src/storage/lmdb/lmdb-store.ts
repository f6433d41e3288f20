/**
 * The file of a history: events in blocks (block.ts), and id -> offset for publishers' own ids (ours say their offset themselves), in
 * LMDB. Everything here is done when it returns.
 *
 * Transactions are synchronous: one of a single event takes 7 us, one of 100 events 50 us; through lmdb's own thread it was 54
 * and 230 us of CPU, and a lone event that shared a core with it left 2 to 5 ms later, one time in ten.
 */
import { existsSync } from "node:fs";
import { type Database, open, type RangeOptions, type RootDatabase } from "lmdb";
import type { EqualIds } from "../../delivery/history.js";
import type { ArchiveHeader } from "../../protocol/archive.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import type { Clock } from "../../util/clock.js";
import { privately } from "../../util/private-files.js";
import { type HistoryLimits, newEpoch } from "../memory/memory-history.js";
import { OffsetRanges } from "../offset-ranges.js";
import { AgeIndex } from "./age-index.js";
import { type EventBlock, isWhole, nameIn, publicationsIn, recordsIn } from "./block.js";
import { checkFile, checkVersion, unusable } from "./check-file.js";
import { BASE_PAGES, pagesOfIndex, pagesToAdd } from "./commit-pages.js";
import { IdIndex } from "./id-index.js";
import { LmdbSpace, lastPageOf } from "./lmdb-space.js";

export interface LmdbStoreOptions extends HistoryLimits {
  /**
   * When an append is done: "memory" = at once, "commit" = it outlives the process, "sync" = it outlives the machine (a commit waits
   * for the disk then, and so does everything else).
   */
  readonly durability: "memory" | "commit" | "sync";
  /** The most that the file may grow to, bytes; absent = as the disk has. */
  readonly mapSize?: number;
  /** What new data goes on with; absent = a lifetime of its own. */
  readonly lifetime?: ArchiveHeader;
}

const VERSION = 2;
/** After a sudden end, offsets go on this far above the highest that is stored: nobody publishes as many in one turn. */
const SKIP = 1_048_576;
/** Events trimmed in one go where there is no room for more. */
const SMALL_TRIM = 16;

export class LmdbStore {
  readonly epoch: string;
  /** The highest offset that may have been given out before. */
  readonly last: number;
  /** Whether the process that used the file before did not close it: it was killed, it crashed, or the machine did. */
  readonly endedSuddenly: boolean;
  readonly #options: LmdbStoreOptions;
  readonly #clock: Clock;
  readonly #root: RootDatabase;
  /** By the offsets of their last events. */
  readonly #blocks: Database<Buffer, number>;
  readonly #ids: IdIndex;
  readonly #meta: Database<string | number, string>;
  readonly #held = new OffsetRanges();
  readonly #ages: AgeIndex;
  #floor: number;
  #bytes = 0;
  #damaged = 0;
  /** Up to here, offsets count as given out from the next start on. */
  #reserved = 0;
  readonly #space: LmdbSpace;
  /** Whether the file says that a process uses it, so that its sudden end will be known. */
  #isMarked = false;

  /** The file must belong to this process alone. Throws "storage_unusable", or what LMDB throws. */
  constructor(file: string, options: LmdbStoreOptions, clock: Clock) {
    checkFile(file);
    this.#options = options;
    this.#clock = clock;
    const { durability, mapSize, maxAge } = options;
    this.#ages = new AgeIndex(maxAge, clock.monotonic());
    const isNew = !existsSync(file);
    const settings = {
      path: file,
      maxDbs: 4,
      noSync: durability !== "sync",
      overlappingSync: false,
      ...(mapSize !== undefined && { mapSize, maxMapSize: mapSize }),
    } as Parameters<typeof open>[0];
    this.#root = privately(() => open(settings));
    this.#space = new LmdbSpace({ file, lastPage: () => this.#lastPage, maxBytes: mapSize });
    // Nothing can be served of a file that cannot be made; one that is there can be read while the disk is full.
    if (isNew) this.#space.claim(BASE_PAGES);
    this.#blocks = this.#root.openDB({ name: "blocks", encoding: "binary" });
    this.#ids = new IdIndex(this.#root.openDB({ name: "ids", encoding: "json" }));
    this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
    this.epoch = this.#begin(file);
    this.#floor = Number(this.#meta.get("floor") ?? 0);
    const newest = Math.max(this.#measure(file), this.#floor, Number(this.#meta.get("last") ?? 0));
    this.endedSuddenly = this.#meta.get("closed") === 0;
    this.last = this.endedSuddenly ? newest + SKIP : newest;
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

  /** Blocks that were damaged when the file was opened: what they held is lost. */
  get damaged(): number {
    return this.#damaged;
  }

  /**
   * Writes something small: whether the file can be written, and has room for this many pages. Throws what the system or LMDB says.
   * Comes before the first add(): no event can be sent before it is known that this process might be killed.
   */
  probe(pages: number): void {
    this.#transact(pages, () => {
      if (!this.#isMarked) this.#meta.putSync("last", this.last);
      this.#meta.putSync("closed", 0);
    });
    this.#isMarked = true;
  }

  /** Looks whether the file is as long as it was. Where it is not this throws, and from then on all that needs the file does. */
  check(): void {
    this.#space.check();
  }

  /** Tells which offset is the newest now: what age counts from. Call it at least as often as trim(). */
  noteAge(newest: number): void {
    this.#ages.note(newest, this.#clock.monotonic());
  }

  /** Adds blocks, by rising offset: all of them, or none, and throws. Returns the topics of events whose id was held already. */
  add(blocks: readonly EventBlock[]): readonly string[] {
    const pages = pagesToAdd(blocks, () => this.#lastPage);
    const repeated = this.#transact(pages, () =>
      blocks.flatMap((block) => {
        this.#blocks.putSync(block.last, block.stored);
        return this.#ids.add(block.names);
      }),
    );
    for (const { offsets, bytes } of blocks) {
      for (const offset of offsets) this.#held.add(offset);
      this.#bytes += bytes;
    }
    return repeated;
  }

  /** The events above one offset and up to another; a number: those up to this offset are in a block that is damaged. */
  *read(after: number, through: number): Iterable<Publication | number> {
    for (const { key, block } of this.#stored({ start: after + 1 })) {
      if (!block) {
        yield key;
        continue;
      }
      for (const publication of publicationsIn(this.epoch, Buffer.from(block))) {
        if (publication.offset > through) return;
        if (publication.offset > after) yield publication;
      }
    }
  }

  /** The offset of the oldest or newest event with this id. */
  find(id: string, which: EqualIds): number | undefined {
    const ours = offsetOf(this.epoch, id);
    this.#space.assertWhole();
    if (ours === undefined) return this.#ids.find(id, which);
    return this.#held.has(ours) ? ours : undefined;
  }

  get #lastPage(): number {
    return lastPageOf(this.#root);
  }

  /** Removes the oldest that are too many, too large or too old, at most so many. Returns how many. Throws as probe() does. */
  trim(most: number): number {
    const old = this.#old(most);
    if (old.events === 0 && old.keys.length === 0) return 0;
    const pages = pagesOfIndex(old.keys.length, old.names.length, () => this.#lastPage);
    if (most > SMALL_TRIM && !this.#space.has(pages)) return this.trim(SMALL_TRIM);
    this.#transact(pages, () => {
      for (const key of old.keys) this.#blocks.removeSync(key);
      for (const { id, offset } of old.names) this.#ids.remove(id, offset);
      this.#meta.putSync("floor", old.floor);
    });
    this.#floor = old.floor;
    this.#held.forget(old.floor);
    this.#bytes -= old.bytes;
    return old.events;
  }

  /** What trim() removes. A block goes with its last event, and a damaged one when its turn comes: nothing that it says counts. */
  #old(most: number): Old {
    const { maxEvents, maxBytes } = this.#options;
    const expired = this.#ages.expired(this.#clock.monotonic(), this.#clock.now());
    const old: Old = { keys: [], names: [], events: 0, bytes: 0, floor: this.#floor };
    for (const { key, block } of this.#stored({ limit: most })) {
      for (const record of block ? recordsIn(block) : []) {
        if (record.offset <= old.floor) continue;
        const isWithin = this.count - old.events <= maxEvents && this.#bytes - old.bytes <= maxBytes;
        if (old.events === most || (isWithin && record.offset > expired)) return old;
        const id = nameIn(record);
        if (id !== "") old.names.push({ id, offset: record.offset });
        old.events++;
        old.bytes += record.bytes;
        old.floor = record.offset;
      }
      old.keys.push(key);
      if (!block) old.floor = key; // who stands before it must be told, also when it is gone
    }
    return old;
  }

  /**
   * `last`: the highest offset that was given out. Rejects, closed nevertheless, where that cannot be written: the next start takes
   * it for a sudden end.
   */
  async close(last: number): Promise<void> {
    try {
      this.#transact(BASE_PAGES, () => {
        this.#meta.putSync("last", Math.max(last, this.#reserved));
        this.#meta.putSync("closed", 1);
      });
    } finally {
      this.#space.close();
      await this.#root.close();
    }
  }

  #transact<T>(pages: number, write: () => T): T {
    this.#space.claim(pages);
    return this.#root.transactionSync(write);
  }

  /** The version and the epoch, made when the data is. */
  #begin(file: string): string {
    const version = this.#meta.get("version");
    const epoch = this.#meta.get("epoch");
    if (version === undefined && epoch === undefined) {
      const { epoch: made, floor, last } = this.#options.lifetime ?? { epoch: newEpoch(), floor: 0, last: 0 };
      this.#transact(BASE_PAGES, () => {
        this.#meta.putSync("version", VERSION);
        this.#meta.putSync("epoch", made);
        this.#meta.putSync("floor", floor);
      });
      // Whoever this lifetime is from may have gone on with it.
      if (last > 0) this.#reserved = last + SKIP;
      return made;
    }
    if (typeof version !== "number" || typeof epoch !== "string") throw unusable(file, "it is not a history of m2push");
    checkVersion(file, version, VERSION);
    return epoch;
  }

  /**
   * What is held, by looking at all of it: 100,000 events take 70 ms, or 180 where each came alone. A bad first or last block is an error. Returns the
   * highest offset.
   */
  #measure(file: string): number {
    for (const reverse of [false, true]) {
      for (const { key, block } of this.#stored({ limit: 1, reverse })) {
        if (!block) throw unusable(file, `what it holds up to offset ${key} is damaged`);
      }
    }
    let newest = 0;
    for (const { block } of this.#stored({})) {
      if (!block) this.#damaged++;
      for (const { offset, bytes, time } of block ? recordsIn(block) : []) {
        newest = offset;
        this.#ages.addStored(offset, time);
        if (offset <= this.#floor) continue;
        this.#held.add(offset);
        this.#bytes += bytes;
      }
    }
    return newest;
  }

  /** Blocks by rising offset; undefined are those that are damaged. They are LMDB's memory. */
  *#stored(range: RangeOptions): Iterable<{ readonly key: number; readonly block: Buffer | undefined }> {
    this.#space.assertWhole();
    for (const { key, value } of this.#blocks.getRange(range)) yield { key, block: isWhole(value) ? value : undefined };
  }
}

/** What is to be removed. */
interface Old {
  /** Blocks of which nothing is left, by their last offsets. */
  readonly keys: number[];
  /** Publishers' own ids. */
  readonly names: { readonly id: string; readonly offset: number }[];
  events: number;
  bytes: number;
  /** The offset of the newest. */
  floor: number;
}
