/**
 * What a client is interested in, and may see: it gets a public event if one of its selectors selects one of the topics, and
 * a private one if, besides, one of its grants does (Mercure, "Subscribers" and "Authorization").
 */
import { ANY, type Selector, signature } from "./selector.js";

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
