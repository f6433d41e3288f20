/**
 * What a client is interested in, and may see: it gets a public event if one of its selectors selects one of the topics, and
 * a private one if, besides, one of its grants does (Mercure, "Subscribers" and "Authorization").
 */
import type { Publication } from "../protocol/publication.js";
import { ANY, compile, covers, type Selector, signature } from "./selector.js";

export interface Interest {
  /** One or more, in canonical form: see selector.ts. */
  readonly selectors: readonly Selector[];
  /** The topics whose private events it may see, in canonical form; none without a token. */
  readonly grants: readonly Selector[];
}

/** Every public event. */
export const EVERYTHING_PUBLIC: Interest = { selectors: [ANY], grants: [] };

/** One text for one interest: clients with the same one share an audience. No selector holds a control character. */
export function interestKey({ selectors, grants }: Interest): string {
  return grants.length === 0 ? signature(selectors) : `${signature(selectors)}\f${signature(grants)}`;
}

/** Whether a publication that is selected may be seen. `base` is the hub's URL. */
export function maySee({ grants }: Interest, { private: hidden, topics }: Publication, base: string): boolean {
  return !hidden || covers(grants, topics, base);
}

/** What tells whether a client with this interest gets a publication: made once, asked for each publication of a history. */
export function testOf(interest: Interest, base: string): (publication: Publication) => boolean {
  const { selectors } = interest;
  const topics = new Set(selectors.map((it) => (it.kind === "exact" ? it.value : undefined)));
  const patterns = selectors.filter(({ kind }) => kind !== "exact").map((it) => compile(it, base));
  const selects = (topic: string) => topics.has(topic) || patterns.some((matches) => matches(topic));
  return (publication) => publication.topics.some(selects) && maySee(interest, publication, base);
}
