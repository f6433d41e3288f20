/** Closed sets of reasons. They are labels of metrics, values of log fields and, for gaps, part of the stream. */

/** Why a client is no longer connected. */
export const DISCONNECT_REASONS = [
  /** Mongrel2 sent a notice by itself: the client closed its connection. */
  "left",
  /** Mongrel2 sent a notice in answer to a frame: the connection had ended unnoticed (probes.ts). */
  "found dead",
  /** Mongrel2 restarted or its link was lost: the connection ids are invalid. */
  "server lost",
  /** A request arrived on a connection that was streaming. */
  "second request",
  /** Its token has expired. */
  "expired",
  /** Its token was revoked, or the key that signed it was removed. */
  "revoked",
  /** Its one topic has ended, and it has had everything. */
  "ended",
  /** An operator disconnected it. */
  "kicked",
  /** Its patterns were too expensive for 10 s (overload.ts). */
  "too expensive",
  /** It was served public events only and may receive private ones from now on: it reconnects for them. */
  "reopened",
  /** The daemon closed the stream while stopping. */
  "shutdown",
] as const;

export type DisconnectReason = (typeof DISCONNECT_REASONS)[number];

/** Why live clients continue from the history. */
export const FALL_BEHIND_REASONS = [
  /** What was queued for their audience became too large: Mongrel2 takes events more slowly than they are published. */
  "queue full",
  /** They had no credit for the next event: they read too slowly. Only with Mongrel2's flow control. */
  "no credit",
] as const;

export type FallBehindReason = (typeof FALL_BEHIND_REASONS)[number];

/** Why publications after a client's last event id cannot be given to it. */
export const GAP_REASONS = [
  /** They were stored once and are trimmed. */
  "expired",
  /** They were trimmed while the client's patterns were too expensive to match (overload.ts). */
  "overload",
  /** Its last event id was never issued by this hub, or belongs to another epoch. */
  "unknown",
  /** Only presence events are missing: the client must fetch the list of subscriptions. */
  "presence",
  /** Repeated reads of the history failed. */
  "unavailable",
  /** The state that it asked for is not complete: [history] max_latest or max_latest_scan was reached. */
  "latest",
] as const;

export type GapReason = (typeof GAP_REASONS)[number];
