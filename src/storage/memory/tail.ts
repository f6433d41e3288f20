/**
 * The newest events of a history in memory, as the blocks that are stored: uncommitted events, and those that are read most. Events
 * become objects only when they are read: long-lived objects cost V8's garbage collector most (events to one client each: 1 us of 9).
 */
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, HistoryPage, ReadOptions } from "../../delivery/history.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import { firstIndex } from "../../util/first-index.js";
import { CustomIds } from "../custom-ids.js";
import { EventBlock, publicationsAt } from "../lmdb/block.js";
import { offsetsBetween } from "../lmdb/read-blocks.js";

/** Limits of the committed events in the tail. */
const MAX_EVENTS = 20_000;
const MAX_BYTES = 16_000_000;
/** Empty entries at the start of the list before they are removed. */
const MAX_EMPTY_ENTRIES = 1024;

export class Tail {
  readonly #epoch: string;
  /** By rising offset; the first #trimmed entries are empty, and are removed from time to time instead of at each trim. */
  #blocks: (EventBlock | undefined)[] = [];
  #trimmedCount = 0;
  #pending: EventBlock[] = [];
  #events = 0;
  #bytes = 0;
  #last: number;
  #floor: number;
  /** Publishers' own ids. */
  readonly #customIds = new CustomIds();

  /** `last`: the offset before the first append. */
  constructor(epoch: string, last: number) {
    this.#epoch = epoch;
    this.#last = last;
    this.#floor = last;
  }

  get last(): number {
    return this.#last;
  }

  /** The tail holds every event above this offset. */
  get floor(): number {
    return this.#floor;
  }

  /** Blocks appended since the last keep() or discard(). */
  get pending(): readonly EventBlock[] {
    return this.#pending;
  }

  append(publication: Publication): void {
    const { offset } = publication;
    if (offset <= this.#last) throw new TypeError(`offset ${offset} is not above ${this.#last}`);
    this.#last = offset;
    let block = this.#pending.at(-1);
    if (!block?.add(publication)) {
      block = new EventBlock(this.#epoch, publication);
      this.#pending.push(block);
      this.#blocks.push(block);
    }
    const customId = block.customIds.at(-1);
    if (customId?.offset === offset) this.#customIds.add(customId.id, offset);
  }

  /** Completes the pending blocks for the store; keep() or discard() follows. */
  seal(): readonly EventBlock[] {
    for (const block of this.#pending) block.seal();
    return this.#pending;
  }

  /** Pending blocks become part of the tail, and are trimmed with it. */
  keep(): void {
    for (const block of this.#pending) {
      this.#events += block.offsets.length;
      this.#bytes += block.bytes;
    }
    this.#pending = [];
    this.#trim();
  }

  /** Removes everything that is not pending: from now on the store answers for it. */
  forget(): void {
    while (this.#trimmedCount < this.#blocks.length - this.#pending.length) this.#trimOldest();
  }

  /** Removes the pending blocks, which were not published. Their offsets are not given out again. */
  discard(): void {
    this.#blocks.length -= this.#pending.length;
    for (const { customIds: names } of this.#pending) {
      for (const { id, offset } of names) this.#customIds.remove(id, offset);
    }
    this.#pending = [];
  }

  read(after: number, options: ReadOptions): HistoryPage {
    const { only, through } = options;
    const publications = only
      ? this.#publicationsAt(offsetsBetween(only, after, through))
      : this.#publicationsAfter(after);
    return fillPage(publications, after, this.#last, options);
  }

  find(id: string, which: EqualIds): number | undefined {
    const offset = offsetOf(this.#epoch, id) ?? this.#customIds.find(id, which);
    return offset !== undefined && this.#blocks[this.#blockIndex(offset)]?.offsets.includes(offset)
      ? offset
      : undefined;
  }

  *#publicationsAfter(after: number): Iterable<Publication> {
    for (let place = this.#blockIndex(after + 1); place < this.#blocks.length; place++) {
      for (const publication of this.#blocks[place]?.publications ?? []) {
        if (publication.offset > after) yield publication;
      }
    }
  }

  *#publicationsAt(offsets: readonly number[]): Iterable<Publication> {
    for (let at = 0; at < offsets.length; ) {
      const block = this.#blocks[this.#blockIndex(offsets[at] as number)];
      if (!block) return;
      const end = firstIndex(at, offsets.length, (index) => (offsets[index] as number) <= block.last);
      yield* publicationsAt(this.#epoch, block.stored, offsets.slice(at, end));
      at = end;
    }
  }

  #trim(): void {
    while (this.#events > MAX_EVENTS || this.#bytes > MAX_BYTES) this.#trimOldest();
    if (this.#trimmedCount < MAX_EMPTY_ENTRIES || this.#trimmedCount < this.#blocks.length / 2) return;
    this.#blocks = this.#blocks.slice(this.#trimmedCount);
    this.#trimmedCount = 0;
  }

  #trimOldest(): void {
    const block = this.#blocks[this.#trimmedCount] as EventBlock;
    this.#blocks[this.#trimmedCount++] = undefined;
    this.#events -= block.offsets.length;
    this.#bytes -= block.bytes;
    this.#floor = block.last;
    for (const { id, offset } of block.customIds) this.#customIds.remove(id, offset);
  }

  /** Index of the block that holds an offset, or of the first above it. */
  #blockIndex(offset: number): number {
    return firstIndex(this.#trimmedCount, this.#blocks.length, (at) => (this.#blocks[at]?.last ?? 0) < offset);
  }
}
