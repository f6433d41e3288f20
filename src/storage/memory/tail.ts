/**
 * The newest of a history, in memory, as the blocks that are stored: what is not stored yet, and what is read most. An event is not
 * held as an object for its own sake, only where it has been read: of a flood nobody reads, and objects that stay were what V8's
 * collector had most work with (events to one client each: 1 us of 9).
 */
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, HistoryPage, ReadOptions } from "../../delivery/history.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import { CustomIds } from "../custom-ids.js";
import { EventBlock } from "../lmdb/block.js";

/** What is held at most, beside what is pending. */
const MAX_EVENTS = 20_000;
const MAX_BYTES = 16_000_000;
/** Empty places that may stand before what is held. */
const CUT = 1024;

export class Tail {
  readonly #epoch: string;
  /** By rising offset; the first #trimmed places are empty and cut off now and then, not at each trim. */
  #blocks: (EventBlock | undefined)[] = [];
  #trimmed = 0;
  #pending: EventBlock[] = [];
  #events = 0;
  #bytes = 0;
  #last: number;
  #floor: number;
  /** Publishers' own ids. */
  readonly #names = new CustomIds();

  /** `last`: the offset that counts as the last one before the first append. */
  constructor(epoch: string, last: number) {
    this.#epoch = epoch;
    this.#last = last;
    this.#floor = last;
  }

  get last(): number {
    return this.#last;
  }

  /** Everything above is held. */
  get floor(): number {
    return this.#floor;
  }

  /** What was appended since keep() or discard() was called last. */
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
    const name = block.names.at(-1);
    if (name?.offset === offset) this.#names.add(name.id, offset);
  }

  /** What is pending, as it is to be stored; keep() or discard() says what became of it. */
  seal(): readonly EventBlock[] {
    for (const block of this.#pending) block.seal();
    return this.#pending;
  }

  /** What is pending is not from now on: it stays here as long as there is room. */
  keep(): void {
    for (const block of this.#pending) {
      this.#events += block.offsets.length;
      this.#bytes += block.bytes;
    }
    this.#pending = [];
    this.#trim();
  }

  /** What is pending was never published: it cannot be read or found any more. Its offsets are not given out again. */
  discard(): void {
    this.#blocks.length -= this.#pending.length;
    for (const { names } of this.#pending) {
      for (const { id, offset } of names) this.#names.remove(id, offset);
    }
    this.#pending = [];
  }

  read(after: number, options: ReadOptions): HistoryPage {
    return fillPage(this.#from(after), after, this.#last, options);
  }

  find(id: string, which: EqualIds): number | undefined {
    const offset = offsetOf(this.#epoch, id) ?? this.#names.find(id, which);
    return offset !== undefined && this.#blocks[this.#place(offset)]?.offsets.includes(offset) ? offset : undefined;
  }

  *#from(after: number): Iterable<Publication> {
    for (let place = this.#place(after + 1); place < this.#blocks.length; place++) {
      for (const publication of this.#blocks[place]?.publications ?? []) {
        if (publication.offset > after) yield publication;
      }
    }
  }

  #trim(): void {
    while (this.#events > MAX_EVENTS || this.#bytes > MAX_BYTES) {
      const block = this.#blocks[this.#trimmed] as EventBlock;
      this.#blocks[this.#trimmed++] = undefined;
      this.#events -= block.offsets.length;
      this.#bytes -= block.bytes;
      this.#floor = block.last;
      for (const { id, offset } of block.names) this.#names.remove(id, offset);
    }
    if (this.#trimmed < CUT || this.#trimmed < this.#blocks.length / 2) return;
    this.#blocks = this.#blocks.slice(this.#trimmed);
    this.#trimmed = 0;
  }

  /** Of the block that holds an offset, or of the first above. */
  #place(offset: number): number {
    let [low, high] = [this.#trimmed, this.#blocks.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#blocks[middle]?.last ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
