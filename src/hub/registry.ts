/**
 * The clients of one server, by connection id, and the audiences they make up. The two always agree: every client is in
 * exactly one audience (live) or in one group that catches up with it, and an audience without any client is forgotten. Which
 * audiences want a publication is looked up by its topics (topic-index.ts), never by asking them all.
 */

import type { Publication } from "../protocol/publication.js";
import { latest } from "../util/latest.js";
import { Audience } from "./audience.js";
import type { Client } from "./client.js";
import { type Interest, interestKey, maySee } from "./interest.js";
import type { Outlet, Subscriber } from "./ports.js";
import { TopicIndex } from "./topic-index.js";

export interface Newcomer {
  readonly id: number;
  readonly remote: string;
  readonly interest: Interest;
  /** When it came: Clock.monotonic(). */
  readonly since: number;
  /** Bytes that may be under way to it; undefined = no limit. */
  readonly allowance?: number | undefined;
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt?: number | undefined;
  readonly subscriber?: Subscriber | undefined;
}

export class Registry {
  /** In the order in which they were kept alive last, newcomers at the end: see touch(). */
  readonly clients = new Map<number, Client>();
  readonly audiences = new Map<string, Audience>();
  readonly #outlet: Outlet;
  readonly #base: string;
  readonly #index: TopicIndex<Audience>;
  readonly #keyOf = latest(interestKey);
  /** How many clients each address has. */
  readonly #addresses = new Map<string, number>();

  /** `base` is the hub's URL, which relative topics and patterns are resolved against. */
  constructor(outlet: Outlet, base: string) {
    this.#outlet = outlet;
    this.#base = base;
    this.#index = new TopicIndex(base);
  }

  get size(): number {
    return this.clients.size;
  }

  /** Clients from one address. */
  countOf(remote: string): number {
    return this.#addresses.get(remote) ?? 0;
  }

  /** The audiences that get a publication. */
  wanting(publication: Publication): readonly Audience[] {
    const selecting = this.#index.matching(publication.topics);
    if (!publication.private) return selecting;
    return selecting.filter(({ interest }) => maySee(interest, publication, this.#base));
  }

  /** Adds a client that is neither live nor behind yet. A TypeError if the id is taken: the caller must have looked. */
  add({ id, remote, interest, since, allowance = Number.POSITIVE_INFINITY, expiresAt, subscriber }: Newcomer): Client {
    if (this.clients.has(id)) throw new TypeError(`connection ${id} has a client already`);
    const audience = this.#audience(interest, since);
    audience.clients++;
    const client: Client = {
      id,
      remote,
      since,
      expiresAt,
      subscriber,
      audience,
      behind: undefined,
      seen: 0,
      settled: false,
      allowance,
      credit: allowance,
      slot: -1,
    };
    this.clients.set(id, client);
    this.#addresses.set(remote, this.countOf(remote) + 1);
    return client;
  }

  /** Removes a client; whoever holds it live or behind has let go of it before. */
  remove(client: Client): void {
    this.clients.delete(client.id);
    const others = this.countOf(client.remote) - 1;
    if (others > 0) this.#addresses.set(client.remote, others);
    else this.#addresses.delete(client.remote);
    const { audience } = client;
    audience.clients--;
    if (audience.clients > 0) return;
    this.audiences.delete(interestKey(audience.interest));
    this.#index.remove(audience.interest.selectors, audience);
  }

  /** Moves a client to the end, behind all others. */
  touch(client: Client): void {
    this.clients.delete(client.id);
    this.clients.set(client.id, client);
  }

  clear(): void {
    this.clients.clear();
    for (const audience of this.audiences.values()) this.#index.remove(audience.interest.selectors, audience);
    this.audiences.clear();
    this.#addresses.clear();
  }

  #audience(interest: Interest, now: number): Audience {
    const key = this.#keyOf(interest);
    let audience = this.audiences.get(key);
    if (!audience) {
      audience = new Audience(interest, this.#base, this.#outlet, now);
      this.audiences.set(key, audience);
      this.#index.add(interest.selectors, audience);
    }
    return audience;
  }
}
