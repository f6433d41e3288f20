/**
 * The kept events in the LMDB file of the history: the newest event of each topic that a [[topic]] table with keep = "last" matches, once
 * the history itself has trimmed it. They are blocks as those of the history (block.ts), by the offset of their last event:
 *
 *   kept   offset of the last event -> block
 *
 * It is a log: what is trimmed is added at its end, and an event that is superseded stays until a sweep finds it. The sweep goes round and
 * round over the log, an event for each one that is added, and writes the blocks that have dead events again, without them. So a publication on one of
 * 1,000,000 topics costs a part of a page; a table by topic costs a page for each (docs/decisions/0061-kept-events.md has the figures).
 */
import type { KeepPolicy } from "../../delivery/history.js";
import type { Publication } from "../../protocol/publication.js";
import {
  CRC_BYTES,
  customIdOf,
  expiryOf,
  isIntact,
  MAX_BLOCK_BYTES,
  publicationOf,
  type StoredEvent,
  sealed,
  storedEventsIn,
  topicsOf,
} from "./block.js";
import type { IdIndex } from "./id-index.js";
import { type BlockTable, readBlocks } from "./read-blocks.js";

/** A database of LMDB. */
interface KeptTable extends BlockTable {
  putSync(key: number, block: Buffer): unknown;
  removeSync(key: number): unknown;
}

type DroppedEvent = Pick<Publication, "topics" | "offset">;

interface PositionedId {
  readonly id: string;
  readonly offset: number;
}

/** A block to write. */
interface NewBlock {
  readonly key: number;
  readonly stored: Buffer;
}

/** A change of the log, to be written in one transaction: write(), then committed(). */
export interface KeptChange {
  readonly removedKeys: readonly number[];
  readonly added: readonly NewBlock[];
  /** Publishers' own ids of the events that are added, and of those that are not kept any longer. */
  readonly addedIds: readonly PositionedId[];
  readonly freedIds: readonly PositionedId[];
  /** By how many events the log grows. */
  readonly count: number;
  /** Newest events of their topics that are dropped, because they have expired. */
  readonly dropped: readonly DroppedEvent[];
  /** Where the sweep goes on, after this offset; 0 = at the beginning. */
  readonly swept: number;
}

export class KeptLog {
  readonly #table: KeptTable;
  readonly #epoch: string;
  readonly #ids: Pick<IdIndex, "keep" | "drop">;
  #count = 0;
  #swept = 0;
  /** When the present round of the sweep began: milliseconds since 1970. */
  #roundBeganAt = 0;

  constructor(table: KeptTable, epoch: string, ids: Pick<IdIndex, "keep" | "drop">) {
    this.#table = table;
    this.#ids = ids;
    this.#epoch = epoch;
    for (const { value } of table.getRange({})) for (const _ of storedEventsIn(value)) this.#count++;
  }

  /** Events in the log, superseded ones included. */
  get count(): number {
    return this.#count;
  }

