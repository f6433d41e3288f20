/**
 * Clients that are behind. A client that comes back with a Last-Event-ID reads from history, a body at a time, until it
 * has reached the place from which its audience goes on; there it joins, in the same turn, so that nothing falls between
 * and nothing comes twice. Clients of one audience at the same place are one group: one read and one body serve them all.
 *
 * No copy of the stream is kept for a client that is behind: it costs its cursor.
 */

import type { Publication } from "../protocol/publication.js";
import type { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { HistoryReader, ReadPage } from "./history-reader.js";
import type { GapReason } from "./ports.js";
import { stepsSoFar } from "./select/machine.js";

/** Clients of one audience that have all seen everything up to the same offset. */
export interface Group {
  readonly audience: Audience;
  readonly cursor: number;
  readonly clients: Set<Client>;
  /** A read that is under way: the group waits for it. */
  reading: boolean;
  /** What that read has brought. */
  page: ReadPage | undefined;
  /** Its next body is one publication of this many bytes, for which nobody had credit; 0 = not known to be so. */
  needs: number;
}

/** One step of some clients, to be sent in the next flush. */
export interface Feed {
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

export interface CatchupOptions {
  readonly history: HistoryReader;
  /** The largest body, bytes. */
  readonly maxBytes: () => number;
  /** How many bytes, counted for each receiver, one flush may spend on clients that are behind: live ones must not wait long. */
  readonly flushBytes: number;
  /** The event that tells a client that what it missed is no longer held, and where it goes on from. */
  readonly gap: (reason: GapReason, cursor: number) => Buffer;
  /** Called when a read that was waited for has come: there is something to take. */
  readonly ready: () => void;
}

/** The cursor of a client that has seen nothing of this epoch, and must be told that it missed something. */
export const BEFORE_ALL = -1;

/** Less credit than this is not spent on a body, bytes: many small ones cost more than they bring. */
const WORTHWHILE = 32_768;

/** Publications that one read looks at. */
const LOOK = 10_000;
/**
 * What it costs to look at a publication, and a step of a pattern's machine, in bytes of sending: about 20 and 10 ns. A read
 * ends where it has cost as much as a flush may: somebody with a hundred patterns of the worst kind asked for 10,000 events,
 * and the daemon stood still for 42 s.
 */
const LOOK_COST = 20;
const STEP_COST = 10;

export class Catchup {
  readonly #options: CatchupOptions;
  /** All groups, in the order they are served: who was served goes to the end. */
  readonly #queue = new Set<Group>();
  /** The same groups by audience and cursor. */
  readonly #groups = new Map<Audience, Map<number, Group>>();
  #size = 0;
  /** What looking has cost, ever. */
  #looking = 0;

  constructor(options: CatchupOptions) {
    this.#options = options;
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

  /**
   * The next body of each group, as far as the flush has room; groups take turns. Called right after the flush has taken
   * what waited for the live clients, so that whoever has caught up can join between two bodies of its audience.
   */
  take(head: number): Feed[] {
    const feeds: Feed[] = [];
    let room = this.#options.flushBytes;
    let looked = this.#looking;
    let turns = this.#queue.size;
    for (const group of this.#queue) {
      if (room <= 0 || turns-- === 0) break;
      const feed = group.reading || !hasCredit(group) ? undefined : this.#advance(group, head);
      room -= this.#looking - looked;
      looked = this.#looking;
      if (!feed) continue;
      feeds.push(feed);
      room -= (feed.body?.length ?? 0) * feed.clients.length;
    }
    return feeds;
  }

  /** One step of one group: read on, or join. */
  #advance(group: Group, head: number): Feed | undefined {
    const { history } = this.#options;
    const join = group.audience.joinOffset(head);
    if (group.cursor > join) return undefined; // ahead of its audience: what it has seen is still waiting for the others
    if (group.cursor === join) return this.#step(group, join, join, []);
    if (group.cursor < history.floor) {
      const notice = this.#options.gap(group.cursor < 0 ? "unknown" : "expired", history.floor);
      return this.#step(group, Math.min(history.floor, join), join, [notice]);
    }
    const page = group.page ?? this.#read(group, join);
    if (page instanceof Promise) return this.#await(group, page);
    const chunks = page.publications.map((publication) => publication.bytes);
    if (page.isBroken) chunks.push(this.#options.gap("expired", page.through));
    if (page.isUnavailable) chunks.push(this.#options.gap("unavailable", page.through));
    return this.#step(group, page.through, join, chunks);
  }

  #await(group: Group, page: Promise<ReadPage>): undefined {
    group.reading = true;
    void page.then((read) => {
      group.reading = false;
      group.page = read;
      this.#options.ready();
    });
  }

  #read(group: Group, through: number): ReadPage | Promise<ReadPage> {
    const { history, maxBytes, flushBytes } = this.#options;
    // A crowd at one place gets smaller bodies, more often: a body of 100 kB to 1000 clients would hold up live ones for long.
    const fair = Math.max(4096, Math.floor(flushBytes / group.clients.size));
    let left = flushBytes;
    let end = Number.POSITIVE_INFINITY;
    const match = (publication: Publication) => {
      if (left <= 0) return false;
      const before = stepsSoFar();
      const isWanted = group.audience.wants(publication);
      const cost = LOOK_COST + (stepsSoFar() - before) * STEP_COST;
      this.#looking += cost;
      left -= cost;
      if (left <= 0) end = publication.offset;
      return isWanted;
    };
    const cut = (page: ReadPage): ReadPage => ({ ...page, through: Math.min(page.through, end) });
    const page = history.read(group.cursor, {
      through,
      most: LOOK,
      maxBytes: Math.min(maxBytes(), fair, mostCredit(group)),
      match,
    });
    return page instanceof Promise ? page.then(cut) : cut(page);
  }

  /**
   * Takes those of a group that have credit for the body to another cursor: on in history, or into its audience, if that is
   * where it meets it. The others stay where they are.
   */
  #step(group: Group, cursor: number, join: number, chunks: readonly Buffer[]): Feed | undefined {
    const body = chunks.length > 0 ? Buffer.concat(chunks) : undefined;
    const bytes = body?.length ?? 0;
    const clients = [...group.clients].filter(({ credit, allowance }) => credit >= Math.min(bytes, allowance));
    group.needs = clients.length > 0 ? 0 : bytes;
    if (clients.length === 0) return undefined;
    const live = cursor === join;
    for (const client of clients) {
      client.credit -= bytes;
      group.clients.delete(client);
      if (live) this.#join(client);
      else this.#put(client, cursor);
    }
    if (group.clients.size === 0) this.#drop(group);
    else this.#last(group);
    return { clients, body, events: chunks.length, cursor, live };
  }

  /** Behind all others in the queue. */
  #last(group: Group): void {
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
      group = { audience, cursor, clients: new Set(), reading: false, page: undefined, needs: 0 };
      groups.set(cursor, group);
      this.#queue.add(group);
    }
    group.clients.add(client);
    client.behind = group;
  }

  #drop(group: Group): void {
    if (!this.#queue.delete(group)) return;
    const groups = this.#groups.get(group.audience);
    groups?.delete(group.cursor);
    if (groups?.size === 0) this.#groups.delete(group.audience);
  }
}

/** The most that any client of a group may be sent now. */
function mostCredit(group: Group): number {
  let most = 0;
  for (const { credit } of group.clients) most = Math.max(most, credit);
  return most;
}

/**
 * Whether it is worth reading on for a group: some client of it can take a body of fair size, or all that it ever can. A
 * publication may be as large as its whole allowance.
 */
function hasCredit(group: Group): boolean {
  const enough = Math.max(group.needs, WORTHWHILE);
  for (const { credit, allowance } of group.clients) if (credit >= Math.min(allowance, enough)) return true;
  return false;
}
