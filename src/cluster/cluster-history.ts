/**
 * History in a cluster: the stream holds it. A tail in memory answers for the newest, which is what most who come back ask for;
 * what is older is read from the stream in blocks that all readers share, so that thousands who come back after an hour cost
 * each block once.
 *
 * While the stream cannot be asked, reads of what only it has wait until it can: the clients stay where they are.
 */
import { fillPage } from "../delivery/fill-page.js";
import type { EqualIds, History, HistoryPage, ReadOptions } from "../delivery/history.js";
import { offsetOf } from "../protocol/position.js";
import type { Publication } from "../protocol/publication.js";
import { type Cancel, type Clock, waitAtMost } from "../util/clock.js";
import { BlockCache, type CachedBlock } from "./block-cache.js";
import { EpochMap } from "./epoch-map.js";
import { keyOf } from "./stream-record.js";
import type { StreamSession, StreamState } from "./stream-session.js";

/** Makes an empty tail for an epoch, after a last offset. */
export type MakeTail = (from: { readonly epoch: string; readonly last: number }) => History;

export interface ClusterHistoryOptions {
  readonly clock: Clock;
  readonly tail: MakeTail;
  /** A message that is no publication. */
  readonly foreign: (sequence: number, why: string) => void;
}

/** How long a publisher's own id is looked for while the stream cannot be asked, milliseconds. */
const FIND_PATIENCE = 5000;

/** What was purged from the stream is given out of memory for this long at most. */
const FRESH_MS = 100;
const REFRESH_TIMEOUT_MS = 500;

/** How long after a rejected read the end of its connection is known. */
const CLOSING_MS = 250;

export class ClusterHistory implements History {
  readonly #options: ClusterHistoryOptions;
  readonly #blocks: BlockCache;
  #notes = new EpochMap();
  #tail: History;
  #base = 0;
  #floor = 0;
  /** At or above the tail's: a message that is no publication has an offset, too. */
  #last = 0;
  /** What the stream held when it was last looked at, up to `#measured`, and what came since. */
  #count = 0;
  #bytes = 0;
  #measured = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  /** Sequences between the oldest and the newest message that have none; Infinity = not known yet. */
  #holes = Number.POSITIVE_INFINITY;
  #refreshing: Promise<void> | undefined;
  #session: StreamSession | undefined;
  #waiting: ((session: StreamSession | undefined) => void)[] = [];
  #closed = false;
  #repeated: (topic: string) => void = () => {};

  constructor(options: ClusterHistoryOptions) {
    this.#options = options;
    this.#tail = options.tail({ epoch: "", last: 0 });
    this.#blocks = new BlockCache((after, through) => this.#fetch(after, through), this.epoch, options.foreign);
  }

  get epoch(): string {
    return this.#tail.epoch;
  }

  get last(): number {
    return this.#last;
  }

