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
  /** It has a token, which grants nothing. Absent = it has grants, or no token: see hasToken(). */
  readonly hasToken?: true;
  /** Its heartbeats are events, which scripts can see (`heartbeat=event`); absent = comments. */
  readonly hasHeartbeatEvents?: true;
  /** Its streams are compressed; absent = plain. */
  readonly isCompressed?: true;
}

/** An interest in the form in which it is stored. */
interface InterestTexts {
  readonly selectors: readonly string[];
  readonly grants?: readonly string[];
  /** Absent = the client has no token. */
  readonly keyFingerprints?: readonly string[] | undefined;
  readonly hasHeartbeatEvents?: true | undefined;
  readonly isCompressed?: true | undefined;
}

/** Every public publication. */
export const EVERYTHING_PUBLIC: Interest = { selectors: [ANY], grants: [] };

/** Equal for equal interests, whose clients share an audience. No selector contains a control character. */
export function interestKey(interest: Interest): string {
  const { selectors, grants, hasHeartbeatEvents, isCompressed } = interest;
  const key = hasToken(interest) ? `${signature(selectors)}\f${signature(grants)}` : signature(selectors);
  if (!hasHeartbeatEvents && !isCompressed) return key;
  return `${key}${hasHeartbeatEvents ? "\v" : ""}${isCompressed ? "\x0e" : ""}`;
}

/** Whether the client has a token: then it gets the publications of topics that need one ([[topic]] anonymous). */
export function hasToken({ grants, hasToken: isHolder }: Interest): boolean {
  return isHolder === true || grants.length > 0;
}

/** The topic of an interest in one topic, by its name; undefined = it may get events of others. */
export function onlyTopicOf({ selectors }: Interest): string | undefined {
  const [only] = selectors;
  return selectors.length === 1 && only?.kind === "exact" ? only.value : undefined;
}

/** Consecutive clients often have the same interest: its texts are made once. */
export const interestTexts = memoizeLast(({ selectors, grants }: Interest) => ({
  selectors: selectors.map(textOf),
  grants: grants.map(textOf),
}));

export function interestFromTexts(texts: InterestTexts): Interest {
  const { selectors, grants = [], keyFingerprints, hasHeartbeatEvents, isCompressed } = texts;
  return {
    selectors: selectors.map(selectorOf),
    grants: grants.map(selectorOf),
    ...(grants.length === 0 && keyFingerprints !== undefined && { hasToken: true }),
    ...(hasHeartbeatEvents && { hasHeartbeatEvents }),
    ...(isCompressed && { isCompressed }),
  };
}
