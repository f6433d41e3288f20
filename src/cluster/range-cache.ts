/**
 * A least-recently-used cache of ranges of RANGE_OFFSETS offsets that were read from the stream. Concurrent readers of a range share
 * one read. (80,000 events of 100 bytes are 160 ranges; 1,000 readers at 1,000 positions cost as many reads as one.)
 */
import { fillPage } from "../delivery/fill-page.js";
import type { HistoryPage, ReadOptions } from "../delivery/history.js";
import type { Publication } from "../protocol/publication.js";
import { decodeStreamRecord } from "./stream-record.js";
import type { StreamMessage } from "./stream-session.js";

interface CachedRange {
  /** Offsets above this one, up to and including `through`. */
  readonly after: number;
  readonly through: number;
  /** All that the stream holds of them. */
  readonly publications: readonly Publication[];
}

/** Offsets of one range. */
const RANGE_OFFSETS = 500;
/** Limit of the cached publications' bytes; the range that was used last stays, whatever its size. */
const MAX_CACHED_BYTES = 32_000_000;

export class RangeCache {
  readonly #read: (after: number, through: number) => Promise<readonly StreamMessage[]>;
  readonly #onForeignMessage: (sequence: number, why: string) => void;
  readonly #isRepeat: (publication: Publication) => boolean;
  /** By number, in the order of their last use. */
  readonly #ranges = new Map<number, CachedRange>();
  readonly #loading = new Map<number, Promise<CachedRange>>();
  #bytes = 0;
  #epoch: string;

  constructor(
    read: (after: number, through: number) => Promise<readonly StreamMessage[]>,
    epoch: string,
    foreign: (sequence: number, why: string) => void,
    isRepeat: (publication: Publication) => boolean,
  ) {
    this.#read = read;
    this.#epoch = epoch;
    this.#onForeignMessage = foreign;
    this.#isRepeat = isRepeat;
  }

  clear(epoch: string): void {
    this.#epoch = epoch;
    this.#ranges.clear();
    this.#loading.clear();
    this.#bytes = 0;
  }

  /** Drops publications from the ranges that are cached or being read now, a range in one turn of the event loop. Never rejects. */
  async drop(isDropped: (publication: Publication) => boolean): Promise<void> {
    await Promise.allSettled(this.#loading.values());
    for (const number of [...this.#ranges.keys()]) {
      const range = this.#ranges.get(number);
      if (range?.publications.some(isDropped)) {
        const publications = range.publications.filter((it) => !isDropped(it));
        this.#bytes += bytesOf({ publications }) - bytesOf(range);
        this.#ranges.set(number, { ...range, publications });
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The consecutive cached ranges after an offset. */
  cached(after: number, through: number): CachedRange[] {
    const ranges: CachedRange[] = [];
    for (let reached = after; reached < through; ) {
      const range = this.#use(numberOf(reached));
      if (!range || range.through <= reached) break;
      ranges.push(range);
      reached = range.through;
    }
    return ranges;
  }

  /** Loads the range after an offset; `last` is the highest offset that the stream is known to have. */
  load(after: number, last: number): Promise<CachedRange> {
    const number = numberOf(after);
    const pending = this.#loading.get(number);
    if (pending) return pending;
    const loading = this.#load(number, Math.min((number + 1) * RANGE_OFFSETS, last));
    this.#loading.set(number, loading);
    // The next reader retries a failed read.
    loading.catch(() => this.#loading.get(number) === loading && this.#loading.delete(number));
    return loading;
  }

  async #load(number: number, through: number): Promise<CachedRange> {
    const epoch = this.#epoch;
    const after = number * RANGE_OFFSETS;
    const messages = await this.#read(after, through);
    const range = { after, through, publications: this.#decode(messages) };
    if (epoch !== this.#epoch) return range;
    this.#loading.delete(number);
    this.#keep(number, range);
    return range;
  }

  #decode(messages: readonly StreamMessage[]): Publication[] {
    const publications: Publication[] = [];
    for (const message of messages) {
      const publication = decodeStreamRecord(message, this.#epoch);
      if (typeof publication === "string") this.#onForeignMessage(message.sequence, publication);
      // A removal is no event.
      else if (publication && !publication.removes && !this.#isRepeat(publication)) publications.push(publication);
    }
    return publications;
  }

  #use(number: number): CachedRange | undefined {
    const range = this.#ranges.get(number);
    if (!range) return undefined;
    this.#ranges.delete(number);
    this.#ranges.set(number, range);
    return range;
  }

  #keep(number: number, range: CachedRange): void {
    this.#drop(number);
    this.#ranges.set(number, range);
    this.#bytes += bytesOf(range);
    for (const oldest of this.#ranges.keys()) {
      if (this.#bytes <= MAX_CACHED_BYTES || oldest === number) break;
      this.#drop(oldest);
    }
  }

  #drop(number: number): void {
    const range = this.#ranges.get(number);
    if (!range) return;
    this.#ranges.delete(number);
    this.#bytes -= bytesOf(range);
  }
}

const numberOf = (after: number): number => Math.floor(after / RANGE_OFFSETS);

function bytesOf({ publications }: Pick<CachedRange, "publications">): number {
  return publications.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

/** One page of a reader, filled from ranges. */
export function pageOf(ranges: readonly CachedRange[], after: number, options: ReadOptions): HistoryPage {
  return fillPage(publicationsAfter(ranges, after), after, ranges.at(-1)?.through ?? after, options);
}

function* publicationsAfter(ranges: readonly CachedRange[], after: number): Iterable<Publication> {
  for (const { publications } of ranges) for (const it of publications) if (it.offset > after) yield it;
}
