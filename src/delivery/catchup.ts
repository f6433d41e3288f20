/**
 * Clients that are behind. A client that comes back with a Last-Event-ID reads from history, a body at a time, until it
 * has reached the place from which its audience goes on; there it joins, in the same turn, so that nothing falls between
 * and nothing comes twice. Clients of one audience at the same place are one group: one read and one body serve them all.
 *
 * No copy of the stream is kept for a client that is behind: it costs its cursor.
 */

import type { Budget } from "../matching/match-budget.js";
import type { Trial } from "../matching/trial.js";
import type { Clock } from "../util/clock.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { ReadPage } from "./history-reader.js";
import { PageReader, type PageReaderOptions } from "./page-reader.js";
import type { GapReason } from "./ports.js";

/** Clients of one audience that have all seen everything up to the same offset. */
export interface CatchupGroup {
  readonly audience: Audience;
  readonly cursor: number;
  readonly clients: Set<Client>;
  /** A read that is under way: the group waits for it. */
  reading: boolean;
  /** What that read has brought. */
  page: ReadPage | undefined;
  /** Of the publication after its cursor: it took more than one slice. */
  trial: Trial | undefined;
  /** Its next body is one publication of this many bytes, for which nobody had credit; 0 = not known to be so. */
  needs: number;
}

/** One step of some clients, to be sent in the next flush. */
export interface CatchupStep {
  readonly clients: readonly Client[];
  /** Absent when there was nothing for them on the way. */
  readonly body: Buffer | undefined;
  /** How many publications it is. */
  readonly events: number;
  /** Where this step takes them. */
  readonly cursor: number;
  /** Whether they are live from here on. */
  readonly live: boolean;
}

export interface CatchupOptions extends PageReaderOptions {
  /** The event that tells a client that what it missed is no longer held, and where it goes on from. */
  readonly gap: (reason: GapReason, cursor: number) => Buffer;
  /** Called when a read that was waited for has come, or the next slice may be done: there is something to take. */
  readonly ready: () => void;
  readonly clock: Clock;
}

/** The cursor of a client that has seen nothing of this epoch, and must be told that it missed something. */
export const BEFORE_ALL = -1;

/** Less credit than this is not spent on a body, bytes: many small ones cost more than they bring. */
const WORTHWHILE = 32_768;

/**
 * Units of work (about 10 ns) that one flush may spend on finding out who wants what: 1 ms. Groups with patterns share it, and
 * get slices of at least MIN_SLICE_UNITS; others may look as long as the flush has room, a unit for UNIT_BYTES. Somebody with
 * a hundred patterns of the worst kind asked for 10,000 events, and the daemon stood still for 42 s.
 */
const MATCH_UNITS = 100_000;
const MIN_SLICE_UNITS = 5_000;
const UNIT_BYTES = 10;
/** Between two slices that brought nothing to send, milliseconds: half of one processor is left for others. */
const REST_MS = 1;

export class Catchup {
  readonly #options: CatchupOptions;
  /** All groups, in the order they are served: who was served goes to the end. */
  readonly #queue = new Set<CatchupGroup>();
  /** The same groups by audience and cursor. */
  readonly #groups = new Map<Audience, Map<number, CatchupGroup>>();
  #size = 0;
  readonly #reader: PageReader;
  /** What this slice may still cost. */
  #slice: Budget = { left: 0 };
  #isResting = false;

  constructor(options: CatchupOptions) {
    this.#options = options;
    this.#reader = new PageReader(options);
  }

  /** How many clients are behind. */
  get size(): number {
    return this.#size;
  }

  /** The client has seen everything up to `cursor` and gets the rest from history. */
  add(client: Client, cursor: number): void {
    this.#size++;
    this.#put(client, cursor);
  }

  remove(client: Client): void {
    const group = client.behind;
    if (!group) return;
    this.#size--;
    client.behind = undefined;
    group.clients.delete(client);
    if (group.clients.size === 0) this.#drop(group);
  }

