/**
 * What was read from the stream, in blocks of SPAN offsets: the newest-used ones are kept, and a block that many want at once
 * is read once. (Sizes: 80,000 events of 100 bytes are 160 blocks; 1000 readers at 1000 places cost as many reads as one.)
 */
import type { Publication } from "../protocol/publication.js";
import { decodeRecord } from "./stream-record.js";
import type { StreamMessage } from "./stream-session.js";

export interface CachedBlock {
  /** Offsets above this one, up to and including `through`. */
  readonly after: number;
  readonly through: number;
  /** All that the stream has of them. */
  readonly publications: readonly Publication[];
}

/** Offsets of one block. */
const SPAN = 500;
/** What is kept at most, bytes of publications; the block that was used last is kept however large it is. */
const MOST = 32_000_000;

export class BlockCache {
  readonly #read: (after: number, through: number) => Promise<readonly StreamMessage[]>;
  readonly #foreign: (sequence: number, why: string) => void;
  /** By number; in the order of their last use. */
  readonly #held = new Map<number, CachedBlock>();
  readonly #coming = new Map<number, Promise<CachedBlock>>();
  #bytes = 0;
  #epoch: string;

  constructor(
    read: (after: number, through: number) => Promise<readonly StreamMessage[]>,
    epoch: string,
    foreign: (sequence: number, why: string) => void,
  ) {
    this.#read = read;
    this.#epoch = epoch;
    this.#foreign = foreign;
  }

  clear(epoch: string): void {
    this.#epoch = epoch;
    this.#held.clear();
    this.#coming.clear();
    this.#bytes = 0;
  }

  /** The blocks that are there of what comes after an offset, without a hole between them. */
  held(after: number, through: number): CachedBlock[] {
    const blocks: CachedBlock[] = [];
    for (let reached = after; reached < through; ) {
      const block = this.#use(numberOf(reached));
      if (!block || block.through <= reached) break;
      blocks.push(block);
      reached = block.through;
    }
    return blocks;
  }

  /** The block of what comes right after an offset; `last` is the highest offset that the stream has given for certain. */
  load(after: number, last: number): Promise<CachedBlock> {
    const number = numberOf(after);
    const known = this.#coming.get(number);
    if (known) return known;
    const coming = this.#load(number, Math.min((number + 1) * SPAN, last));
    this.#coming.set(number, coming);
    // One that has failed is read again.
    coming.catch(() => this.#coming.get(number) === coming && this.#coming.delete(number));
    return coming;
  }

  async #load(number: number, through: number): Promise<CachedBlock> {
    const epoch = this.#epoch;
    const after = number * SPAN;
    const messages = await this.#read(after, through);
    const block = { after, through, publications: this.#decode(messages) };
    if (epoch !== this.#epoch) return block;
    this.#coming.delete(number);
    this.#keep(number, block);
    return block;
  }

  #decode(messages: readonly StreamMessage[]): Publication[] {
    const publications: Publication[] = [];
    for (const message of messages) {
      const publication = decodeRecord(message, this.#epoch);
      if (typeof publication === "string") this.#foreign(message.sequence, publication);
      else if (publication) publications.push(publication);
    }
    return publications;
  }

  #use(number: number): CachedBlock | undefined {
    const block = this.#held.get(number);
    if (!block) return undefined;
    this.#held.delete(number);
    this.#held.set(number, block);
    return block;
  }

  #keep(number: number, block: CachedBlock): void {
    this.#drop(number);
    this.#held.set(number, block);
    this.#bytes += bytesOf(block);
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= MOST || oldest === number) break;
      this.#drop(oldest);
    }
  }

  #drop(number: number): void {
    const block = this.#held.get(number);
    if (!block) return;
    this.#held.delete(number);
    this.#bytes -= bytesOf(block);
  }
}

const numberOf = (after: number): number => Math.floor(after / SPAN);

function bytesOf({ publications }: CachedBlock): number {
  return publications.reduce((sum, { bytes }) => sum + bytes.length, 0);
}
