/**
 * The clients of one server by connection id, and their audiences. The two always agree: each client belongs to one audience, and an
 * audience without clients is removed. A publication finds its audiences through an index of topics (matching/topic-index.ts); audiences
 * are never tried one by one.
 */

import { hasToken, type Interest, interestKey } from "../matching/interest.js";
import { type Budget, PUBLICATION_UNITS, UNLIMITED } from "../matching/match-budget.js";
import { TopicIndex } from "../matching/topic-index.js";
import type { TopicRules } from "../matching/topic-rules.js";
import { maySee, refusedTrial, type Trial } from "../matching/trial.js";
import type { Publication } from "../protocol/publication.js";
import { memoizeLast } from "../util/memoize-last.js";
import { Audience } from "./audience.js";
import { type ChangedClient, Client } from "./client.js";
import type { ClientIdentity } from "./client-identity.js";
import { CompressedAudience } from "./compressed-audience.js";
import type { Compression } from "./compression.js";
import type { Outlet } from "./outlet.js";

export interface NewClient extends ClientIdentity {
  readonly interest: Interest;
}

interface RegistryOptions {
  /** What finding the audiences of a publication may still cost; absent = no limit. */
  readonly budget?: Budget;
  /** Absent = no topic needs a token. */
  readonly rules?: Pick<TopicRules, "needsToken" | "hasTokenTopics"> | undefined;
  /** Absent = no client has a compressed stream. */
  readonly compression?: Compression | undefined;
}

export class Registry {
  /** Ordered by their last keep-alive; new clients are at the end: see touch(). */
  readonly #clients = new Map<number, Client>();
  readonly #audiences = new Map<string, Audience<Client>>();
  readonly #outlet: Outlet;
  readonly #base: string;
  readonly #rules: RegistryOptions["rules"];
  readonly #compression: Compression | undefined;
  readonly #index: TopicIndex<Audience<Client>>;
  readonly #keyOf = memoizeLast(interestKey);
  /** Clients of each address. */
  readonly #addresses = new Map<string, number>();

  /** Audiences whose grants could not be tried on the last publication within the budget. */
  #undecided: Audience<Client>[] = [];

  /** `base` is the hub's URL, against which relative topics and patterns are resolved. */
  constructor(outlet: Outlet, base: string, { budget = UNLIMITED, rules, compression }: RegistryOptions = {}) {
    this.#outlet = outlet;
    this.#base = base;
    this.#rules = rules;
    this.#compression = compression;
    this.#index = new TopicIndex(base, budget);
  }

  get clients(): ReadonlyMap<number, Client> {
    return this.#clients;
  }

  get audiences(): ReadonlyMap<string, Audience<Client>> {
    return this.#audiences;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Clients of one address. */
  countFrom(remote: string): number {
    return this.#addresses.get(remote) ?? 0;
  }

  /** What the patterns of all clients cost together: see [stream] max_pattern_cost. */
  get patternCost(): number {
    return this.#index.cost;
  }

  /** What an interest would add to the pattern cost. */
  patternCostOf({ selectors }: Interest): number {
    return this.#index.costOf(selectors);
  }

  /** The audiences that get a publication, except those of takeUndecided(). */
  wanting(publication: Publication): readonly Audience<Client>[] {
    const found = this.#index.matching(publication.topics);
    const selecting = this.#needsToken(publication) ? found.filter(({ interest }) => hasToken(interest)) : found;
    return publication.private ? this.#granted(selecting, publication) : selecting;
  }

  #needsToken({ topics }: Publication): boolean {
    return this.#rules?.needsToken(topics) === true;
  }

  /** Clients cannot make this expensive: the issuers of tokens choose the patterns of grants, and exact topics always get an answer. */
  #granted(selecting: readonly Audience<Client>[], publication: Publication): readonly Audience<Client>[] {
    const budget = { left: PUBLICATION_UNITS };
    return selecting.filter((audience) => {
      const limit = audience.hasPatterns ? budget : UNLIMITED;
      const isGranted = maySee(audience.interest, publication, this.#base, limit);
      if (isGranted === undefined) this.#undecided.push(audience);
      return isGranted === true;
    });
  }

