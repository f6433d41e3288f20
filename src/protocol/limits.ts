/**
 * How large things may be. A codec that meets something larger throws "too_large" with both numbers in the message; it
 * neither cuts nor allocates. All sizes are bytes of UTF-8 unless said otherwise.
 */
export const LIMITS = {
  /**
   * A whole encoded event, its blank line included. With download.flow_control Mongrel2 kills a connection for a single
   * frame above 102,400 bytes (connection.c, MAX_CREDITS); the rest is room for what may share a frame with an event.
   */
  eventBytes: 100_000,
  /** What an event of which we make the id is reckoned to need for it: `#<epoch>.<offset>`. */
  madeIdBytes: 64,
  /** One topic; as long as the longest matcher that the Mercure reference hub takes. */
  topicBytes: 4_096,
  /** All that one subscription asks for: kept as long as the stream is, and looked at for each new topic. */
  selectorsBytes: 32_768,
  /** Topics of one publication, alternates included; the number of the Mercure reference hub. */
  topics: 1_000,
  /** All topics of one publication together: they are kept as long as the event is, so no more than an event. */
  topicsBytes: 100_000,
  /**
   * An id. A browser sends it back in Last-Event-ID, where the whole head of a request must fit in Mongrel2's
   * limits.buffer_size (4,096): with an id too long it could never reconnect.
   */
  idBytes: 256,
  /** An event type. */
  typeBytes: 256,
  /** The longest `retry`, in milliseconds (24 days): browsers keep their timers in 31 bits. */
  retryMs: 2_147_483_647,
  /** A publisher's whole message, before it is looked at. JSON may need 6 bytes for one of the event. */
  messageBytes: 1_000_000,
  /** The header block of a request; Mongrel2's default for the head is 4,096 (limits.buffer_size). */
  headerBytes: 1_048_576,
  /** send_ident of a server. */
  senderBytes: 256,
} as const;
