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

/** Whether a publication must not be delivered any more. `now`: milliseconds since 1970. */
const isExpired = ({ expiresAt }: Pick<Publication, "expiresAt">, now: number): boolean =>
  expiresAt !== undefined && expiresAt <= now;

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

  get removals(): Removals {
    return this.#stored.removals;
  }

  /** Whether a publication that was read may still be delivered. */
  isVisible(publication: Publication): boolean {
    const now = this.#clock.now();
    if (isExpired(publication, now) || this.#stored.removals.has(publication)) return false;
    return !this.#limits?.isActive || this.#limits.ready() !== undefined || this.#limits.isWithin(publication, now);
  }

  read(after: number, options: ReadOptions): HistoryPage | Promise<HistoryPage> {
    const { match, hidden } = options;
    const limits = this.#limits?.isActive ? this.#limits : undefined;
    const counting = hidden ? undefined : limits?.ready();
    if (counting) return counting.then(() => this.read(after, options));
    const now = this.#clock.now();
    const { removals } = this.#stored;
    const isVisible = (publication: Publication) =>
      (hidden || (!isExpired(publication, now) && (limits === undefined || limits.isWithin(publication, now)))) &&
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
