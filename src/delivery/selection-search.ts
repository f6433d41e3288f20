/**
 * Finds the events of a selection (selection.ts) through the index of topics. Exact topics are looked up. For a URI template only topics
 * with its literal beginning are looked at; for a URL pattern, whose topics have many spellings, and for `*` all of them. The search goes on
 * in slices of limited work, and gives up after `maxScan` topics and passed-over events: then the client gets what was found, and a gap.
 */
import type { Interest } from "../matching/interest.js";
import { type Budget, PUBLICATION_UNITS, TRY_UNITS, tryWithin } from "../matching/match-budget.js";
import { compile, type Selector } from "../matching/selector.js";
import { maySee, type Trial } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";
import type { StoredSelection } from "./selection.js";
import type { TopicEntry, TopicOffsets } from "./topic-offsets.js";

/** What one search may look at and find. */
export interface SelectionLimits {
  /** Topics that are looked at for templates, patterns and `*`, and events that are passed over because the client may not see them. */
  readonly maxScan: number;
  /** Events that a client is given. */
  readonly maxEvents: number;
}

export const DEFAULT_SELECTION_LIMITS: SelectionLimits = { maxScan: 20_000, maxEvents: 1_000 };

export interface SelectionSearchOptions {
  readonly topics: TopicOffsets;
  readonly history: HistoryReader;
  /** The hub's URL. */
  readonly base: string;
  readonly limits: SelectionLimits;
  /** Determines whether the client gets a publication. */
  readonly trial: (publication: Publication) => Trial;
  /** Whether every publication must be tried: its topics may keep it from the client. Absent = no. */
  readonly mustTry?: () => boolean;
}

/** The result of a search. */
export interface Selection {
  /** Rising. */
  readonly offsets: readonly number[];
  /** Events are missing because a limit was reached. */
  readonly isCut: boolean;
}

/** Topics that are taken from the index at a time. */
const MAX_LISTED_TOPICS = 64;
/** Cost of reading an event, units of work (about 10 ns): 6 us where it is not in memory. */
export const READ_UNITS = 600;

export class SelectionSearch {
  readonly #interest: Interest;
  readonly #selection: Pick<StoredSelection, "request" | "join">;
  readonly #options: SelectionSearchOptions;
  readonly #found: NewestOffsets;
  /** Events that one topic may add. */
  readonly #mostOfTopic: number;
  readonly #steps: Iterator<Promise<unknown> | undefined, void>;
  #budget: Budget = { left: 0 };
  /** What the search waits for; undefined = nothing. */
  #waiting: Promise<unknown> | undefined;
  #scannedCount = 0;
  #isCut = false;
  #result: Selection | undefined;

  constructor(
    interest: Interest,
    selection: Pick<StoredSelection, "request" | "join">,
    options: SelectionSearchOptions,
  ) {
    const { request } = selection;
    this.#interest = interest;
    this.#selection = selection;
    this.#options = options;
    const { maxEvents } = options.limits;
    const wanted = request.kind === "last" ? request.count : Number.POSITIVE_INFINITY;
    this.#found = new NewestOffsets(Math.min(wanted, maxEvents));
    this.#mostOfTopic = request.kind === "last" ? Math.min(wanted, maxEvents) + 1 : 1;
    this.#steps = this.#search();
  }