  get floor(): number {
    return this.#floor;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** A new lifetime: nothing of what was known holds any more. Everything after `last` will be appended. */
  begin(epoch: string, last: number): void {
    this.#startTail(epoch, last);
    this.#holes = Number.POSITIVE_INFINITY;
    this.#last = last;
    this.#measured = 0;
    this.begins(0);
    this.#blocks.clear(epoch);
    this.#notes = new EpochMap();
  }

  /** The offsets of this lifetime are those above `base`. */
  begins(base: number): void {
    this.#base = base;
    this.#floor = base;
  }

  /** The stream can be asked, or (undefined) it cannot. */
  connect(session: StreamSession | undefined): void {
    this.#session = session;
    if (session) for (const go of this.#waiting.splice(0)) go(session);
  }

  /** What the stream holds. */
  measured({ first, last, count, bytes }: StreamState): void {
    this.#floor = Math.max(this.#base, first - 1);
    this.#measuredAt = this.#options.clock.monotonic();
    const holes = last + 1 - first - count;
    if (holes > this.#holes) this.#forget();
    this.#holes = holes;
    this.#measured = last;
    this.#count = count;
    this.#bytes = bytes;
  }

  /** Messages were deleted from the middle of the stream, nobody says which: it alone can be read. */
  #forget(): void {
    this.#startTail(this.epoch, this.#last);
    this.#blocks.clear(this.epoch);
  }

  #startTail(epoch: string, last: number): void {
    this.#tail = this.#options.tail({ epoch, last });
    this.#tail.onRepeatedId?.((topic) => this.#repeated(topic));
  }

  /** Offsets up to this one are taken, and what had them is not to be had. */
  skip(through: number): void {
    this.#last = Math.max(this.#last, through);
  }

  /** Everything up to this offset is lost. */
  lose(through: number): void {
    this.skip(through);
    this.#floor = Math.max(this.#floor, through);
  }

  append(publication: Publication): undefined {
    void this.#tail.append(publication);
    this.#last = publication.offset;
    if (publication.offset <= this.#measured) return;
    this.#count++;
    this.#bytes += publication.bytes.length;
  }

  /** The stream has it. */
  commit(): void {}

  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    if (after >= this.#last || !this.#session || !this.#isStale) return this.#read(after, options);
    return this.#refresh().then(() => this.#read(after, options));
  }

  get #isStale(): boolean {
    return this.#options.clock.monotonic() - this.#measuredAt >= FRESH_MS;
  }

  /** Looks at the stream, once for all who wait. Where it does not answer, what was known of it counts for as long again. */
  #refresh(): Promise<void> {
    this.#refreshing ??= waitAtMost(
      this.#options.clock,
      REFRESH_TIMEOUT_MS,
      this.#measure().catch(() => {}),
    ).then(() => {
      this.#refreshing = undefined;
      this.#measuredAt = this.#options.clock.monotonic();
    });
    return this.#refreshing;
  }

  #read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    // The tail and the blocks may hold what is trimmed or purged. The reader is before the floor, and will be told so.
    if (after < this.#floor) return { publications: [], through: after };
    if (after >= this.#tail.floor) return this.#readTail(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    const held = this.#blocks.held(after, through);
    if (held.length > 0) return cut(held, after, { ...options, through });
    return this.#readStored(after, { ...options, through });
  }

  /** What comes behind its last publication has offsets, and is none: it has been looked at as well. */
  #readTail(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    const page = this.#tail.read(after, options);
    if (page instanceof Promise || page.through < this.#tail.last) return page;
    return { ...page, through: Math.max(page.through, Math.min(options.through, this.#last)) };
  }

  async #readStored(after: number, options: ReadOptions): Promise<HistoryPage> {
    const { epoch } = this;
    const block = await this.#blocks.load(after, this.#last);
    // Whoever asked has been told of the new epoch, and asks no more.
    if (epoch !== this.epoch) return { publications: [], through: after };
    if (isHoled(block, after)) await this.#measure();
    // The reader is before the floor now, and will be told so.
    if (after < this.#floor) return { publications: [], through: after };
    return cut([block], after, options);
  }

  /** Whether something was trimmed after the stream was last measured. */
  async #measure(): Promise<void> {
    const state = await this.#session?.look();
    if (state?.epoch === this.epoch) this.measured(state);
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#repeated = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined | Promise<number | undefined> {
    const offset = offsetOf(this.epoch, id);
    if (offset !== undefined && offset <= this.#last) return offset > this.#floor ? offset : undefined;
    const recent = this.#tail.find(id, which);
    // Where the oldest counts the stream must be asked, unless the tail has all that it has.
    if (recent !== undefined && (which === "newest" || this.#tail.floor <= this.#floor)) return recent;
    return this.#ask(id, which, offset, recent instanceof Promise ? undefined : recent);
  }

  /** An offset of ours beyond the last was given by another daemon which is ahead of this one, or was made up. */
  async #ask(
    id: string,
    which: EqualIds,
    offset: number | undefined,
    recent: number | undefined,
  ): Promise<number | undefined> {
    const session = await this.#connected(FIND_PATIENCE);
    if (offset !== undefined) {
      const state = await session?.look().catch(() => undefined);
      // While nobody can be asked it is believed: nobody else is hurt by an offset that was made up.
      return state && (state.epoch !== this.epoch || offset > state.last) ? undefined : offset;
    }
    const stored = session ? await session.find(this.epoch, keyOf(id), which) : recent;
    if (stored !== undefined && stored > this.#floor) return stored;
    const moved = recent ?? (await this.#notes.find(session, this.epoch, id));
    return moved !== undefined && moved >= this.#floor ? moved : undefined;
  }

  /** Waits for a session. Rejects when one that lasts does not answer. */
  async #fetch(after: number, through: number) {
    for (;;) {
      const session = await this.#connected();
      if (!session) return [];
      try {
        return await session.read(after, through);
      } catch (error) {
        // A connection that ends rejects this first, and says so a moment later.
        await new Promise<void>((resolve) => this.#options.clock.after(CLOSING_MS, resolve));
        if (this.#session === session) throw error;
      }
    }
  }

  /** The session, now or when there is one; undefined after `patience` milliseconds, or when the history is closed. */
  #connected(patience?: number): Promise<StreamSession | undefined> | StreamSession | undefined {
    if (this.#session || this.#closed) return this.#session;
    return new Promise((resolve) => {
      let cancel: Cancel | undefined;
      const go = (session: StreamSession | undefined) => {
        cancel?.();
        resolve(session);
      };
      this.#waiting.push(go);
      if (patience === undefined) return;
      cancel = this.#options.clock.after(patience, () => {
        this.#waiting = this.#waiting.filter((other) => other !== go);
        resolve(undefined);
      });
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#session = undefined;
    for (const go of this.#waiting.splice(0)) go(undefined);
  }
}

/** Whether the first publications after an offset are not there. */
function isHoled({ after: start, publications }: CachedBlock, after: number): boolean {
  const next = Math.max(after, start) + 1;
  return !publications.some(({ offset }) => offset === next);
}

/** The page that some blocks are for a reader. */
function cut(blocks: readonly CachedBlock[], after: number, options: ReadOptions): HistoryPage {
  return fillPage(beyond(blocks, after), after, blocks.at(-1)?.through ?? after, options);
}

function* beyond(blocks: readonly CachedBlock[], after: number): Iterable<Publication> {
  for (const { publications } of blocks) for (const it of publications) if (it.offset > after) yield it;
}
