/**
 * What a token lets its holder do, the same for both kinds of token. `S` is the form of a selector: the caller brings the
 * parser, so that one place knows what selects what, and so that a token seen again costs no parsing.
 */
import type { JsonPayload } from "./claims.js";
import { displayValue, tokenError } from "./refusal.js";

/** Which protocol a token belongs to: draft-dunglas-mercure-07 and before, or draft-08 (RFC 9068 access tokens). */
export type DialectName = "0.x" | "draft-08";

/** How a value is to be read; "template" is a selector of Mercure 0.x: a topic, or a URI template. `*` is every topic in each. */
export type SelectorKind = "exact" | "template" | "urlpattern";

/** Reads one selector. Throws for one that may not be: the token that has it is refused as a whole. */
export type ParseSelector<S> = (kind: SelectorKind, value: string) => S;

/**
 * What is shown of a subscriber whose subscription is about one of `topics`: the entry that decides is the first one of
 * which a topic selects *the selector of the subscription, taken as a topic* (Mercure, "Active Subscriptions"). Undefined:
 * nothing is shown, and no later entry counts.
 */
export interface Payload<S> {
  readonly topics: readonly S[];
  readonly payload: JsonPayload | undefined;
}

export interface Rights<S> {
  /** Publishing needs each topic of the update selected by one of these. Empty: no publishing. */
  readonly publish: readonly S[];
  /** A private update is for those of whom one of these selects one of its topics. Public updates need none. */
  readonly subscribe: readonly S[];
  /** In the token's order. */
  readonly payloads: readonly Payload<S>[];
}

export interface Grants<S> extends Rights<S> {
  readonly dialect: DialectName;
  /**
   * When the token ends and what was opened with it must be closed, milliseconds since 1970, at most what a Date can say;
   * further away than one timer reaches, perhaps. Undefined: never (0.x only).
   */
  readonly expiresAt: number | undefined;
  /** Of the keys that have signed: when one of them is no key any more, what was opened must be closed. Of each token one. */
  readonly keyFingerprints: readonly string[];
  /** The claim `sub`, when it is a string. Not unique to a connection. */
  readonly subject: string | undefined;
}

/** What several tokens of one holder let it do together: it ends with the first of them, or of their keys. Those of another dialect than the first are left out. */
export function joinGrants<S>(first: Grants<S>, others: readonly Grants<S>[]): Grants<S> {
  const all = [first, ...others.filter(({ dialect }) => dialect === first.dialect)];
  if (all.length === 1) return first;
  const ends = all.flatMap(({ expiresAt }) => (expiresAt === undefined ? [] : [expiresAt]));
  return {
    ...first,
    publish: all.flatMap(({ publish }) => publish),
    subscribe: all.flatMap(({ subscribe }) => subscribe),
    payloads: all.flatMap(({ payloads }) => payloads),
    keyFingerprints: [...new Set(all.flatMap(({ keyFingerprints }) => keyFingerprints))],
    expiresAt: ends.length === 0 ? undefined : Math.min(...ends),
  };
}

/** Reads the selector at `where`, a name for the log. Whatever the parser throws is the token's fault: it is what is hostile. */
export function readSelector<S>(parse: ParseSelector<S>, kind: SelectorKind, value: unknown, where: string): S {
  if (typeof value !== "string") throw tokenError(`${where} is ${displayValue(value)}, not a string`);
  try {
    return parse(kind, value);
  } catch (cause) {
    throw tokenError(`${where}: ${cause instanceof Error ? cause.message : "not a selector"}`, cause);
  }
}