  /**
   * Audiences that may get the last publication, but could not be tried within the budget; each is returned once. The caller must defer
   * them.
   */
  takeUndecided(): readonly Audience<Client>[] {
    const untried = this.#index.takeUntried();
    if (this.#undecided.length === 0) return untried;
    return [...untried, ...this.#undecided.splice(0)];
  }

  /** While all clients of an audience read from the history, its patterns are not tried on new publications. */
  defer(audience: Audience<Client>): void {
    this.#index.pause(audience);
    audience.defer(() => this.#index.resume(audience));
  }

  /** Whether a publication may be kept from an audience for its topics alone: then trial() must be asked about each one. */
  mayBar({ interest }: Audience<Client>): boolean {
    return this.#rules?.hasTokenTopics === true && !hasToken(interest);
  }

  /** Determines whether an audience gets a publication of the history. */
  trial(audience: Audience<Client>, publication: Publication): Trial {
    if (this.#needsToken(publication) && !hasToken(audience.interest)) return refusedTrial(publication);
    return audience.trial(publication, (selector) => this.#index.testOf(selector));
  }

  /** Adds a client in the state closed. A TypeError if its id is in use: the caller must have checked. */
  add(newcomer: NewClient): Client {
    const { id, remote, interest, since } = newcomer;
    if (this.#clients.has(id)) throw new TypeError(`connection ${id} has a client already`);
    const audience = this.#audienceOf(interest, since);
    audience.clients++;
    const client = new Client(newcomer, audience);
    this.#clients.set(id, client);
    this.#addresses.set(remote, this.countFrom(remote) + 1);
    return client;
  }

  /** Moves a client, which has left its audience's members or its catch-up group before, to the audience of another interest. */
  move(
    client: Client,
    interest: Interest,
    { subscriber, control }: Omit<ChangedClient, "audience">,
    now: number,
  ): void {
    const { audience: before } = client;
    const audience = this.#audienceOf(interest, now);
    audience.clients++;
    client.change({ audience, subscriber, control });
    this.#dropClient(before);
  }

  /** Removes a client, which has left its audience's members or its catch-up group before. */
  remove(client: Client): void {
    client.close();
    this.#clients.delete(client.id);
    const others = this.countFrom(client.remote) - 1;
    if (others > 0) this.#addresses.set(client.remote, others);
    else this.#addresses.delete(client.remote);
    this.#dropClient(client.audience);
  }

  #dropClient(audience: Audience<Client>): void {
    audience.clients--;
    if (audience.clients > 0) return;
    this.#audiences.delete(interestKey(audience.interest));
    this.#index.remove(audience.interest.selectors, audience);
  }

  /** Moves a client to the end of `clients`. */
  touch(client: Client): void {
    this.#clients.delete(client.id);
    this.#clients.set(client.id, client);
  }

  /** Removes all clients. */
  clear(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
    for (const audience of this.#audiences.values()) {
      this.#index.remove(audience.interest.selectors, audience);
      audience.removeAll();
    }
    this.#audiences.clear();
    this.#addresses.clear();
  }

  #audienceOf(interest: Interest, now: number): Audience<Client> {
    const key = this.#keyOf(interest);
    let audience = this.#audiences.get(key);
    if (!audience) {
      audience = this.#newAudience(interest, now);
      this.#audiences.set(key, audience);
      audience.cost = this.#index.add(interest.selectors, audience);
    }
    return audience;
  }

  #newAudience(interest: Interest, now: number): Audience<Client> {
    if (!interest.isCompressed) return new Audience<Client>(interest, this.#base, this.#outlet, now);
    if (!this.#compression) throw new TypeError("a stream is compressed where there is no compression");
    return new CompressedAudience<Client>(interest, this.#base, this.#outlet, now, this.#compression);
  }
}
