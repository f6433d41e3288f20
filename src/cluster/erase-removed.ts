/**
 * Erases from the stream what removals concern, in chunks. Before a chunk is erased a mark tells every node how many messages will be
 * missing, and that the oldest of them were not trimmed; a last mark tells that the removals are carried out. Several daemons may do the
 * same work at the same time: a message that is not there any more counts as erased, and every mark is true whenever it is taken.
 */
import type { RemovalSet } from "../delivery/removals.js";
import { offsetOf } from "../protocol/position.js";
import type { Publication } from "../protocol/publication.js";
import {
  encodeMark,
  encodeRemovedId,
  findMark,
  findRemovedId,
  floorBefore,
  keyOfRemovedId,
  MARKS_KEY,
  type RemovalMark,
  type RemovedId,
} from "./removal-notes.js";
import { decodeStreamRecord } from "./stream-record.js";
import type { StreamSession } from "./stream-session.js";

export interface ErasureOptions {
  readonly session: StreamSession;
  readonly epoch: string;
  /** All removals that are not carried out, up to its `last`. */
  readonly removals: RemovalSet;
  /** A new id of a message. */
  readonly newId: () => string;
}

/** Messages read at a time. */
const READ_BATCH_MESSAGES = 500;
/** Messages erased after one mark. */
const CHUNK_MESSAGES = 2000;
/** Requests to NATS at a time. */
const CONCURRENT_REQUESTS = 32;

/** Resolves with the sequence of the last mark. Rejects when the session ends, or NATS refuses. */
export async function eraseRemoved(options: ErasureOptions): Promise<number> {
  return new Erasure(options).run();
}

class Erasure {
  readonly #options: ErasureOptions;
  /** Concerned messages that are not erased yet. */
  #chunk: Publication[] = [];
  /** Whether every message so far, from the oldest of the epoch on, is concerned. */
  #isPrefix = false;

  constructor(options: ErasureOptions) {
    this.#options = options;
  }

  async run(): Promise<number> {
    const { session, removals } = this.#options;
    const before = (await this.#oldest()) - 1;
    this.#isPrefix = removals.after <= before;
    for (let at = Math.max(removals.after, before); at < (this.#isPrefix ? removals.last : removals.through); ) {
      const through = Math.min(at + READ_BATCH_MESSAGES, removals.last);
      for (const message of await session.read(at, through)) {
        const publication = this.#concerned(decodeStreamRecord(message, message.epoch), message.epoch);
        if (publication) this.#chunk.push(publication);
        else if (this.#isPrefix) await this.#erasePrefix(message.sequence);
      }
      if (this.#chunk.length >= CHUNK_MESSAGES) await this.#eraseChunk();
      at = through;
    }
    await this.#eraseChunk();
    const { last } = removals;
    return this.#sendMark((mark) => ({ ...mark, applied: Math.max(mark.applied, last), count: 0 }));
  }

  #concerned(publication: Publication | string | undefined, epoch: string): Publication | undefined {
    const { removals, epoch: own } = this.#options;
    if (typeof publication !== "object" || publication.removes || epoch !== own) return undefined;
    return removals.has(publication) ? publication : undefined;
  }

  async #oldest(): Promise<number> {
    const { session, epoch, removals } = this.#options;
    return (await session.find(epoch)) ?? removals.last;
  }

  /** `next`: the first message that is not concerned. */
  async #erasePrefix(next: number): Promise<void> {
    await this.#erase(this.#chunk, next);
    this.#chunk = [];
    this.#isPrefix = false;
  }

  /** Within the prefix the newest message stays until it is known which one follows: nodes compare the oldest one with the mark. */
  async #eraseChunk(): Promise<void> {
    const rest = this.#isPrefix ? this.#chunk.splice(-1) : [];
    await this.#erase(this.#chunk, rest[0]?.offset);
    this.#chunk = rest;
  }

  /** `first`: the oldest message afterwards; undefined = older ones stay. */
  async #erase(publications: readonly Publication[], first: number | undefined): Promise<void> {
    const count = publications.length;
    if (count === 0) return;
    // Asked after the messages were read: those that are missing between the oldest one and `first` were erased before, and not trimmed.
    const oldest = first === undefined ? 0 : await this.#oldest();
    await this.#sendMark((mark) =>
      first === undefined || first <= mark.first
        ? { ...mark, count }
        : { applied: mark.applied, floor: floorBefore(oldest, mark), first, count },
    );
    await inTurns([...this.#ownIds(publications)], (it) => this.#noteId(...it));
    await inTurns(publications, ({ offset }) => this.#options.session.erase(offset));
  }

  /** The ids that publishers gave, each once. */
  #ownIds(publications: readonly Publication[]): Map<string, RemovedId> {
    const ids = new Map<string, RemovedId>();
    for (const { id, offset } of publications)
      if (offsetOf(this.#options.epoch, id) === undefined)
        ids.set(id, joined(ids.get(id), { oldest: offset, newest: offset }));
    return ids;
  }

  async #noteId(id: string, range: RemovedId): Promise<void> {
    const { session, epoch, newId } = this.#options;
    const data = encodeRemovedId(joined(await findRemovedId(session, epoch, id), range));
    await session.send({ epoch, key: keyOfRemovedId(id), id: newId(), data });
  }

  /** Stores the mark that follows the newest one, whichever daemon that is from. */
  async #sendMark(next: (mark: RemovalMark) => RemovalMark): Promise<number> {
    const { session, epoch, newId } = this.#options;
    for (let newest = await findMark(session, epoch); ; ) {
      try {
        const data = encodeMark(next(newest.mark));
        return await session.send({ epoch, key: MARKS_KEY, id: newId(), data, afterSameKey: newest.sequence });
      } catch (error) {
        const { sequence } = newest;
        newest = await findMark(session, epoch);
        if (newest.sequence === sequence) throw error;
      }
    }
  }
}

function joined(known: RemovedId | undefined, { oldest, newest }: RemovedId): RemovedId {
  if (!known) return { oldest, newest };
  return { oldest: Math.min(known.oldest, oldest), newest: Math.max(known.newest, newest) };
}

async function inTurns<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += CONCURRENT_REQUESTS)
    await Promise.all(items.slice(at, at + CONCURRENT_REQUESTS).map(run));
}
