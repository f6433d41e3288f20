/**
 * How a daemon stops taking requests without losing one (docs/mongrel2.md, "A stop that loses nothing"). Mongrel2 drops what waits in the pipe
 * to our PULL socket when that socket ends, and its main thread may write into that pipe for up to 1 ms after we have half-closed it. So
 * that thread is kept busy meanwhile: one write carries a fence and BUSY_IDS cancels of connection 0, which is never given out. Cancels
 * are silent, and Mongrel2 does not yield while frames are there.
 *
 *   fence, cancels  -->  Mongrel2 answers the fence: everything it read before is on its way to us
 *                        it works through the cancels (about 22 ms), and reads no request
 *   notice          <--  in the read callback that brings it: half-close PULL (Transport.stopReceiving)
 *   end of file     <--  nothing was behind the notice, or it has been read
 *
 * What other handlers and static files of the same Mongrel2 notice is that it answers about 22 ms later.
 */
import { CANCEL, extendedHead } from "../protocol/reply.js";
import type { Transport } from "../zmq/transport.js";

/** How long Mongrel2 may take to answer the fence, milliseconds; then PULL is half-closed all the same. */
export const FENCE_TIMEOUT_MS = 2000;
/** How long Mongrel2 may take to end its side of PULL, milliseconds. */
const END_TIMEOUT_MS = 1000;
/** Cancels in the burst: 400 frames of 128 take Mongrel2 22 ms (0.43 us each), where half-closing takes us 1 ms, and 8 in a bad moment. */
const BURST_ID_COUNT = 51_200;
/** Ids of a frame: limits.handler_targets of Mongrel2 by default. More are allowed, and would make a frame no cheaper. */
const FRAME_ID_COUNT = 128;

export interface StopReceivingOptions {
  readonly sendIdent: string;
  readonly maxTargets: number;
  readonly transport: Transport;
}

/** Sends the fence, through `fence` (which returns its id), and the burst; resolves as Transport.stopReceiving() does. */
export function stopReceiving(
  { sendIdent, maxTargets, transport }: StopReceivingOptions,
  fence: () => number,
): Promise<boolean> {
  const ids = Array.from({ length: Math.min(FRAME_ID_COUNT, maxTargets) }, () => 0);
  const head = extendedHead(sendIdent, ids, maxTargets);
  const mark = noticePrefix(fence());
  for (let sent = 0; sent < BURST_ID_COUNT; sent += ids.length) transport.send(head, CANCEL);
  return transport.stopReceiving({ mark, markTimeoutMs: FENCE_TIMEOUT_MS, endTimeoutMs: END_TIMEOUT_MS });
}

/** The same where Mongrel2 does not answer: at once. */
export function stopReceivingUnfenced({ transport }: StopReceivingOptions): Promise<boolean> {
  return transport.stopReceiving({ mark: noticePrefix(0), markTimeoutMs: 0, endTimeoutMs: END_TIMEOUT_MS });
}

/** How the notice of a fence begins, after the sender. */
function noticePrefix(id: number): Buffer {
  return Buffer.from(` ${id} @* `);
}
