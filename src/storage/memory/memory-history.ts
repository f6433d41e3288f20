/** History in memory: a window over the last publications, found by binary search. Ends with the process. */
import { randomBytes } from "node:crypto";
import { fillPage } from "../../delivery/fill-page.js";
import type { EqualIds, History, HistoryPage, ReadOptions } from "../../delivery/history.js";
import { offsetOf } from "../../protocol/position.js";
import type { Publication } from "../../protocol/publication.js";
import type { Clock } from "../../util/clock.js";
import { CustomIds } from "../custom-ids.js";
import { AgeIndex } from "../lmdb/age-index.js";

export interface HistoryLimits {
  /** Publications held; the oldest beyond are trimmed. */
  readonly maxEvents: number;
  /** Milliseconds since it was appended. */
  readonly maxAge: number;
  /** Wire bytes held. */
  readonly maxBytes: number;
}

/** A new name for a lifetime of offsets: 6 characters of [A-Za-z0-9]. */
export function newEpoch(): string {
  return BigInt(`0x${randomBytes(8).toString("hex")}`)
    .toString(36)
    .padStart(6, "0")
    .slice(-6);
}

export class MemoryHistory implements History {
  readonly epoch: string;
  readonly #bounds: HistoryLimits;
  readonly #clock: Clock;
  readonly #ages: AgeIndex;
  /** Rising offsets; the first #trimmed places are empty and cut off now and then, not at each trim. */
  #held: (Publication | undefined)[] = [];
  #trimmed = 0;
  #last: number;
  #floor: number;
  #bytes = 0;
  readonly #ids = new CustomIds();
  #repeated: (topic: string) => void = () => {};

  /** `last`: the offset that counts as the last one before the first append. */
  constructor(bounds: HistoryLimits, clock: Clock, { epoch = newEpoch(), last = 0 } = {}) {
    this.#bounds = bounds;
    this.#clock = clock;
    this.#ages = new AgeIndex(bounds.maxAge, clock.monotonic());
    this.epoch = epoch;
    this.#last = last;
    this.#floor = last;
  }

  get last(): number {
    return this.#last;
  }

  get floor(): number {
    return this.#floor;
  }

  get count(): number {
    return this.#held.length - this.#trimmed;
  }

  get bytes(): number {
    return this.#bytes;
  }

  append(publication: Publication): undefined {
    const { offset, id, topics, bytes } = publication;
    if (offset <= this.#last) throw new TypeError(`offset ${offset} is not above ${this.#last}`);
    this.#last = offset;
    this.#held.push(publication);
    this.#bytes += bytes.length;
    if (offsetOf(this.epoch, id) === undefined && this.#ids.add(id, offset)) this.#repeated(topics[0] ?? "");
    this.#trim();
  }

  commit(): void {}

  read(after: number, options: ReadOptions): HistoryPage {
    return fillPage(this.#from(this.#after(after)), after, this.#last, options);
  }

  *#from(index: number): Iterable<Publication> {
    for (let at = index; at < this.#held.length; at++) {
      const publication = this.#held[at];
      if (publication) yield publication;
    }
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#repeated = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined {
    const offset = offsetOf(this.epoch, id) ?? this.#ids.find(id, which);
    return offset === undefined || this.#held[this.#after(offset - 1)]?.offset !== offset ? undefined : offset;
  }

  async close(): Promise<void> {}

  #trim(): void {
    const { maxEvents, maxBytes } = this.#bounds;
    const now = this.#clock.monotonic();
    this.#ages.note(this.#last, now);
    const expired = this.#ages.expired(now, this.#clock.now());
    for (let first = this.#held[this.#trimmed]; first; first = this.#held[this.#trimmed]) {
      const isWithin = this.count <= maxEvents && this.#bytes <= maxBytes && first.offset > expired;
      if (isWithin) break;
      this.#held[this.#trimmed++] = undefined;
      this.#bytes -= first.bytes.length;
      this.#floor = first.offset;
      this.#ids.remove(first.id, first.offset);
    }
    if (this.#trimmed < 1024 || this.#trimmed < this.#held.length / 2) return;
    this.#held = this.#held.slice(this.#trimmed);
    this.#trimmed = 0;
  }

  /** Place of the first publication above an offset. */
  #after(offset: number): number {
    let [low, high] = [this.#trimmed, this.#held.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#held[middle]?.offset ?? 0) <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
