/**
 * Idempotency keys as the daemon stores them: a hash of the publisher's scope and key, and a fingerprint of what was published. Neither
 * tells the publisher's own text.
 */
import { createHash } from "node:crypto";

/** 128 bits of a hash. */
const HASH_BYTES = 16;

/** The text has exactly these bits, so that a table that stores bytes gives the same text back. */
export function hashText(text: string): string {
  return createHash("sha256").update(text).digest().toString("base64url", 0, HASH_BYTES);
}

/** The key of one event, or of a batch that is stored as a whole: its first event has it. */
export interface StoredKey {
  /** 128 bits of a SHA-256 over scope and key; base64url, 22 characters. */
  readonly hash: string;
  /** 128 bits of a SHA-256 over the request: a repeat has the same. The form is that of `hash`. */
  readonly fingerprint: string;
  /** Number of events that were published with the key, at consecutive offsets. */
  readonly count: number;
}

/** What is known of a key that was used. */
export interface KeyEntry {
  readonly fingerprint: string;
  readonly epoch: string;
  /** Offset of the first event. */
  readonly offset: number;
  readonly count: number;
}