  /**
   * Goes on until the result is known. A promise: the index or an event is being read, and the caller calls again after it. Undefined: the
   * budget is spent. With a budget above 0 it makes at least one step.
   */
  run(budget: Budget): Selection | Promise<unknown> | undefined {
    if (this.#result) return this.#result;
    // Another caller may have it too: if the search went on before, what it waits for would count as missing.
    if (this.#waiting) return this.#waiting;
    this.#budget = budget;
    const { done, value } = this.#steps.next();
    if (!done) return value && this.#wait(value);
    const { request } = this.#selection;
    const isShort = request.kind === "latest" || request.count > this.#options.limits.maxEvents;
    const offsets = this.#found.sorted();
    this.#result = { offsets, isCut: this.#isCut || (isShort && this.#found.isOverfull) };
    return this.#result;
  }

  #wait(read: Promise<unknown>): Promise<unknown> {
    this.#waiting = read.finally(() => {
      this.#waiting = undefined;
    });
    return this.#waiting;
  }

  *#search(): Generator<Promise<unknown> | undefined, void> {
    const { selectors } = this.#interest;
    yield* this.#indexed();
    const any = selectors.find(({ kind }) => kind === "any");
    for (const selector of any ? [any] : selectors) {
      if (selector.kind === "exact") yield* this.#takeExact(selector.value);
      else yield* this.#scan(selector);
      if (this.#isCut) return;
    }
  }

  /** The index may be read again at any time: see TopicOffsets.reset(). */
  *#indexed(): Generator<Promise<unknown> | undefined, void> {
    const { topics } = this.#options;
    for (let reading = topics.ready(); reading; reading = topics.ready()) yield reading;
  }

  *#scan(selector: Exclude<Selector, { kind: "exact" }>): Generator<Promise<unknown> | undefined, void> {
    const { topics, base, limits } = this.#options;
    const prefix = selector.kind === "template" ? (selector.value.split("{", 1)[0] as string) : "";
    const test = selector.kind === "any" ? undefined : compile(selector, base);
    for (let after = ""; ; ) {
      for (let sorting = topics.sorted(); sorting; sorting = topics.sorted()) yield sorting;
      const some = topics.withPrefix(prefix, after, MAX_LISTED_TOPICS);
      if (some.length === 0) return;
      for (const topic of some) {
        if (this.#scannedCount++ === limits.maxScan) this.#isCut = true;
        if (this.#isCut) return;
        if (!test || tryWithin(this.#budget, test, topic)) yield* this.#take(topic);
        yield* this.#spend();
        after = topic;
      }
    }
  }

  /** As #take(). A public event that is stored for certain, which most are, costs no generator: 0.3 us instead of 1. */
  #takeExact(topic: string): Iterable<Promise<unknown> | undefined> {
    const { topics, mustTry } = this.#options;
    const isReady = this.#budget.left > TRY_UNITS && !topics.ready();
    const entry = isReady && this.#mostOfTopic === 1 ? topics.newest(topic, this.#selection.join) : undefined;
    if (!entry || entry.isPrivate || entry.mayBeGone || mustTry?.() === true) return this.#take(topic);
    this.#budget.left -= TRY_UNITS;
    this.#found.add(entry.offset);
    return NOTHING;
  }

  /** Adds the newest events of a topic that the client may see. */
  *#take(topic: string): Generator<Promise<unknown> | undefined, void> {
    const { topics, limits } = this.#options;
    let through = this.#selection.join;
    for (let taken = 0; taken < this.#mostOfTopic; ) {
      yield* this.#spend();
      yield* this.#indexed();
      const entry = topics.newest(topic, through);
      if (!entry || this.#found.isBelow(entry.offset)) return;
      const isSeen = yield* this.#maySee(topic, entry);
      if (isSeen) {
        this.#found.add(entry.offset);
        taken++;
      } else if (this.#scannedCount++ >= limits.maxScan) {
        this.#isCut = true;
        return;
      }
      through = entry.offset - 1;
    }
  }

  /** An event is read only where the index does not tell: it may be gone, or no grant covers the topic through which it was found. */
  *#maySee(
    topic: string,
    { offset, isPrivate, mayBeGone }: TopicEntry,
  ): Generator<Promise<unknown> | undefined, boolean> {
    if (isPrivate && this.#interest.grants.length === 0) return false;
    const isTried = mayBeGone || this.#options.mustTry?.() === true;
    if (!isTried && (!isPrivate || this.#isGranted(topic))) return true;
    const page = yield* this.#read(offset);
    const [publication] = page?.publications ?? [];
    if (!publication) return false;
    const trial = this.#options.trial(publication);
    for (let isSeen = trial.run(this.#budget); ; isSeen = trial.run(this.#budget)) {
      if (isSeen !== undefined) return isSeen;
      yield undefined;
    }
  }

  *#read(offset: number): Generator<Promise<unknown> | undefined, ReadPage | undefined> {
    this.#budget.left -= READ_UNITS;
    const reading = this.#options.history.read(offset - 1, () => ({
      ...{ through: offset, maxBytes: 1, most: 1, kept: true },
    }));
    if (!(reading instanceof Promise)) return reading;
    let page: ReadPage | undefined;
    yield reading.then((read) => {
      page = read;
    });
    return page;
  }

  /** A comparison that takes longer than that of one publication may counts as not granted. */
  #isGranted(topic: string): boolean {
    const budget = { left: PUBLICATION_UNITS };
    const publication = { offset: 0, id: "", topics: [topic], private: true, time: 0, bytes: NO_BYTES };
    const isGranted = maySee(this.#interest, publication, this.#options.base, budget);
    this.#budget.left -= PUBLICATION_UNITS - budget.left;
    return isGranted === true;
  }

  *#spend(): Generator<undefined, void> {
    this.#budget.left -= TRY_UNITS;
    if (this.#budget.left <= 0) yield undefined;
  }
}

const NO_BYTES = Buffer.alloc(0);
const NOTHING: readonly never[] = [];

/**
 * Resolves when a search that waits can go on; where the stored events cannot be read, with a page that ends the selection at `through`.
 * Never rejects.
 */
export function searchResumed(waiting: Promise<unknown>, through: number): Promise<ReadPage | undefined> {
  return waiting.then(
    () => undefined,
    () => ({ publications: [], through, isUnavailable: true }),
  );
}

/** The highest of the offsets that were added, at most `most`. */
class NewestOffsets {
  readonly #most: number;
  readonly #offsets = new Set<number>();
  /** Offsets up to this one do not belong to the highest. */
  #floor = 0;
  /** More offsets were added than are kept. */
  isOverfull = false;

  constructor(most: number) {
    this.#most = most;
  }

  add(offset: number): void {
    if (offset > this.#floor) this.#offsets.add(offset);
    else this.isOverfull = true;
    if (this.#offsets.size >= 2 * this.#most + 1) this.#shrink();
  }

  /** Neither this offset nor a lower one is among the highest. */
  isBelow(offset: number): boolean {
    if (offset > this.#floor) return false;
    this.isOverfull = true;
    return true;
  }

  sorted(): number[] {
    this.#shrink();
    return [...this.#offsets].sort((a, b) => a - b);
  }

  #shrink(): void {
    if (this.#offsets.size <= this.#most) return;
    const rising = [...this.#offsets].sort((a, b) => a - b);
    const dropped = rising.slice(0, -this.#most);
    for (const offset of dropped) this.#offsets.delete(offset);
    this.#floor = dropped.at(-1) ?? this.#floor;
    this.isOverfull = true;
  }
}
