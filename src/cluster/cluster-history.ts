/**
 * History in a cluster: the stream holds it. A tail in memory answers for the newest events, which most replays ask for. Older ones
 * are read from the stream in ranges that all readers share, so that thousands of clients that reconnect after an hour cost one
 * read of each range.
 *
 * Long because reads are answered from three places. While NATS is disconnected, reads of older events wait; the clients keep their positions.
 */
import type { EqualIds, History, HistoryPage, ReadOptions } from "../delivery/history.js";
import type { KeyLimits } from "../delivery/recent-keys.js";
import type { PositionedRemoval, RemovalSet, Removals } from "../delivery/removals.js";
import { offsetOf } from "../protocol/position.js";
import type { Publication } from "../protocol/publication.js";
import type { KeyEntry } from "../protocol/stored-key.js";
import { type Cancel, type Clock, waitAtMost } from "../util/clock.js";
import { ClusterKeys } from "./cluster-keys.js";
import { ClusterRemovals } from "./cluster-removals.js";
import { EpochMap } from "./epoch-map.js";
import { pageOf, RangeCache } from "./range-cache.js";
import { findMark, findRemovedId, NO_MARK, type RemovalMark } from "./removal-notes.js";
import { keyOf } from "./stream-record.js";
import type { StreamSession, StreamState } from "./stream-session.js";

/** Makes an empty tail for an epoch, after a last offset. */
export type MakeTail = (from: { readonly epoch: string; readonly last: number }) => History;

export interface ClusterHistoryOptions {
  readonly clock: Clock;
  readonly tail: MakeTail;
  /** A message that is no publication. */
  readonly onForeignMessage: (sequence: number, why: string) => void;
  /** Absent = DEFAULT_KEY_LIMITS. */
  readonly keys?: KeyLimits | undefined;
}

/** How long find() waits for a session while NATS is disconnected. */
const FIND_TIMEOUT_MS = 5000;

/** The stream's state is inspected again after this: purged events are served from memory for as long at most. */
const MAX_STATE_AGE_MS = 100;
const REFRESH_TIMEOUT_MS = 500;

/** A rejected read may precede the end of its session by this long. */
const CONNECTION_CLOSE_MS = 250;

export class ClusterHistory implements History {
  readonly #options: ClusterHistoryOptions;
  /** Stamp of the newest publication, and when it was taken: the stream's clock counts for keys, and may differ from this machine's. */
  #newestStamp = 0;
  #newestAt = 0;
  /** Of every epoch that this process has seen. */
  readonly keys: ClusterKeys;
  readonly #removals = new ClusterRemovals();
  /** Of what this process has taken, and of what the stream held before: see noteFinal(). */
  #hasFinal = false;
  readonly #ranges: RangeCache;
  #epochMap = new EpochMap();
  #tail: History;
  #baseOffset = 0;
  /** The oldest message of the stream at its last inspection. */
  #oldest = 1;
  #floor = 0;
  /** At or above the tail's last: a message that is no publication has an offset as well. */
  #last = 0;
  /** What the stream held when it was last inspected, up to `#measured`, and what came since. */
  #count = 0;
  #bytes = 0;
  #measuredThrough = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  /** Sequences between the oldest and the newest message that have none; Infinity = not known yet. */
  #holes = Number.POSITIVE_INFINITY;
  #refreshing: Promise<void> | undefined;
  #session: StreamSession | undefined;
  #sessionWaiters: ((session: StreamSession | undefined) => void)[] = [];
  #isClosed = false;
  #notifyRepeatedId: (topic: string) => void = () => {};

  constructor(options: ClusterHistoryOptions) {
    this.#options = options;
    this.keys = new ClusterKeys(options.keys);
    this.#tail = options.tail({ epoch: "", last: 0 });
    this.#ranges = new RangeCache(
      (after, through) => this.#readStream(after, through),
      this.epoch,
      options.onForeignMessage,
      (publication) => this.keys.isRepeat(publication, this.epoch),
    );
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

  /** Begins a new epoch: drops everything. The events after `last` will be appended. */
  startEpoch(epoch: string, last: number): void {
    this.beginRemovals(NO_MARK, []);
    this.#startTail(epoch, last);
    this.#holes = Number.POSITIVE_INFINITY;
    this.#last = last;
    this.#measuredThrough = 0;
    this.setBase(0);
    this.#ranges.clear(epoch);
    this.#epochMap = new EpochMap();
  }

  /** The offsets of this epoch are those above `base`. */
  setBase(base: number): void {
    this.#baseOffset = base;
    this.#oldest = base + 1;
    this.#floor = base;
  }

  get removals(): Removals {
    return this.#removals.filter;
  }

  /** What this node has not taken itself. */
  beginRemovals(mark: RemovalMark, records: readonly PositionedRemoval[]): void {
    this.#removals.begin(mark, records);
  }

