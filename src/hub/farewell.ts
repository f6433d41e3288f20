/** Closing many streams at once, so that their browsers do not all come back at once. */
import { encodeRetry } from "../protocol/sse.js";
import type { Outlet } from "./ports.js";

/** Clients that are told the same time. */
const GROUP = 32;

/** Closes connections politely; each is told to come back after `retry` milliseconds, or up to half as long again. */
export function farewell(outlet: Outlet, ids: readonly number[], retry: number, random: () => number): void {
  for (let from = 0; from < ids.length; from += GROUP) {
    const some = ids.slice(from, from + GROUP);
    const wait = Math.round(retry * (1 + random() / 2));
    outlet.deliver(outlet.address(some), encodeRetry(wait));
    outlet.close(some);
  }
}
