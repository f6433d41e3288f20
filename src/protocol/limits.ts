/**
 * Size limits of the protocols. Above a limit, a codec throws "too_large" with the size and the limit in the message; it neither
 * truncates nor allocates. Sizes are bytes of UTF-8 unless the property states another unit.
 */
export const LIMITS = {
  /**
   * One encoded event with its blank line. With download.flow_control Mongrel2 closes a connection for a single frame above
   * 102,400 bytes (connection.c, MAX_CREDITS); the difference is reserved for other output in the same frame.
   */
  eventBytes: 100_000,
  /** Size reserved for a generated id, `#<epoch>.<offset>`. */
  madeIdBytes: 64,
  /** One topic; the limit of the Mercure reference hub for a matcher. */
  topicBytes: 4_096,
  /** All selectors of one subscription: they stay in memory while the stream is open, and each new topic is matched against them. */
  selectorsBytes: 32_768,
  /** Number of topics of one publication, alternates included; the limit of the Mercure reference hub. */
  topics: 1_000,
  /** All topics of one publication together: the store keeps them with the event, so the limit is that of an event. */
  topicsBytes: 100_000,
  /**
   * One id. A browser returns it in Last-Event-ID, and the head of a request must fit into Mongrel2's limits.buffer_size
   * (4,096 bytes): a client with a longer id could not reconnect.
   */
  idBytes: 256,
  /** One event type. */
  typeBytes: 256,
  /** One idempotency key, in characters (UTF-16 units). */
  keyLength: 255,
  /** The longest `retry`, in milliseconds (24 days): timers of browsers have 31 bits. */
  retryMs: 2_147_483_647,
  /** The longest `ttl`, in milliseconds (3650 days): that of [history] max_age. */
  ttlMs: 315_360_000_000,
  /** One message of a publisher, before it is decoded. JSON may need 6 bytes for one byte of the event. */
  messageBytes: 1_000_000,
  /** The header block of a request; Mongrel2's default limit for the head is 4,096 bytes (limits.buffer_size). */
  headerBytes: 1_048_576,
  /** The send_ident of a Mongrel2 server. */
  senderBytes: 256,
} as const;