  /** See ClusterRemovals.mark and unapplied. */
  get removalMark(): RemovalMark {
    return this.#removals.mark;
  }

  get unapplied(): RemovalSet | undefined {
    return this.#removals.unapplied;
  }

  /** A mark was taken from the stream. */
  noteRemovals(mark: RemovalMark): void {
    const { applied } = this.#removals.mark;
    this.#removals.note(mark);
    this.#updateFloor();
    if (mark.applied > applied) void this.#forgetRemoved(mark.applied);
  }

  /** The filter stays until nothing in memory can show what was removed. Never rejects. */
  async #forgetRemoved(through: number): Promise<void> {
    const { epoch } = this;
    const tail = this.#tail;
    while (tail === this.#tail && tail.removals.size > 0) await new Promise((resolve) => setImmediate(resolve));
    await this.#ranges.drop((publication) => this.removals.has(publication));
    if (epoch === this.epoch) this.#removals.forget(through);
  }

  /** NATS is connected, or (undefined) disconnected. */
  connect(session: StreamSession | undefined): void {
    this.#session = session;
    if (session) for (const resume of this.#sessionWaiters.splice(0)) resume(session);
  }

  /** What the stream holds. Asks it whether its oldest messages were removed where some are missing. */
  async inspected(session: StreamSession, state: StreamState): Promise<void> {
    if (state.first - 1 > this.#floor) {
      const { epoch } = state;
      const { mark } = await findMark(session, epoch);
      if (epoch !== this.epoch) return;
      this.#removals.explain(mark);
    }
    this.#updateState(state);
  }

  #updateFloor(): void {
    this.#floor = Math.max(this.#baseOffset, this.#removals.floorBefore(this.#oldest));
  }

  #updateState({ first, last, count, bytes }: StreamState): void {
    this.#oldest = first;
    this.#updateFloor();
    this.#measuredAt = this.#options.clock.monotonic();
    const holes = last + 1 - first - count;
    if (this.#removals.isUnexpected(holes - this.#holes)) this.#dropCaches();
    this.#holes = holes;
    this.#measuredThrough = last;
    this.#count = count;
    this.#bytes = bytes;
  }