  /** The events above one offset up to another; a number stands for a damaged block, whose events end at that offset. */
  read(after: number, through: number, only?: readonly number[]): Iterable<Publication | number> {
    return readBlocks(this.#epoch, this.#table, { after, through, only });
  }

  /** Adds events above all that are held, by rising offset. */
  add(records: BlockBuilder): KeptChange {
    const { count, customIds: addedIds } = records;
    return {
      ...{ removedKeys: [], added: records.end(), addedIds, freedIds: [] },
      ...{ count, dropped: [], swept: this.#swept },
    };
  }

  /**
   * The next step of the sweep, over at least `minEvents` events. An expired event is dropped only if it had expired when the round began: by
   * then the round has dropped the earlier events of its topics, none of which may become the newest one again. `now`: milliseconds since 1970.
   */
  sweep(policy: KeepPolicy, minEvents: number, now: number): KeptChange {
    if (this.#swept === 0) this.#roundBeganAt = now;
    let examined = 0;
    const isLive = (record: StoredEvent, dropped: DroppedEvent[]) => {
      examined++;
      return this.#isLive(record, policy, dropped);
    };
    const { change, reached = 0 } = this.#rewrite(this.#swept, isLive, () => examined >= minEvents);
    return { ...change, swept: reached };
  }

  /** Without the events after an offset that were removed: those of one slice. `reached` undefined = to the end. */
  remove(
    isRemoved: (publication: Publication) => boolean,
    after: number,
    sliceBytes: number,
  ): { readonly change: KeptChange; readonly reached: number | undefined } {
    let bytes = 0;
    const isLive = (record: StoredEvent, dropped: DroppedEvent[]) => {
      bytes += record.bytes;
      const publication = publicationOf(this.#epoch, record);
      if (publication === undefined || !isRemoved(publication)) return true;
      dropped.push(publication);
      return false;
    };
    return this.#rewrite(after, isLive, () => bytes >= sliceBytes);
  }

  /** Writes blocks after an offset without dead events, until it is enough. */
  #rewrite(
    after: number,
    isLive: (record: StoredEvent, dropped: DroppedEvent[]) => boolean,
    isEnough: () => boolean,
  ): { readonly change: KeptChange; readonly reached: number | undefined } {
    const [builder, removedKeys, dropped]: [BlockBuilder, number[], DroppedEvent[]] = [new BlockBuilder(), [], []];
    const freedIds: PositionedId[] = [];
    let freed = 0;
    let reached: number | undefined;
    for (const { key, value } of this.#table.getRange({ start: after + 1 })) {
      const records = isIntact(value) ? [...storedEventsIn(value)] : [];
      const live = records.filter((record) => isLive(record, dropped));
      freed += records.length - live.length;
      if (live.length === records.length && records.length > 0) builder.endBlock();
      else {
        removedKeys.push(key);
        for (const record of records) if (!live.includes(record)) freedIds.push(...customIdsOf(record));
        for (const record of live) builder.add(record);
      }
      if (!isEnough()) continue;
      reached = key;
      break;
    }
    const change = {
      ...{ removedKeys, added: builder.end(), addedIds: [], freedIds },
      ...{ count: -freed, dropped, swept: this.#swept },
    };
    return { change, reached };
  }

  #isLive(record: StoredEvent, policy: KeepPolicy, dropped: DroppedEvent[]): boolean {
    const topics = topicsOf(record);
    if (!policy.isKept(topics, record.offset)) return false;
    if (expiryOf(record) > this.#roundBeganAt) return true;
    dropped.push({ topics, offset: record.offset });
    return false;
  }

  /** Part of a transaction. */
  write({ removedKeys, added, addedIds, freedIds }: KeptChange): void {
    for (const key of removedKeys) this.#table.removeSync(key);
    for (const { key, stored } of added) this.#table.putSync(key, stored);
    for (const { id, offset } of freedIds) this.#ids.drop(id, offset);
    for (const { id, offset } of addedIds) this.#ids.keep(id, offset);
  }

  committed({ count, swept }: KeptChange): void {
    this.#count += count;
    this.#swept = swept;
  }
}

/** The publisher's own id of an event, if it has one. */
function customIdsOf(record: StoredEvent): PositionedId[] {
  const id = customIdOf(record);
  return id === "" ? [] : [{ id, offset: record.offset }];
}

/** Joins records to blocks, and copies them at once: those that it is given may be LMDB's memory. */
export class BlockBuilder {
  readonly #blocks: NewBlock[] = [];
  #block = Buffer.alloc(0);
  #usedBytes = CRC_BYTES;
  #last = 0;
  /** Records so far. */
  count = 0;
  /** Publishers' own ids of these records. */
  readonly customIds: PositionedId[] = [];

  /** Offsets rise. */
  add(record: StoredEvent): void {
    const { block, start, bytes, offset } = record;
    if (this.#usedBytes + bytes > this.#block.length) {
      this.endBlock();
      this.#block = Buffer.allocUnsafe(Math.max(MAX_BLOCK_BYTES, CRC_BYTES + bytes));
    }
    block.copy(this.#block, this.#usedBytes, start, start + bytes);
    this.#usedBytes += bytes;
    this.#last = offset;
    this.count++;
    this.customIds.push(...customIdsOf(record));
  }

  /** The next event begins a new block. */
  endBlock(): void {
    if (this.#usedBytes === CRC_BYTES) return;
    const stored = sealed(this.#block.subarray(0, this.#usedBytes));
    this.#blocks.push({ key: this.#last, stored });
    this.#block = Buffer.alloc(0);
    this.#usedBytes = CRC_BYTES;
  }

  end(): readonly NewBlock[] {
    this.endBlock();
    return this.#blocks;
  }
}
