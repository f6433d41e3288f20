/** Hashes of idempotency keys and requests: what the daemon stores of them (protocol/stored-key.ts). */
import { ProtocolError } from "../errors.js";
import { LIMITS } from "../protocol/limits.js";
import type { Draft } from "../protocol/publication.js";
import { hashText } from "../protocol/stored-key.js";

const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** A key of a request and one of an event are different keys, even if their texts are equal. */
export type KeyKind = "request" | "event";

/** Checks the key of a request, which a header carries; those of events are checked with them. Throws "invalid". */
export function checkKey(key: string): void {
  if (key.length > LIMITS.keyLength || !VISIBLE_ASCII.test(key))
    throw new ProtocolError("invalid", `an idempotency key has 1 to ${LIMITS.keyLength} characters of visible ASCII`);
}

/** `scope`: who publishes. A JSON list is unambiguous, whatever characters the scope has. */
export function hashKey(kind: KeyKind, scope: string, key: string): string {
  return hashText(JSON.stringify([kind, scope, key]));
}

/** Equal for equal events, in whatever order their members are. Every member counts but the trace context: each attempt has its own. */
export function fingerprintOf(drafts: readonly Draft[]): string {
  return hashText(JSON.stringify(drafts.map(({ traceparent: _, ...draft }) => Object.entries(draft).sort(byName))));
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);
