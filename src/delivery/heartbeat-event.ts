/**
 * The heartbeat of clients that asked for events (`heartbeat=event`): scripts in a browser cannot see comments, so they cannot tell a quiet
 * stream from one that a proxy has stalled. The data is the time in seconds within which the next one is sent; 0 = there is none.
 */
import { encodeEvent } from "../protocol/sse.js";
import { memoizeLast } from "../util/memoize-last.js";

export const heartbeatEvent = memoizeLast(
  (heartbeatMs: number): Buffer => encodeEvent({ type: "m2push-heartbeat", data: String(heartbeatMs / 1000) }),
);
