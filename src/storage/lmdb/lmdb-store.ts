/**
 * The LMDB file of a history: events in blocks (block.ts), offsets of publishers' own ids (a position contains its offset), and
 * idempotency keys (key-table.ts). Long because it is the one place of its transactions.
 *
 * Transactions are synchronous: 7 us for one event, 50 us for 100. Through lmdb's own thread they took 54 and 230 us of CPU, and one
 * time in ten a single event that shared a core with it left 2 to 5 ms later.
 */
import { existsSync } from "node:fs";
import { type Database, open, type RangeOptions, type RootDatabase } from "lmdb";
import type { EqualIds, KeepPolicy } from "../../delivery/history.js";
import { type AppliedRemovals, Removals } from "../../delivery/removals.js";
import type { ArchiveHeader } from "../../protocol/archive.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import type { KeyEntry } from "../../protocol/stored-key.js";
import type { Clock } from "../../util/clock.js";
import { privately } from "../../util/private-files.js";
import { type HistoryLimits, newEpoch } from "../memory/memory-history.js";
import { OffsetRanges } from "../offset-ranges.js";
import { AgeIndex } from "./age-index.js";
import {
  customIdOf,
  EventBlock,
  isFinal,
  isIntact,
  removalOf,
  type StoredEvent,
  storedEventsIn,
  topicsOf,
  withoutRemoved,
} from "./block.js";
import { checkFile, checkVersion, unusable } from "./check-file.js";
import { BASE_PAGES, indexPages, keptPages, keyPages, pagesToAdd, pagesToReplace } from "./commit-pages.js";
import { IdIndex } from "./id-index.js";
import { BlockBuilder, type KeptChange, KeptLog } from "./kept-log.js";
import { KeyTable } from "./key-table.js";
import { LmdbSpace, lastPageOf } from "./lmdb-space.js";
import { readBlocks } from "./read-blocks.js";

export interface LmdbStoreOptions extends HistoryLimits {
  /**
   * When an append is acknowledged: "memory" = at once, "commit" = it survives a kill of the process, "sync" = it survives a crash of
   * the machine (each commit blocks the process until the disk has it).
   */
  readonly durability: "memory" | "commit" | "sync";
  /** Limit of the file, bytes; absent = the disk. */
  readonly mapSize?: number;
  /** Epoch and offsets of new data; absent = a new epoch. */
  readonly archiveHeader?: ArchiveHeader;
  /**
   * How many offsets above the highest one are lost: those of the daemon that the file is a copy of. Later processes do not give them out,
   * and readers from below get a gap. Absent = none.
   */
  readonly reservedOffsets?: number;
}

const VERSION = 2;
/** Records have flags besides "private". A file gets this version with the first such record: until then older daemons can read it. */
const FLAGS_VERSION = 3;
/** After an unclean shutdown, offsets continue this far above the highest stored one: more than one turn can publish. */
const UNCLEAN_SHUTDOWN_SKIP_OFFSETS = 1_048_576;
/** Events or keys trimmed in one transaction when the disk has no space for more. */
const SMALL_TRIM_EVENTS = 16;
/** Bytes of the blocks that one slice of a removal examines: about 500 small events. */
const REMOVAL_SLICE_BYTES = 65_536;
/** Oldest keys that are removed with each added one, while they are too many or too old. */
const REMOVALS_PER_KEY_COUNT = 2;
/** Kept events that are examined for each one that is added: so at most as many as there are wait to be removed. */
const SWEPT_PER_KEPT_COUNT = 1;

export class LmdbStore {
  readonly epoch: string;
  /** The highest offset that an earlier process may have given out. */
  readonly last: number;
  /** Whether the previous process did not close the file: a kill, or a crash of it or of the machine. */
  readonly hadUncleanShutdown: boolean;
  readonly #options: LmdbStoreOptions;
  readonly #clock: Clock;
  readonly #root: RootDatabase;
  /** By the offset of each block's last event. */
  readonly #blocks: Database<Buffer, number>;
  readonly #ids: IdIndex;
  /** Undefined = the file is older than the keys, and had no space for their tables yet. */
  #keys: KeyTable | undefined;
  readonly #meta: Database<string | number, string>;
  readonly #heldOffsets = new OffsetRanges();
  /** Those that were stored and are not applied to every block yet. */
  readonly removals = new Removals();
  readonly #ages: AgeIndex;
  /** Whether an event was final when the file was opened. */
  hadFinal = false;
  /** Undefined = no event was ever kept in this file. */
  #kept: KeptLog | undefined;
  #keepPolicy: KeepPolicy | undefined;
  #floor: number;
  #bytes = 0;
  #damagedBlocks = 0;
  /** Offsets up to this one count as given out from the next start on. */
  #reservedOffset = 0;
  /** Events up to this offset, above those that were stored when the file was restored, are lost; 0 = it never was. */
  readonly #lostOffset: number;
  readonly #space: LmdbSpace;
  #version = VERSION;
  /** Whether the file is marked as in use, so that the next process detects an unclean shutdown. */
  #isMarkedOpen = false;

