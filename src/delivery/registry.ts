/**
 * The clients of one server, by connection id, and the audiences they make up. The two always agree: every client is in
 * exactly one audience (live) or in one group that catches up with it, and an audience without any client is forgotten. Which
 * audiences want a publication is looked up by its topics (topic-index.ts), never by asking them all.
 */

import { type Interest, interestKey } from "../matching/interest.js";
import { type Budget, PUBLICATION_UNITS, UNLIMITED } from "../matching/match-budget.js";
import { TopicIndex } from "../matching/topic-index.js";
import { maySee, type Trial } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import { memoizeLast } from "../util/memoize-last.js";
import { Audience } from "./audience.js";
import type { Client } from "./client.js";
import type { Outlet, Subscriber } from "./ports.js";

export interface NewClient {
  readonly id: number;
  readonly remote: string;
  readonly interest: Interest;
  /** When it came: Clock.monotonic(). */
  readonly since: number;
  /** Bytes that may be under way to it; undefined = no limit. */
  readonly allowance?: number | undefined;
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt?: number | undefined;
  readonly keyFingerprints?: readonly string[] | undefined;
  readonly subscriber?: Subscriber | undefined;
}

export class Registry {
  /** In the order in which they were kept alive last, newcomers at the end: see touch(). */
  readonly clients = new Map<number, Client>();
  readonly audiences = new Map<string, Audience>();
  readonly #outlet: Outlet;
  readonly #base: string;
  readonly #index: TopicIndex<Audience>;
  readonly #keyOf = memoizeLast(interestKey);
  /** How many clients each address has. */
  readonly #addresses = new Map<string, number>();

  /** Audiences that may get the last publication and have not been asked. */
  #undecided: Audience[] = [];

  /**
   * `base` is the hub's URL, which relative topics and patterns are resolved against; `budget`: what finding out who wants a
   * publication may still cost.
   */
  constructor(outlet: Outlet, base: string, budget: Budget = UNLIMITED) {
    this.#outlet = outlet;
    this.#base = base;
    this.#index = new TopicIndex(base, budget);
  }

  get size(): number {
    return this.clients.size;
  }

  /** Clients from one address. */
  countOf(remote: string): number {
    return this.#addresses.get(remote) ?? 0;
  }

  /** What the patterns of all clients cost together, and what an interest would add to that: see [stream] max_pattern_cost. */
  get patternCost(): number {
    return this.#index.cost;
  }

  patternCostOf({ selectors }: Interest): number {
    return this.#index.costOf(selectors);
  }

  /** The audiences that get a publication; but see takeUndecided(). */
  wanting(publication: Publication): readonly Audience[] {
    const selecting = this.#index.matching(publication.topics);
    return publication.private ? this.#allowed(selecting, publication) : selecting;
  }

  /** Strangers cannot make this expensive: the patterns of grants are the issuers', and exact topics always get an answer. */
  #allowed(selecting: readonly Audience[], publication: Publication): readonly Audience[] {
    const budget = { left: PUBLICATION_UNITS };
    return selecting.filter((audience) => {
      const limit = audience.hasPatterns ? budget : UNLIMITED;
      const isAllowed = maySee(audience.interest, publication, this.#base, limit);
      if (isAllowed === undefined) this.#undecided.push(audience);
      return isAllowed === true;
    });
  }

  /**
   * Audiences that may get the last publication and for which there was no time to find out; each is told once. Whoever asks
   * defers them.
   */
  takeUndecided(): readonly Audience[] {
    const untried = this.#index.takeUntried();
    if (this.#undecided.length === 0) return untried;
    return [...untried, ...this.#undecided.splice(0)];
  }

  /** While all clients of an audience read from history, its patterns are not tried when something is published. */
  defer(audience: Audience): void {
    this.#index.pause(audience);
    audience.defer(() => this.#index.resume(audience));
  }

  /** Finds out whether an audience gets a publication of the history. */
  trial(audience: Audience, publication: Publication): Trial {
    return audience.trial(publication, (selector) => this.#index.testOf(selector));
  }

  /** Adds a client that is neither live nor behind yet. A TypeError if the id is taken: the caller must have looked. */
  add(newcomer: NewClient): Client {
    const { id, remote, interest, since, allowance = Number.POSITIVE_INFINITY } = newcomer;
    const { expiresAt, keyFingerprints, subscriber } = newcomer;
    if (this.clients.has(id)) throw new TypeError(`connection ${id} has a client already`);
    const audience = this.#audience(interest, since);
    audience.clients++;
    const client: Client = {
      id,
      remote,
      since,
      expiresAt,
      keyFingerprints,
      subscriber,
      audience,
      behind: undefined,
      acknowledgedOffset: 0,
      coveredByServerFence: false,
      creditLimit: allowance,
      creditAvailable: allowance,
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
      audience.cost = this.#index.add(interest.selectors, audience);
    }
    return audience;
  }
}
