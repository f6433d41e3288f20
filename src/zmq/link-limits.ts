/** Limits of a link, the same for each implementation of Transport. */

/** How long close() waits for the peers to take what was sent. */
export const LINGER_MS = 1000;
/**
 * The largest request that is passed on whole. A larger one is truncated to TRUNCATED_REQUEST_BYTES, which identify the connection to
 * answer, so no client can end the link. (Mongrel2 sends bodies of up to limits.content_length.)
 */
export const MAX_REQUEST_BYTES = 8_000_000;
export const TRUNCATED_REQUEST_BYTES = 64_000;

export const TOO_LARGE = `a request has more than ${MAX_REQUEST_BYTES} bytes and was truncated; fix: lower limits.content_length of Mongrel2`;
export const SEVERAL_PARTS = "a message has several parts; fix: connect nothing but Mongrel2 to the send_spec";
