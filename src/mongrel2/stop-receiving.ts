/**
 * Stops receiving requests without losing one (docs/architecture/mongrel2.md 2.8). Mongrel2 drops the messages in the pipe to the PULL socket
 * when that socket ends, and its main thread may write into the pipe for up to 1 ms after the half-close. A burst keeps that
 * thread busy meanwhile: one write carries a fence and BURST_ID_COUNT cancels of connection 0, which is never given out. Cancels
 * return no notice, and Mongrel2 does not yield while frames are there.
 *
 *   fence, cancels  -->  Mongrel2 answers the fence: every request that it read before is on its way
 *                        it handles the cancels (about 22 ms) and reads no request
 *   notice          <--  in the read callback that brings it the daemon half-closes PULL (Transport.stopReceiving)
 *   end of file     <--  nothing was behind the notice, or it has been read
 *
 * Other handlers and static files of the same Mongrel2 are delayed by about 22 ms.
 */
import { CANCEL, extendedHead } from "../protocol/reply.js";
import type { Transport } from "../zmq/transport.js";

/** How long Mongrel2 may take to answer the fence; then PULL is half-closed without it. */
export const FENCE_TIMEOUT_MS = 2000;
/** How long Mongrel2 may take to end its side of PULL. */
const END_TIMEOUT_MS = 1000;
/** Cancels in the burst: 400 frames of 128 take Mongrel2 22 ms (0.43 us a cancel). Notice to half-close takes 1 ms, at worst 8. */
const BURST_ID_COUNT = 51_200;
/** Ids of a frame: the default of Mongrel2's limits.handler_targets. More ids would not make a frame cheaper. */
const FRAME_ID_COUNT = 128;

export interface StopReceivingOptions {
  readonly sendIdent: string;
  readonly maxTargets: number;
  readonly transport: Transport;
}

/** Sends the fence, through `fence`, which returns its id, and the burst. Resolves as Transport.stopReceiving() does. */
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

/** The same for a Mongrel2 that does not answer: half-closes at once. */
export function stopReceivingUnfenced({ transport }: StopReceivingOptions): Promise<boolean> {
  return transport.stopReceiving({ mark: noticePrefix(0), markTimeoutMs: 0, endTimeoutMs: END_TIMEOUT_MS });
}

/** The beginning of a fence's notice, after the sender (docs/architecture/mongrel2.md 1.3). */
function noticePrefix(id: number): Buffer {
  return Buffer.from(` ${id} @* `);
}
