/**
 * What a node knows of the removals in the stream that it follows. A removal is a filter on reads until a mark says that the stream holds
 * nothing any more of what it concerns.
 */
import { type PositionedRemoval, RemovalSet, Removals } from "../delivery/removals.js";
import type { Publication } from "../protocol/publication.js";
import { floorBefore, NO_MARK, type RemovalMark } from "./removal-notes.js";

export class ClusterRemovals {
  /** Those that are not forgotten yet. */
  readonly filter = new Removals();
  #records: PositionedRemoval[] = [];
  #mark = NO_MARK;
  /** Messages that were announced to be erased, and are not missing yet. */
  #announcedCount = 0;
  #isApplied = false;

  /** Begins with what the stream holds. */
  begin(mark: RemovalMark, records: readonly PositionedRemoval[]): void {
    this.#mark = mark;
    this.#announcedCount = mark.count;
    this.#isApplied = false;
    this.#records = [...records];
    this.filter.replace(records);
  }

  /** A record was taken. */
  add({ offset, removes }: Publication): void {
    if (!removes || offset <= Math.max(this.#mark.applied, this.#records.at(-1)?.offset ?? 0)) return;
    this.#records.push({ offset, removes });
    this.filter.add({ offset, removes });
  }

  /** A mark was taken. */
  note(mark: RemovalMark): void {
    const { applied } = this.#mark;
    if (mark.applied < applied) return; // an earlier one: the newest was read at the start
    this.#announcedCount += mark.count;
    this.#isApplied ||= mark.applied > applied;
    this.#mark = { ...this.#mark, applied: mark.applied };
    this.explain(mark);
  }

  /** Why the oldest messages are missing, by a mark that may not have been taken yet. */
  explain({ floor, first }: RemovalMark): void {
    if (first > this.#mark.first) this.#mark = { ...this.#mark, floor, first };
  }

  get mark(): RemovalMark {
    return this.#mark;
  }

  /** Those that the stream may still hold something of; undefined = there are none. */
  get unapplied(): RemovalSet | undefined {
    const records = this.#records.filter(({ offset }) => offset > this.#mark.applied);
    return records.length > 0 ? RemovalSet.of(records) : undefined;
  }

  /** See floorBefore(). */
  floorBefore(first: number): number {
    return floorBefore(first, this.#mark);
  }

  /**
   * Whether more messages are missing than were announced: somebody else deleted them. `missing`: those that are missing since the last
   * inspection of the stream.
   */
  isUnexpected(missing: number): boolean {
    const isUnexpected = missing > this.#announcedCount;
    this.#announcedCount = isUnexpected || this.#isApplied ? 0 : this.#announcedCount - Math.max(0, missing);
    this.#isApplied = false;
    return isUnexpected;
  }

  /** Nothing of what was removed up to this record is in memory any more. */
  forget(through: number): void {
    this.#records = this.#records.filter(({ offset }) => offset > through);
    this.filter.replace(this.#records);
  }
}
