/** The groups of clients that catch up: which exist, and in which order they are served. */
import type { Trial } from "../matching/trial.js";
import type { Audience } from "./audience.js";
import type { CatchingUp, Client } from "./client.js";
import type { ReadPage } from "./history-reader.js";
import type { Selecting } from "./selection.js";

/** Clients of one audience that have been sent everything up to the same offset. It is the state of each of them. */
export interface CatchupGroup extends CatchingUp {
  readonly audience: Audience<Client>;
  readonly clients: Set<Client>;
  /** A read is in progress: the group waits for it. */
  isReading: boolean;
  /** The result of that read. */
  page: ReadPage | undefined;
  /** Of the publication after its cursor, which took more than one slice. */
  trial: Trial | undefined;
  /** Its next body is one publication of this size, for which no client had credit, bytes; 0 = unknown. */
  neededBytes: number;
}

/** With less credit than this a client is not read for, bytes: many small bodies cost more than they deliver. */
const MIN_CREDIT_BYTES = 32_768;

export class CatchupGroups {
  /** In the order in which they are served: a served group moves to the end. */
  readonly #queue = new Set<CatchupGroup>();
  /** The same groups by audience, and by cursor and selection. */
  readonly #byAudience = new Map<Audience<Client>, Map<number | string, CatchupGroup>>();

  get size(): number {
    return this.#queue.size;
  }

  [Symbol.iterator](): Iterator<CatchupGroup> {
    return this.#queue[Symbol.iterator]();
  }

  of(audience: Audience<Client>): Iterable<CatchupGroup> {
    return this.#byAudience.get(audience)?.values() ?? [];
  }

  find(audience: Audience<Client>, cursor: number, selecting?: Selecting): CatchupGroup | undefined {
    return this.#byAudience.get(audience)?.get(keyOf(cursor, selecting));
  }

  /** Puts a client into the group at a cursor, which it makes where there is none. */
  put(client: Client, cursor: number, selecting: Selecting | undefined): void {
    const group = this.find(client.audience, cursor, selecting) ?? this.#make(client.audience, cursor, selecting);
    group.clients.add(client);
    client.catchUp(group);
  }

  /** Removes a client from its group; false when it is in none. */
  remove(client: Client): boolean {
    const { state, audience } = client;
    const group = state.name === "catchingUp" ? this.find(audience, state.cursor, state.selecting) : undefined;
    if (!group?.clients.delete(client)) return false;
    if (group.clients.size === 0) this.drop(group);
    return true;
  }

  moveToEnd(group: CatchupGroup): void {
    group.page = undefined;
    this.#queue.delete(group);
    this.#queue.add(group);
  }

  drop(group: CatchupGroup): void {
    if (!this.#queue.delete(group)) return;
    const groups = this.#byAudience.get(group.audience);
    groups?.delete(keyOf(group.cursor, group.selecting));
    if (groups?.size === 0) this.#byAudience.delete(group.audience);
  }

  clear(): void {
    this.#queue.clear();
    this.#byAudience.clear();
  }

  #make(audience: Audience<Client>, cursor: number, selecting: Selecting | undefined): CatchupGroup {
    const group: CatchupGroup = {
      name: "catchingUp",
      audience,
      cursor,
      selecting,
      clients: new Set(),
      isReading: false,
      page: undefined,
      trial: undefined,
      neededBytes: 0,
    };
    const groups = this.#byAudience.get(audience) ?? new Map<number | string, CatchupGroup>();
    this.#byAudience.set(audience, groups.set(keyOf(cursor, selecting), group));
    this.#queue.add(group);
    return group;
  }
}

const keyOf = (cursor: number, selecting: Selecting | undefined): number | string =>
  selecting ? `${cursor} ${selecting.key}` : cursor;

/**
 * Whether reading on for a group is worth it: one of its clients can take a body of fair size, or its whole credit limit, which one
 * publication may need.
 */
export function hasCredit(group: CatchupGroup): boolean {
  const needed = Math.max(group.neededBytes, MIN_CREDIT_BYTES);
  for (const { creditAvailable, creditLimit } of group.clients)
    if (creditAvailable >= Math.min(creditLimit, needed)) return true;
  return false;
}
