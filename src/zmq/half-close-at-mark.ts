/** When a socket that stops receiving is half-closed: see Transport.stopReceiving(). */
import type { Clock } from "../util/clock.js";
import type { Peer } from "./peer.js";
import type { Draining } from "./transport.js";

/** Calls `end` in the read callback in which the mark comes in from a peer, or when it is late. Resolves with whether it came. */
export function halfCloseAtMark(
  peers: Iterable<Peer>,
  { mark, markTimeoutMs }: Draining,
  clock: Clock,
  halfClose: () => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const ended = (isSeen: boolean) => {
      stop();
      halfClose();
      resolve(isSeen);
    };
    const stop = clock.after(markTimeoutMs, () => ended(false));
    for (const peer of peers) peer.onMark(mark, () => ended(true));
  });
}
