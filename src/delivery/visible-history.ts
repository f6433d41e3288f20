/**
 * The history as clients and publishers see it: reads leave out what must not be delivered any more, because it has expired or was removed.
 * The id of such an event is found all the same, and a client that had it goes on after it.
 *
 * Whether an event has expired is asked of the wall clock, at each read: a clock that was wrong for some seconds has removed nothing.
 */
import type { Publication } from "../protocol/publication.js";
import type { KeyEntry } from "../protocol/stored-key.js";
import type { Clock } from "../util/clock.js";
import type { EqualIds, History, HistoryPage, KeepPolicy, ReadOptions } from "./history.js";
import type { Removals } from "./removals.js";
import type { TopicLimits } from "./topic-limits.js";

/** Whether a publication has not expired and is within the limits of its topics. `now`: milliseconds since 1970. */
const isCurrent = (publication: Publication, now: number, limits: TopicLimits | undefined): boolean =>
  (publication.expiresAt === undefined || publication.expiresAt > now) &&
  (limits === undefined || limits.isWithin(publication, now));

export class VisibleHistory implements History {
  readonly #stored: History;
  readonly #clock: Pick<Clock, "now">;
  #limits: TopicLimits | undefined;

  constructor(stored: History, clock: Pick<Clock, "now">) {
    this.#stored = stored;
    this.#clock = clock;
  }

  /** From now on reads also leave out what is beyond the limits of its topics. */
  limit(limits: TopicLimits): void {
    this.#limits = limits;
  }

  keep(policy: KeepPolicy): void {
    this.#stored.keep?.(policy);
  }

  get epoch(): string {
    return this.#stored.epoch;
  }

  get last(): number {
    return this.#stored.last;
  }

  get floor(): number {
    return this.#stored.floor;
  }

  get count(): number {
    return this.#stored.count;
  }

  get keptCount(): number {
    return this.#stored.keptCount ?? 0;
  }

  get bytes(): number {
    return this.#stored.bytes;
  }

  append(publication: Publication): Promise<void> | undefined {
    return this.#stored.append(publication);
  }

  commit(): void {
    this.#stored.commit();
  }

  onDiscarded(listener: () => void): void {
    this.#stored.onDiscarded?.(listener);
  }

  onRepeatedId(listener: (topic: string) => void): void {
    this.#stored.onRepeatedId?.(listener);
  }

  get hasFinal(): boolean {
    return this.#stored.hasFinal;
  }

  get removals(): Removals {
    return this.#stored.removals;
  }

  /** Whether a publication that was read may still be delivered. */
  isVisible(publication: Publication): boolean {
    const limits = this.#limits?.isActive && !this.#limits.ready() ? this.#limits : undefined;
    return !this.#stored.removals.has(publication) && isCurrent(publication, this.#clock.now(), limits);
  }

  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    const { match, hidden } = options;
    const limits = this.#limits?.isActive ? this.#limits : undefined;
    const counting = hidden ? undefined : limits?.ready();
    if (counting) return counting.then(() => this.read(after, options));
    const now = this.#clock.now();
    const { removals } = this.#stored;
    const isVisible = (publication: Publication) =>
      (hidden || isCurrent(publication, now, limits)) &&
      !removals.has(publication) &&
      (match === undefined || match(publication));
    return this.#stored.read(after, { ...options, match: isVisible });
  }

  find(id: string, which?: EqualIds): number | undefined | Promise<number | undefined> {
    return this.#stored.find(id, which);
  }

  findKey(hash: string): KeyEntry | undefined {
    return this.#stored.findKey(hash);
  }

  get keyCount(): number {
    return this.#stored.keyCount;
  }

  close(): Promise<void> {
    return this.#stored.close();
  }
}
