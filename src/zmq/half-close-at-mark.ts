/** The moment at which a socket that stops receiving is half-closed: see Transport.stopReceiving(). */
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import type { Draining } from "./transport.js";

/** Calls `halfClose` in the read callback that brings the mark, or after the timeout. Resolves with whether the mark arrived. */
export function halfCloseAtMark(
  peers: Iterable<Peer>,
  { mark, markTimeoutMs }: Draining,
  clock: Clock,
  halfClose: () => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isFound: boolean) => {
      stop();
      halfClose();
      resolve(isFound);
    };
    const stop = clock.after(markTimeoutMs, () => finish(false));
    for (const peer of peers) peer.onMark(mark, () => finish(true));
  });
}
