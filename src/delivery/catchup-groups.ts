/**
 * The groups of clients that catch up: clients of one audience that have been sent everything up to the same offset share a group, and with
 * it each read and each body. A client whose topics have changed is in a group of its own until it was told so (Transition).
 */
import type { Audience } from "./audience.js";
import type { CatchingUp, Client } from "./client.js";
import type { ReadPage } from "./history-reader.js";
import type { PublicationTrial } from "./page-reader.js";
import type { Selecting } from "./selecting.js";
import type { Transition } from "./stream-control.js";

/** It is the state of each of its clients. */
export interface CatchupGroup extends CatchingUp {
  readonly audience: Audience<Client>;
  readonly clients: Set<Client>;
  /** What precedes the next event of its one client, whose topics have changed; undefined = nothing. */
  readonly transition: Transition | undefined;
  /** A read is in progress: the group waits for it. */
  isReading: boolean;
  /** The result of that read. */
  page: ReadPage | undefined;
  /** Of the publication after its cursor, which took more than one slice. */
  trial: PublicationTrial | undefined;
  /** Its next body is one publication of this size, for which no client had credit, bytes; 0 = unknown. */
  neededBytes: number;
}

/** How far clients are. */
export interface CatchupPlace {
  readonly cursor: number;
  /** What they are sent first: see CatchingUp. Absent = every publication after the cursor. */
  readonly selecting?: Selecting | undefined;
}

export class CatchupGroups {
  /** All groups, in the order in which they are served: a served group moves to the end. */
  readonly #queue = new Set<CatchupGroup>();
  /** Those without a transition, by audience, and by cursor and selection. */
  readonly #shared = new Map<Audience<Client>, Map<number | string, CatchupGroup>>();
  /** Those with a transition. */
  readonly #own = new Map<Client, CatchupGroup>();

  get count(): number {
    return this.#queue.size;
  }

  /** In the order in which they are served. A group that is added or moved to the end meanwhile follows. */
  [Symbol.iterator](): Iterator<CatchupGroup> {
    return this.#queue[Symbol.iterator]();
  }

  /** The groups of an audience, those with a transition excepted. */
  of(audience: Audience<Client>): Iterable<CatchupGroup> {
    return this.#shared.get(audience)?.values() ?? [];
  }

  /** The group at a place that has no transition; undefined = there is none. */
  at(audience: Audience<Client>, { cursor, selecting }: CatchupPlace): CatchupGroup | undefined {
    return this.#shared.get(audience)?.get(keyOf(cursor, selecting));
  }

  /** Puts a client that is in no group into one, and returns it. */
  put(client: Client, place: CatchupPlace, transition?: Transition): CatchupGroup {
    const { audience } = client;
    const group = transition ? this.#add(audience, place, transition) : this.#groupAt(audience, place);
    if (transition) this.#own.set(client, group);
    group.clients.add(client);
    client.catchUp(group);
    return group;
  }

  /** Takes a client out of its group, which stays if it has other clients; false if the client is in none. */
  remove(client: Client): boolean {
    const { state, audience } = client;
    const group = this.#own.get(client) ?? (state.name === "catchingUp" ? this.at(audience, state) : undefined);
    if (!group?.clients.has(client)) return false;
    this.take(group, client);
    this.dropIfEmpty(group);
    return true;
  }

  /** Takes a client out of its group. Must be followed by dropIfEmpty(). */
  take(group: CatchupGroup, client: Client): void {
    group.clients.delete(client);
    if (group.transition) this.#own.delete(client);
  }

  dropIfEmpty(group: CatchupGroup): void {
    if (group.clients.size > 0 || !this.#queue.delete(group) || group.transition) return;
    const groups = this.#shared.get(group.audience);
    groups?.delete(keyOf(group.cursor, group.selecting));
    if (groups?.size === 0) this.#shared.delete(group.audience);
  }

  /** The other groups are served before it. Its page is used up. */
  moveToEnd(group: CatchupGroup): void {
    group.page = undefined;
    this.#queue.delete(group);
    this.#queue.add(group);
  }

  /** Removes all groups and returns them. */
  removeAll(): CatchupGroup[] {
    const groups = [...this.#queue];
    this.#queue.clear();
    this.#shared.clear();
    this.#own.clear();
    return groups;
  }

  #groupAt(audience: Audience<Client>, place: CatchupPlace): CatchupGroup {
    const known = this.at(audience, place);
    if (known) return known;
    const group = this.#add(audience, place, undefined);
    const groups = this.#shared.get(audience);
    const key = keyOf(place.cursor, place.selecting);
    if (groups) groups.set(key, group);
    else this.#shared.set(audience, new Map([[key, group]]));
    return group;
  }

  #add(
    audience: Audience<Client>,
    { cursor, selecting }: CatchupPlace,
    transition: Transition | undefined,
  ): CatchupGroup {
    const group: CatchupGroup = {
      name: "catchingUp",
      audience,
      cursor,
      selecting,
      clients: new Set(),
      transition,
      isReading: false,
      page: undefined,
      trial: undefined,
      neededBytes: 0,
    };
    this.#queue.add(group);
    return group;
  }
}

const keyOf = (cursor: number, selecting: Selecting | undefined): number | string =>
  selecting ? `${cursor} ${selecting.key}` : cursor;
