/**
 * What a token allows its holder, the same for both kinds of token. `S` is the type of a selector: the caller brings the parser, so
 * that one module defines what a selector selects, and a token that is seen again costs no parsing.
 */
import type { JsonValue } from "../../delivery/subscriber.js";
import type { SelectorKind } from "../../matching/selector.js";
import { displayValue, tokenError } from "./token-refusal.js";

/** The protocol of a token: draft-dunglas-mercure-07 and earlier, or draft-08 (RFC 9068 access tokens). */
export type DialectName = "0.x" | "draft-08";

/** Parses one selector. Throws for an invalid one: the token is refused as a whole. */
export type ParseSelector<S> = (kind: SelectorKind, value: string) => S;

/**
 * What other clients see of a subscriber whose subscription is about one of `topics`. The first entry counts of which a topic selects
 * *the selector of the subscription, taken as a topic* (Mercure, "Active Subscriptions"). A `payload` of undefined shows nothing, and
 * no later entry counts.
 */
interface GrantPayload<S> {
  readonly topics: readonly S[];
  readonly payload: JsonValue | undefined;
}

export interface Rights<S> {
  /** Each topic of an update must be selected by one of these. Empty: no publishing. */
  readonly publish: readonly S[];
  /** A private update is for clients of whose selectors one selects one of its topics. Public updates need none. */
  readonly subscribe: readonly S[];
  /** In the order of the token. */
  readonly payloads: readonly GrantPayload<S>[];
}

export interface Grants<S> extends Rights<S> {
  readonly dialect: DialectName;
  /**
   * When the token ends and its streams must be closed, milliseconds since 1970, at most the latest time of a Date; may be further
   * away than one timer reaches. Undefined: never (0.x only).
   */
  readonly expiresAt: number | undefined;
  /** The key of each token: the streams must be closed when one of these keys is removed. */
  readonly keyFingerprints: readonly string[];
  /** The ids of each token by which it can be revoked: see hub/token-id.ts. */
  readonly tokenIds: readonly string[];
  /** The claim `iat`, milliseconds since 1970; undefined = unknown. */
  readonly issuedAt: number | undefined;
  /** The claim `sub`, if it is a string. Not unique to a connection. */
  readonly subject: string | undefined;
  /** The claim `iss`, if it is a string: subjects are unique within their issuer. */
  readonly issuer: string | undefined;
}

/**
 * What several tokens of one holder allow together: they end with the first of them, or with the first removed key. Tokens of another
 * dialect than the first are ignored.
 */
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
    tokenIds: all.flatMap(({ tokenIds }) => tokenIds),
    expiresAt: ends.length === 0 ? undefined : Math.min(...ends),
  };
}

/** Parses the selector at `where`, a name for the reason. Every error of the parser is a fault of the token. */
export function readSelector<S>(parse: ParseSelector<S>, kind: SelectorKind, value: unknown, where: string): S {
  if (typeof value !== "string") throw tokenError(`${where} is ${displayValue(value)}, not a string`);
  try {
    return parse(kind, value);
  } catch (cause) {
    throw tokenError(`${where}: ${cause instanceof Error ? cause.message : "not a selector"}`, cause);
  }
}