  /** Nobody's cursor means anything any more: all are told so, and go on from the floor. */
  rewind(): void {
    const clients = [...this.#queue].flatMap((group) => [...group.clients]);
    this.#queue.clear();
    this.#groups.clear();
    for (const client of clients) this.#put(client, BEFORE_ALL);
  }

  clear(): void {
    this.#queue.clear();
    this.#groups.clear();
    this.#size = 0;
  }

  /** Whether take() would do anything now. */
  hungry(head: number): boolean {
    if (this.#size === 0) return false;
    for (const group of this.#queue) {
      if (!group.reading && group.cursor <= group.audience.joinOffset(head) && hasCredit(group)) return true;
    }
    return false;
  }

  /** Whether clients of an audience could go on and are not live yet. */
  isBehind(audience: Audience): boolean {
    const groups = this.#groups.get(audience);
    return groups !== undefined && [...groups.values()].some((group) => !group.reading && hasCredit(group));
  }

  /**
   * The next body of each group, as far as the flush has room; groups take turns. Called right after the flush has taken
   * what waited for the live clients, so that whoever has caught up can join between two bodies of its audience.
   */
  take(head: number): CatchupStep[] {
    const feeds: CatchupStep[] = [];
    let room = this.#options.flushBytes;
    let matching = MATCH_UNITS;
    let turns = this.#queue.size;
    const share = Math.max(MIN_SLICE_UNITS, Math.floor(MATCH_UNITS / Math.max(1, turns)));
    for (const group of this.#queue) {
      if (room <= 0 || turns-- === 0) break;
      const { hasPatterns } = group.audience;
      if (group.reading || (hasPatterns && matching <= 0) || !hasCredit(group)) continue;
      const units = hasPatterns ? Math.min(share, matching) : room / UNIT_BYTES;
      this.#slice = { left: units };
      const feed = this.#advance(group, head);
      const spent = units - this.#slice.left;
      if (hasPatterns) matching -= spent;
      else room -= spent * UNIT_BYTES;
      if (!feed) continue;
      feeds.push(feed);
      room -= (feed.body?.length ?? 0) * feed.clients.length;
    }
    if (matching <= 0) this.#rest();
    return feeds;
  }

  /** What was not done for want of time goes on in a while, even if there is nothing to send in between. */
  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#options.clock.after(REST_MS, () => {
      this.#isResting = false;
      this.#options.ready();
    });
  }

  /** One step of one group: read on, or join. */
  #advance(group: CatchupGroup, head: number): CatchupStep | undefined {
    const { history } = this.#options;
    const join = group.audience.joinOffset(head);
    if (group.cursor > join) return undefined; // ahead of its audience: what it has seen is still waiting for the others
    if (group.cursor === join) return this.#step(group, join, join, []);
    if (group.cursor < history.floor) {
      const notice = this.#options.gap(group.cursor < 0 ? "unknown" : lossOf(group), history.floor);
      return this.#step(group, Math.min(history.floor, join), join, [notice]);
    }
    const page = group.page ?? this.#reader.read(group, join, this.#slice);
    if (page instanceof Promise) return this.#await(group, page);
    if (page.through === group.cursor && group.trial) return this.#goOn(group);
    const chunks = page.publications.map((publication) => publication.bytes);
    if (page.isBroken) chunks.push(this.#options.gap(lossOf(group), page.through));
    if (page.isUnavailable) chunks.push(this.#options.gap("unavailable", page.through));
    return this.#step(group, page.through, join, chunks);
  }

  /** The slice was not enough for one publication. */
  #goOn(group: CatchupGroup): undefined {
    this.#rest();
    this.#last(group);
  }

  #await(group: CatchupGroup, page: Promise<ReadPage>): undefined {
    group.reading = true;
    void page.then((read) => {
      group.reading = false;
      group.page = read;
      this.#options.ready();
    });
  }

  /**
   * Takes those of a group that have credit for the body to another cursor: on in history, or into its audience, if that is
   * where it meets it. The others stay where they are.
   */
  #step(group: CatchupGroup, cursor: number, join: number, chunks: readonly Buffer[]): CatchupStep | undefined {
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const bytes = body?.length ?? 0;
    const clients = [...group.clients].filter(
      ({ creditAvailable: credit, creditLimit: allowance }) => credit >= Math.min(bytes, allowance),
    );
    group.needs = clients.length > 0 ? 0 : bytes;
    if (clients.length === 0) return undefined;
    const live = cursor === join;
    for (const client of clients) {
      client.creditAvailable -= bytes;
      group.clients.delete(client);
      if (live) this.#join(client);
      else this.#put(client, cursor);
    }
    if (group.clients.size === 0) this.#drop(group);
    else this.#last(group);
    const next = this.#groups.get(group.audience)?.get(cursor);
    if (next) next.trial ??= group.trial;
    return { clients, body, events: chunks.length, cursor, live };
  }

  /** Behind all others in the queue. */
  #last(group: CatchupGroup): void {
    group.page = undefined;
    this.#queue.delete(group);
    this.#queue.add(group);
  }

  #join(client: Client): void {
    this.#size--;
    client.behind = undefined;
    client.audience.add(client);
  }

  #put(client: Client, cursor: number): void {
    const { audience } = client;
    let groups = this.#groups.get(audience);
    if (!groups) {
      groups = new Map();
      this.#groups.set(audience, groups);
    }
    let group = groups.get(cursor);
    if (!group) {
      group = { audience, cursor, clients: new Set(), reading: false, page: undefined, trial: undefined, needs: 0 };
      groups.set(cursor, group);
      this.#queue.add(group);
    }
    group.clients.add(client);
    client.behind = group;
  }

  #drop(group: CatchupGroup): void {
    if (!this.#queue.delete(group)) return;
    const groups = this.#groups.get(group.audience);
    groups?.delete(group.cursor);
    if (groups?.size === 0) this.#groups.delete(group.audience);
  }
}

/** Why a group has lost what it was to read. */
const lossOf = ({ audience }: CatchupGroup): GapReason => (audience.isOverloading ? "overload" : "expired");

/**
 * Whether it is worth reading on for a group: some client of it can take a body of fair size, or all that it ever can. A
 * publication may be as large as its whole allowance.
 */
function hasCredit(group: CatchupGroup): boolean {
  const enough = Math.max(group.needs, WORTHWHILE);
  for (const { creditAvailable: credit, creditLimit: allowance } of group.clients)
    if (credit >= Math.min(allowance, enough)) return true;
  return false;
}
