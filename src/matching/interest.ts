/**
 * What a client requests and may see: it gets a public publication if one of its selectors selects one of the topics, and a private one if
 * one of its grants does so, too (Mercure, "Subscribers" and "Authorization").
 */
import { memoizeLast } from "../util/memoize-last.js";
import { ANY, type Selector, selectorOf, signature, textOf } from "./selector.js";

export interface Interest {
  /** In canonical form: see selector.ts. Empty only after a change of an open stream: it gets nothing. */
  readonly selectors: readonly Selector[];
  /** The topics whose private publications it may see, in canonical form; empty without a token. */
  readonly grants: readonly Selector[];
  /** Its heartbeats are events, which scripts can see (`heartbeat=event`); absent = comments. */
  readonly hasHeartbeatEvents?: true;
}

/** An interest in the form in which it is stored. */
interface InterestTexts {
  readonly selectors: readonly string[];
  readonly grants?: readonly string[];
  readonly hasHeartbeatEvents?: true | undefined;
}

/** Every public publication. */
export const EVERYTHING_PUBLIC: Interest = { selectors: [ANY], grants: [] };

/** Equal for equal interests, whose clients share an audience. No selector contains a control character. */
export function interestKey({ selectors, grants, hasHeartbeatEvents }: Interest): string {
  const key = grants.length === 0 ? signature(selectors) : `${signature(selectors)}\f${signature(grants)}`;
  return hasHeartbeatEvents ? `${key}\v` : key;
}

/** Consecutive clients often have the same interest: its texts are made once. */
export const interestTexts = memoizeLast(({ selectors, grants }: Interest) => ({
  selectors: selectors.map(textOf),
  grants: grants.map(textOf),
}));

export function interestFromTexts({ selectors, grants = [], hasHeartbeatEvents }: InterestTexts): Interest {
  const interest = { selectors: selectors.map(selectorOf), grants: grants.map(selectorOf) };
  return hasHeartbeatEvents ? { ...interest, hasHeartbeatEvents } : interest;
}