  /** The caller holds the folder's lock. Throws "storage_unusable", or errors of LMDB. */
  constructor(file: string, options: LmdbStoreOptions, clock: Clock) {
    checkFile(file);
    this.#options = options;
    this.#clock = clock;
    const { durability, mapSize, maxAge } = options;
    this.#ages = new AgeIndex(maxAge, clock.monotonic());
    const isNew = !existsSync(file);
    const settings = {
      path: file,
      maxDbs: 8,
      noSync: durability !== "sync",
      overlappingSync: false,
      ...(mapSize !== undefined && { mapSize, maxMapSize: mapSize }),
    } as Parameters<typeof open>[0];
    this.#root = privately(() => open(settings));
    this.#space = new LmdbSpace({ file, lastPage: () => lastPageOf(this.#root), maxBytes: mapSize });
    // A new file needs space at once; an existing one can be read while the disk is full.
    if (isNew) this.#space.claim(BASE_PAGES);
    this.#blocks = this.#root.openDB({ name: "blocks", encoding: "binary" });
    this.#ids = new IdIndex(this.#root.openDB({ name: "ids", encoding: "json" }));
    this.#meta = this.#root.openDB({ name: "meta", encoding: "json" });
    this.epoch = this.#readOrCreateMeta(file);
    // A file that has the tables can be opened while nothing can be written.
    if (this.#meta.get("keys") === 1) this.#keys = this.#openKeys();
    else if (isNew) this.#createKeys();
    if (this.#meta.get("kept") === 1) this.#kept = this.#openKept();
    this.#floor = Number(this.#meta.get("floor") ?? 0);
    const newest = Math.max(this.#scan(file), this.#floor, Number(this.#meta.get("last") ?? 0));
    this.hadUncleanShutdown = this.#meta.get("closed") === 0;
    this.last = this.hadUncleanShutdown ? newest + UNCLEAN_SHUTDOWN_SKIP_OFFSETS : newest;
    this.#lostOffset = Number(this.#meta.get("lost") ?? 0);
    if (options.reservedOffsets) this.#reservedOffset = this.last + options.reservedOffsets;
  }

  /** See History. */
  get floor(): number {
    return this.#floor;
  }

  get count(): number {
    return this.#heldOffsets.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Blocks that were damaged when the file was opened: their events are lost. */
  get damagedBlocks(): number {
    return this.#damagedBlocks;
  }

  /**
   * Tests that the file can be written and has space for this many pages. Throws errors of the system or of LMDB. Comes before the
   * first add(): the file is marked as in use before any event is sent.
   */
  probe(pages: number): void {
    this.#transact(pages, () => {
      if (!this.#isMarkedOpen) this.#meta.putSync("last", this.last);
      this.#meta.putSync("closed", 0);
    });
    this.#isMarkedOpen = true;
    if (!this.#keys) this.#createKeys();
    if (this.#keepPolicy?.isNeeded) this.#createKept();
  }

  #createKeys(): void {
    this.#space.claim(BASE_PAGES);
    const keys = this.#openKeys();
    this.#transact(BASE_PAGES, () => this.#meta.putSync("keys", 1));
    this.#keys = keys;
  }

  #openKeys(): KeyTable {
    const keys = this.#root.openDB<Buffer, Buffer>({ name: "keys", keyEncoding: "binary", encoding: "binary" });
    const order = this.#root.openDB<Buffer, number>({ name: "key_order", encoding: "binary" });
    return new KeyTable({ keys, order }, this.#options.keys, this.#clock);
  }

  /** See History. */
  keep(policy: KeepPolicy): void {
    this.#keepPolicy = policy;
    if (policy.isNeeded) this.#createKept();
  }

  #createKept(): KeptLog {
    if (this.#kept) return this.#kept;
    this.#space.claim(BASE_PAGES);
    const kept = this.#openKept();
    this.#transact(BASE_PAGES, () => this.#meta.putSync("kept", 1));
    this.#kept = kept;
    return kept;
  }

  /** Adds kept events of another history, by rising offset and below the floor of this one: all of them, or none, and throws. */
  addKept(publications: readonly Publication[]): void {
    const kept = this.#createKept();
    const records = new BlockBuilder();
    let hasNewFlags = false;
    for (const publication of publications) {
      const block = new EventBlock(this.epoch, publication);
      hasNewFlags ||= block.hasNewFlags;
      for (const record of storedEventsIn(block.stored)) records.add(record);
    }
    if (hasNewFlags && this.#version < FLAGS_VERSION) this.#setVersion();
    this.#changeKept(kept.add(records));
  }

  #setVersion(): void {
    this.#transact(BASE_PAGES, () => this.#meta.putSync("version", FLAGS_VERSION));
    this.#version = FLAGS_VERSION;
  }

  #openKept(): KeptLog {
    return new KeptLog(this.#root.openDB<Buffer, number>({ name: "kept", encoding: "binary" }), this.epoch, this.#ids);
  }

  /** Kept events, those included that wait for the sweep. */
  get keptCount(): number {
    return this.#kept?.count ?? 0;
  }

  /** The kept events above one offset up to another; as read(). */
  *readKept(after: number, through: number, only?: readonly number[]): Iterable<Publication | number> {
    this.#space.assertNotTruncated();
    if (this.#kept) yield* this.#kept.read(after, through, only);
  }

  /** Goes on to remove the kept events that nobody may read any more. Returns their number. Throws as probe() does. */
  sweepKept(minEvents: number): number {
    const policy = this.#keepPolicy;
    if (!this.#kept || !policy?.isReady || this.#kept.count === 0) return 0;
    const change = this.#kept.sweep(policy, minEvents, this.#clock.now());
    this.#changeKept(change);
    return -change.count;
  }

  #changeKept(change: KeptChange): void {
    if (change.removedKeys.length + change.added.length > 0)
      this.#transact(
        keptPages(change, () => this.#lastPage),
        () => this.#kept?.write(change),
      );
    this.#kept?.committed(change);
    for (const { topics, offset } of change.dropped) this.#keepPolicy?.dropped(topics, offset);
  }

  get keyCount(): number {
    return this.#keys?.count ?? 0;
  }

  /** See History. Throws "ETRUNCATED". */
  findKey(hash: string): KeyEntry | undefined {
    this.#space.assertNotTruncated();
    return this.#keys?.find(hash);
  }

  /** Throws when the file has become shorter; from then on every method that needs the file throws. */
  checkLength(): void {
    this.#space.checkLength();
  }

  /** Tells which offset is the newest now: what age counts from. Call it at least as often as trim(). */
  sampleAge(newest: number): void {
    this.#ages.sample(newest, this.#clock.monotonic());
  }

  /** Adds blocks, by rising offset: all of them, or none, and throws. Returns the topics of events whose id was held already. */
  add(blocks: readonly EventBlock[]): readonly string[] {
    const keys = blocks.flatMap((block) => block.keys);
    if (keys.length > 0 && !this.#keys) this.#createKeys();
    const removed = this.#keys?.removable(REMOVALS_PER_KEY_COUNT * keys.length) ?? 0;
    const lastPage = () => this.#lastPage;
    const pages = pagesToAdd(blocks, lastPage) + keyPages(keys.length + removed, lastPage);
    const isNewVersion = this.#version < FLAGS_VERSION && blocks.some((block) => block.hasNewFlags);
    const repeated = this.#transact(pages, () => {
      if (isNewVersion) this.#meta.putSync("version", FLAGS_VERSION);
      if (keys.length > 0) this.#keys?.write(keys, this.epoch, removed);
      return blocks.flatMap((block) => {
        this.#blocks.putSync(block.last, block.stored);
        return this.#ids.add(block.customIds);
      });
    });
    if (isNewVersion) this.#version = FLAGS_VERSION;
    if (keys.length > 0) this.#keys?.committed();
    for (const { offsets, bytes } of blocks) {
      for (const offset of offsets) this.#heldOffsets.add(offset);
      this.#bytes += bytes;
    }
    return repeated;
  }

  /**
   * The events above one offset up to another; a number stands for a damaged block, whose events end at that offset. `only`: those of these
   * offsets (rising).
   */
  *read(after: number, through: number, only?: readonly number[]): Iterable<Publication | number> {
    this.#space.assertNotTruncated();
    const between = (from: number, to: number) =>
      readBlocks(this.epoch, this.#blocks, { after: from, through: to, only });
    const lost = this.#lostOffset;
    if (after < lost && lost <= through) {
      yield* between(after, lost);
      yield lost;
    }
    yield* between(Math.max(after, lost <= through ? lost : 0), through);
  }

  /** The offset of the oldest or newest event with this id. */
  find(id: string, which: EqualIds): number | undefined {
    const ownOffset = offsetOf(this.epoch, id);
    this.#space.assertNotTruncated();
    if (ownOffset === undefined) return this.#ids.find(id, which);
    return this.#heldOffsets.has(ownOffset) ? ownOffset : undefined;
  }

  /** The offset of the kept event with this id, which is the publisher's own. */
  findKept(id: string): number | undefined {
    this.#space.assertNotTruncated();
    return this.#kept && this.#ids.findKept(id);
  }

  get #lastPage(): number {
    return this.#space.lastPage();
  }

  /**
   * Rewrites blocks after an offset without the events that are removed: those of one slice. Returns the offset that it has reached. Throws
   * as probe() does.
   */
  remove(applied: AppliedRemovals, after: number): number {
    // What is trimmed meanwhile, and kept, is above `after`.
    if (after < this.#floor) return this.#removeKept(applied, after);
    const rewritten: { readonly key: number; readonly stored: Buffer; readonly freed: number }[] = [];
    let [reached, bytes] = [applied.through, 0];
    for (const { key, block } of this.#storedBlocks({ start: after + 1 })) {
      const stored = block && withoutRemoved(this.epoch, block, (publication) => applied.has(publication));
      if (stored) rewritten.push({ key, stored, freed: block.length - stored.length });
      bytes += block?.length ?? 0;
      if (bytes < REMOVAL_SLICE_BYTES) continue;
      reached = key;
      break;
    }
    if (rewritten.length === 0) return reached;
    this.#transact(pagesToReplace(rewritten), () => {
      for (const { key, stored } of rewritten) this.#blocks.putSync(key, stored);
    });
    for (const { freed } of rewritten) this.#bytes -= freed;
    return reached;
  }

  #removeKept(applied: AppliedRemovals, after: number): number {
    if (!this.#kept) return this.#floor;
    const { change, reached } = this.#kept.remove((it) => applied.has(it), after, REMOVAL_SLICE_BYTES);
    this.#changeKept(change);
    return reached ?? this.#floor;
  }

  /** The removals were applied to every block: the next process need not begin again. */
  removed({ last }: AppliedRemovals): void {
    this.#transact(BASE_PAGES, () => this.#meta.putSync("removed", last));
  }

  /** Removes the oldest events beyond the limits, at most `maxEvents`. Returns their number. Throws as probe() does. */
  trim(maxEvents: number): number {
    if (this.#kept && !this.#keepPolicy?.isReady) return 0;
    const trimmable = this.#findTrimmable(maxEvents);
    if (trimmable.events === 0 && trimmable.keys.length === 0) return 0;
    const kept = trimmable.kept.count > 0 ? this.#kept?.add(trimmable.kept) : undefined;
    const ownPages = indexPages(trimmable.keys.length, trimmable.customIds.length, () => this.#lastPage);
    const pages = ownPages + (kept ? keptPages(kept, () => this.#lastPage) : 0);
    if (maxEvents > SMALL_TRIM_EVENTS && !this.#space.canClaim(pages)) return this.trim(SMALL_TRIM_EVENTS);
    this.#transact(pages, () => {
      for (const key of trimmable.keys) this.#blocks.removeSync(key);
      for (const { id, offset } of trimmable.customIds) this.#ids.remove(id, offset);
      if (kept) this.#kept?.write(kept);
      this.#meta.putSync("floor", trimmable.floor);
    });
    this.#floor = trimmable.floor;
    this.#heldOffsets.forget(trimmable.floor);
    this.#bytes -= trimmable.bytes;
    if (kept) {
      this.#kept?.committed(kept);
      this.sweepKept(SWEPT_PER_KEPT_COUNT * kept.count);
    }
    return trimmable.events;
  }

  /** Removes the oldest keys that are too old or too many, at most `most`. Returns their number. Throws as probe() does. */
  trimKeys(most: number): number {
    const removed = this.#keys?.removable(most) ?? 0;
    if (removed === 0) return 0;
    const pages = keyPages(removed, () => this.#lastPage);
    if (most > SMALL_TRIM_EVENTS && !this.#space.canClaim(pages)) return this.trimKeys(SMALL_TRIM_EVENTS);
    this.#transact(pages, () => this.#keys?.write([], this.epoch, removed));
    this.#keys?.committed();
    return removed;
  }

  /** The events that trim() removes. A block is removed with its last event; a damaged one when it is the oldest. */
  #findTrimmable(most: number): Trimmable {
    const { maxEvents, maxBytes } = this.#options;
    const expired = this.#ages.expiredOffset(this.#clock.monotonic(), this.#clock.now());
    const old: Trimmable = {
      keys: [],
      customIds: [],
      kept: new BlockBuilder(),
      events: 0,
      bytes: 0,
      floor: this.#floor,
    };
    for (const { key, block } of this.#storedBlocks({ limit: most })) {
      for (const record of block ? storedEventsIn(block) : []) {
        if (record.offset <= old.floor) continue;
        const isWithin = this.count - old.events <= maxEvents && this.#bytes - old.bytes <= maxBytes;
        if (old.events === most || (isWithin && record.offset > expired)) return old;
        const id = customIdOf(record);
        if (id !== "") old.customIds.push({ id, offset: record.offset });
        if (this.#isKept(record)) old.kept.add(record);
        old.events++;
        old.bytes += record.bytes;
        old.floor = record.offset;
      }
      old.keys.push(key);
      if (!block) old.floor = key; // a reader below it gets a gap also after its removal
    }
    return old;
  }

  #isKept(record: StoredEvent): boolean {
    if (!this.#kept || !this.#keepPolicy?.isNeeded) return false;
    return this.#keepPolicy.isKept(topicsOf(record), record.offset);
  }

  /**
   * `last`: the highest offset that was given out. Closes in any case; rejects when `last` cannot be written: the next start counts
   * that as an unclean shutdown.
   */
  async close(last: number): Promise<void> {
    try {
      this.#transact(BASE_PAGES, () => {
        this.#meta.putSync("last", Math.max(last, this.#reservedOffset));
        if (this.#options.reservedOffsets) this.#meta.putSync("lost", this.#reservedOffset);
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

  /** Checks the version and returns the epoch; writes both into a new file. */
  #readOrCreateMeta(file: string): string {
    const version = this.#meta.get("version");
    const epoch = this.#meta.get("epoch");
    if (version === undefined && epoch === undefined) {
      const { epoch: made, floor, last } = this.#options.archiveHeader ?? { epoch: newEpoch(), floor: 0, last: 0 };
      this.#transact(BASE_PAGES, () => {
        this.#meta.putSync("version", VERSION);
        this.#meta.putSync("epoch", made);
        this.#meta.putSync("floor", floor);
      });
      // The daemon that the archive is from may have continued.
      if (last > 0) this.#reservedOffset = last + UNCLEAN_SHUTDOWN_SKIP_OFFSETS;
      return made;
    }
    if (typeof version !== "number" || typeof epoch !== "string") throw unusable(file, "it is not a history of m2push");
    checkVersion(file, version, VERSION, FLAGS_VERSION);
    this.#version = version;
    return epoch;
  }

  /**
   * Reads all blocks to count the events: 100,000 events take 70 ms, or 180 ms in single-event blocks. A damaged first or last block
   * is an error. Returns the highest offset.
   */
  #scan(file: string): number {
    for (const reverse of [false, true]) {
      for (const { key, block } of this.#storedBlocks({ limit: 1, reverse })) {
        if (!block) throw unusable(file, `what it holds up to offset ${key} is damaged`);
      }
    }
    let newest = 0;
    const removedThrough = Number(this.#meta.get("removed") ?? 0);
    for (const { block } of this.#storedBlocks({})) {
      if (!block) this.#damagedBlocks++;
      for (const record of block ? storedEventsIn(block) : []) {
        const { offset, bytes, time } = record;
        newest = offset;
        this.hadFinal ||= isFinal(record);
        const removes = offset > removedThrough ? removalOf(record) : undefined;
        if (removes) this.removals.add({ offset, removes });
        this.#ages.addStored(offset, time);
        if (offset <= this.#floor) continue;
        this.#heldOffsets.add(offset);
        this.#bytes += bytes;
      }
    }
    return newest;
  }

  /** Blocks by rising offset; undefined = damaged. The buffers are LMDB's memory. */
  *#storedBlocks(range: RangeOptions): Iterable<{ readonly key: number; readonly block: Buffer | undefined }> {
    this.#space.assertNotTruncated();
    for (const { key, value } of this.#blocks.getRange(range))
      yield { key, block: isIntact(value) ? value : undefined };
  }
}

/** Events and blocks to remove. */
interface Trimmable {
  /** Keys of the blocks to remove. */
  readonly keys: number[];
  /** Publishers' own ids. */
  readonly customIds: { readonly id: string; readonly offset: number }[];
  /** Records of those that are kept. */
  readonly kept: BlockBuilder;
  events: number;
  bytes: number;
  /** The highest removed offset. */
  floor: number;
}
