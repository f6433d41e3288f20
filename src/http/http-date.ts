/** The Date header of every response (RFC 9110 section 6.6.1: an origin server with a clock must send it). */
import type { Clock } from "../util/clock.js";

const SECOND_MS = 1000;

/** Returns a function that gives the present date in the form of RFC 9110 section 5.6.7, formatted once a second. */
export function httpDate(clock: Pick<Clock, "now">): () => string {
  let second = Number.NaN;
  let text = "";
  return () => {
    const now = Math.floor(clock.now() / SECOND_MS);
    if (now !== second) {
      second = now;
      text = new Date(now * SECOND_MS).toUTCString();
    }
    return text;
  };
}