  /** Somebody deleted single messages of the stream, and NATS does not tell which: only the stream itself can be read. */
  #dropCaches(): void {
    this.#startTail(this.epoch, this.#last);
    this.#ranges.clear(this.epoch);
  }

  get hasFinal(): boolean {
    return this.#hasFinal;
  }

  /** The stream holds a final event that was not taken. */
  noteFinal(): void {
    this.#hasFinal = true;
  }

  get keyCount(): number {
    return this.keys.size;
  }

  findKey(hash: string): KeyEntry | undefined {
    const elapsed = this.#options.clock.monotonic() - this.#newestAt;
    return this.keys.find(hash, this.#newestStamp + elapsed);
  }

  #startTail(epoch: string, last: number): void {
    this.#tail = this.#options.tail({ epoch, last });
    this.#tail.onRepeatedId?.((topic) => this.#notifyRepeatedId(topic));
  }

  /** Offsets up to this one are used, and hold no publication. */
  skip(through: number): void {
    this.#last = Math.max(this.#last, through);
  }

  /** Everything up to this offset is lost. */
  markLost(through: number): void {
    this.skip(through);
    this.#baseOffset = Math.max(this.#baseOffset, through);
    this.#updateFloor();
  }

  append({ storedKey, ...publication }: Publication): undefined {
    if (publication.removes) this.#removals.add(publication);
    this.#newestStamp = publication.time;
    if (publication.isFinal) this.#hasFinal = true;
    this.#newestAt = this.#options.clock.monotonic();
    if (storedKey) this.keys.add(storedKey, this.epoch, publication.offset, publication.time);
    void this.#tail.append(publication);
    this.#last = publication.offset;
    if (publication.offset <= this.#measuredThrough) return;
    this.#count++;
    this.#bytes += publication.bytes.length;
  }

  /** Nothing to do: the stream holds the event already. */
  commit(): void {}

  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    if (after >= this.#last || !this.#session || !this.#isStateStale) return this.#read(after, options);
    return this.#refresh().then(() => this.#read(after, options));
  }

  get #isStateStale(): boolean {
    return this.#options.clock.monotonic() - this.#measuredAt >= MAX_STATE_AGE_MS;
  }

  /** Inspects the stream once for all waiting readers. Without an answer, the known state counts for another MAX_STATE_AGE_MS. */
  #refresh(): Promise<void> {
    this.#refreshing ??= waitAtMost(
      this.#options.clock,
      REFRESH_TIMEOUT_MS,
      this.#inspectStream().catch(() => {}),
    ).then(() => {
      this.#refreshing = undefined;
      this.#measuredAt = this.#options.clock.monotonic();
    });
    return this.#refreshing;
  }

  #read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    // The tail and the ranges may hold trimmed events. A reader below the floor gets a gap.
    if (after < this.#floor) return { publications: [], through: after };
    if (after >= this.#tail.floor) return this.#readTail(after, options);
    const through = Math.min(options.through, this.#tail.floor);
    const cached = this.#ranges.cached(after, through);
    if (cached.length > 0) return pageOf(cached, after, { ...options, through });
    return this.#readStored(after, { ...options, through });
  }

  /** Offsets behind the tail's last publication hold none: they count as read. */
  #readTail(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    const page = this.#tail.read(after, options);
    if (page instanceof Promise || page.through < this.#tail.last) return page;
    return { ...page, through: Math.max(page.through, Math.min(options.through, this.#last)) };
  }

  async #readStored(after: number, options: ReadOptions): Promise<HistoryPage> {
    const { epoch } = this;
    const range = await this.#ranges.load(after, this.#last);
    // The reader has been told of the new epoch.
    if (epoch !== this.epoch) return { publications: [], through: after };
    // A reader below the floor gets a gap.
    if (after < this.#floor) return { publications: [], through: after };
    return pageOf([range], after, options);
  }

  /** Finds out what was trimmed since the last inspection. */
  async #inspectStream(): Promise<void> {
    const session = this.#session;
    const state = await session?.inspect();
    if (session && state?.epoch === this.epoch) await this.inspected(session, state);
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#notifyRepeatedId = listener;
  }

  find(id: string, which: EqualIds = "oldest"): number | undefined | Promise<number | undefined> {
    const offset = offsetOf(this.epoch, id);
    if (offset !== undefined && offset <= this.#last) return offset > this.#floor ? offset : undefined;
    const recent = this.#tail.find(id, which);
    // The oldest event with an id may be in the stream only, unless the tail holds all that the stream has.
    if (recent !== undefined && (which === "newest" || this.#tail.floor <= this.#floor)) return recent;
    return this.#findInStream(id, which, offset, recent instanceof Promise ? undefined : recent);
  }

  /** An offset of this epoch above `last` was given out by another daemon that is ahead, or it was made up. */
  async #findInStream(
    id: string,
    which: EqualIds,
    offset: number | undefined,
    recent: number | undefined,
  ): Promise<number | undefined> {
    const session = await this.#waitForSession(FIND_TIMEOUT_MS);
    if (offset !== undefined) {
      const state = await session?.inspect().catch(() => undefined);
      // Without an answer the offset is accepted: a made-up one affects its own client only.
      return state && (state.epoch !== this.epoch || offset > state.last) ? undefined : offset;
    }
    const stored = session ? await this.#offsetOf(session, id, which) : recent;
    if (stored !== undefined && stored > this.#floor) return stored;
    const shifted = recent ?? (await this.#epochMap.find(session, this.epoch, id));
    return shifted !== undefined && shifted >= this.#floor ? shifted : undefined;
  }

  /** The offset of an event with a publisher's id, removed ones included. */
  async #offsetOf(session: StreamSession, id: string, which: EqualIds): Promise<number | undefined> {
    const [stored, removed] = await Promise.all([
      session.find(this.epoch, keyOf(id), which),
      this.removalMark === NO_MARK ? undefined : findRemovedId(session, this.epoch, id),
    ]);
    if (stored === undefined || removed === undefined) return stored ?? removed?.[which];
    return which === "oldest" ? Math.min(stored, removed.oldest) : Math.max(stored, removed.newest);
  }

  /** Waits for a session. Rejects when one that lasts does not answer. */
  async #readStream(after: number, through: number) {
    for (;;) {
      const session = await this.#waitForSession();
      if (!session) return [];
      try {
        const messages = await session.read(after, through);
        // What was trimmed before it was read is below the floor then, for every reader of the range.
        await this.#inspectStream();
        return messages;
      } catch (error) {
        // A session that ends rejects the read first, and reports its end a moment later.
        await new Promise<void>((resolve) => this.#options.clock.after(CONNECTION_CLOSE_MS, resolve));
        if (this.#session === session) throw error;
      }
    }
  }

  /** Resolves with the session once there is one; undefined after `timeoutMs`, or when the history is closed. */
  #waitForSession(timeoutMs?: number): Promise<StreamSession | undefined> | StreamSession | undefined {
    if (this.#session || this.#isClosed) return this.#session;
    return new Promise((resolve) => {
      let cancel: Cancel | undefined;
      const resume = (session: StreamSession | undefined) => {
        cancel?.();
        resolve(session);
      };
      this.#sessionWaiters.push(resume);
      if (timeoutMs === undefined) return;
      cancel = this.#options.clock.after(timeoutMs, () => {
        this.#sessionWaiters = this.#sessionWaiters.filter((other) => other !== resume);
        resolve(undefined);
      });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#session = undefined;
    for (const resume of this.#sessionWaiters.splice(0)) resume(undefined);
  }
}
