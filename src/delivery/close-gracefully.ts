/** Closes many streams at once without making all browsers reconnect at once. */
import { encodeRetry } from "../protocol/sse.js";
import type { Outlet } from "./outlet.js";

/** Clients that get the same reconnection time. */
const GROUP_CLIENTS = 32;

interface CloseOptions {
  /** Each connection is told to reconnect after this time to 1.5 x this time, milliseconds. */
  readonly retryMs: number;
  /** Returns a number from 0 up to 1. */
  readonly random: () => number;
  /** What is sent to these connections for a line of their streams. */
  readonly encode: (line: Buffer) => Buffer;
}

/** Tells each connection when to reconnect, and closes it after what is queued for it. */
export function closeGracefully(
  outlet: Outlet,
  ids: readonly number[],
  { retryMs, random, encode }: CloseOptions,
): void {
  for (let from = 0; from < ids.length; from += GROUP_CLIENTS) {
    const group = ids.slice(from, from + GROUP_CLIENTS);
    const waitMs = Math.round(retryMs * (1 + random() / 2));
    outlet.deliver(outlet.address(group), encode(encodeRetry(waitMs)));
    outlet.close(group);
  }
}
