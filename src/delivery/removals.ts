/**
 * The removals that a store has not applied to all of its events yet. Until it has, reads leave out what they concern: a look-up for each
 * topic of an event, however many removals there are.
 *
 * A store applies all of them in one pass over its events (RemovalPass). Those that come during the pass wait for the next one.
 */
import type { Publication } from "../protocol/publication.js";
import type { Removal } from "../protocol/removal.js";

/** A removal, and the offset of its record. */
export type PositionedRemoval = Required<Pick<Publication, "offset" | "removes">>;

/** Removals whose targets are looked up together. */
export class RemovalSet {
  /** The highest offset that is concerned, by topic and by id. */
  readonly #topics = new Map<string, number>();
  readonly #ids = new Map<string, number>();
  readonly #times: { readonly before: number; readonly through: number }[] = [];
  /** No offset up to this one is concerned by any of them. */
  after = Number.POSITIVE_INFINITY;
  /** The highest offset that any of them concerns. */
  through = 0;
  /** The offset of the newest record. */
  last = 0;
  size = 0;

  static of(records: readonly PositionedRemoval[]): RemovalSet {
    const set = new RemovalSet();
    for (const { offset, removes } of records) set.add(removes, offset);
    return set;
  }

  add(removal: Removal, offset: number): void {
    const { through, after = 0 } = removal;
    if ("topic" in removal) raise(this.#topics, removal.topic, through);
    else if ("id" in removal) raise(this.#ids, removal.id, through);
    else this.#times.push({ before: removal.before, through });
    this.after = Math.min(this.after, after);
    this.through = Math.max(this.through, through);
    this.last = Math.max(this.last, offset);
    this.size++;
  }

  has({ offset, id, topics, time }: Publication): boolean {
    if (offset > this.through) return false;
    if (this.#topics.size > 0 && topics.some((topic) => offset <= (this.#topics.get(topic) ?? 0))) return true;
    if (this.#ids.size > 0 && offset <= (this.#ids.get(id) ?? 0)) return true;
    return this.#times.some(({ before, through }) => time < before && offset <= through);
  }
}

function raise(highest: Map<string, number>, key: string, through: number): void {
  highest.set(key, Math.max(highest.get(key) ?? 0, through));
}

export class Removals {
  /** Those of the pass that is under way. */
  #applied = new RemovalSet();
  #waiting = new RemovalSet();

  /** Removals that are not applied yet. */
  get size(): number {
    return this.#applied.size + this.#waiting.size;
  }

  /** A publication that removes others was stored. */
  add({ offset, removes }: Pick<Publication, "offset" | "removes">): void {
    if (removes) this.#waiting.add(removes, offset);
  }

  /** Whether one of them concerns a publication. */
  has(publication: Publication): boolean {
    return this.size > 0 && (this.#applied.has(publication) || this.#waiting.has(publication));
  }

  /** A pass begins, or begins again. Returns what it applies; undefined = there is nothing to do. */
  beginPass(): Pick<RemovalSet, "has" | "through" | "last"> | undefined {
    if (this.#applied.size === 0) {
      this.#applied = this.#waiting;
      this.#waiting = new RemovalSet();
    }
    return this.#applied.size > 0 ? this.#applied : undefined;
  }

  /** Forgets all but these, which are no part of a pass. For a store that applies them elsewhere. */
  replace(records: readonly PositionedRemoval[]): void {
    this.#waiting = RemovalSet.of(records);
  }

  /** The pass has reached the end: what it applied is forgotten. */
  endPass(): void {
    this.#applied = new RemovalSet();
  }
}

/** What one pass applies. */
export type AppliedRemovals = NonNullable<ReturnType<Removals["beginPass"]>>;

/** The store of a pass. */
export interface RemovableEvents {
  /**
   * Removes the events that are concerned, beginning after an offset, in a slice of limited work. Returns the offset that it has reached;
   * undefined = it cannot go on: start() begins the pass again.
   */
  remove(applied: AppliedRemovals, after: number): number | undefined;
}

/** Applies removals to a store in slices, one for each turn of the event loop. */
export class RemovalPass {
  readonly #removals: Removals;
  readonly #store: RemovableEvents;
  #isRunning = false;
  #isClosed = false;

  constructor(removals: Removals, store: RemovableEvents) {
    this.#removals = removals;
    this.#store = store;
  }

  /** Begins a pass unless one is under way, or there is nothing to do. */
  start(): void {
    if (this.#isRunning || this.#isClosed || this.#removals.size === 0) return;
    this.#isRunning = true;
    void this.#run();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    for (let applied = this.#removals.beginPass(); applied; applied = this.#removals.beginPass()) {
      if (!(await this.#apply(applied))) break;
      this.#removals.endPass();
    }
    this.#isRunning = false;
  }

  /** False when it could not be completed. */
  async #apply(applied: AppliedRemovals): Promise<boolean> {
    for (let reached: number | undefined = 0; reached < applied.through; ) {
      await new Promise((resolve) => setImmediate(resolve));
      reached = this.#isClosed ? undefined : this.#store.remove(applied, reached);
      if (reached === undefined) return false;
    }
    return true;
  }
}
